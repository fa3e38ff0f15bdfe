package splitclient

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"audiences/audience"
)

const (
	// maxAnswer is how much of an answer is looked at, in bytes.
	maxAnswer = 64 << 10
	// maxDrained is how much more is thrown away to keep the connection; beyond,
	// a new connection is cheaper.
	maxDrained = 256 << 10
	// MaxMessage is the greatest length of Outcome.Message and Cause, in bytes.
	MaxMessage = 300
)

// answer is what came back, as far as the table looks at it.
type answer struct {
	adding  bool    // the call was an add
	failure failure // why there is no answer; the rest is zero then
	unsent  bool    // the call certainly never left
	cause   string

	status int
	markup bool   // HTML or XML: not Split
	empty  bool   // no body at all, or blanks
	body   speech // what the body says of success
	text   string // the body's own words, cleaned, not cut

	transaction string // Split's own id of the call, cleaned and cut

	limits     Limits
	retryAfter time.Duration // negative: not said
	odd        oddities
}

// read reads the answer. An error concerns the body; the status and the headers are
// in the answer all the same.
func read(res *http.Response, call Call) (*answer, error) {
	body, more, err := readBody(res)
	a := &answer{
		adding: call.Verb == audience.Add,
		status: res.StatusCode,
		empty:  len(body) == 0,
		markup: isMarkup(res.Header, body),
		body:   listen(body, more),
	}
	a.readLimits(res.Header)
	if !a.markup {
		a.text = clean(words(body), call.Token.Reveal())
		a.transaction = cut(clean(transactionOf(body), call.Token.Reveal()))
	}
	return a, err
}

// readBody reads the body's beginning, without blanks and a byte order mark, and
// tells whether there is more of it.
func readBody(res *http.Response) (body []byte, more bool, err error) {
	if res.StatusCode == http.StatusSwitchingProtocols {
		return nil, false, nil // what follows is no answer, and may have no end
	}
	if body, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer)); err == nil {
		var rest int64
		// To its end, or the connection is not used again.
		rest, err = io.CopyN(io.Discard, res.Body, maxDrained)
		if errors.Is(err, io.EOF) {
			err = nil
		}
		more = rest > 0
	}
	return bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\ufeff"))), more, err
}

// isMarkup looks at the header and at the body, since portals get either wrong.
// An empty body is no page, whatever its header says.
func isMarkup(header http.Header, body []byte) bool {
	if len(body) == 0 {
		return false
	}
	media, _, _ := mime.ParseMediaType(header.Get("Content-Type"))
	return body[0] == '<' || media == "text/html" || media == "application/xhtml+xml"
}

// words finds what an answer says: Split's {"message","details"}, or a plain
// text. JSON of any other form says nothing to a person.
func words(body []byte) string {
	var said struct{ Message, Details any }
	if json.Unmarshal(body, &said) == nil {
		message, _ := said.Message.(string)
		details, _ := said.Details.(string)
		switch {
		case details == "" || details == message:
			return message
		case message == "":
			return details
		}
		return message + " (" + details + ")"
	}
	if len(body) > 0 && strings.IndexByte(`{["`, body[0]) >= 0 {
		return ""
	}
	return string(body)
}

// transactionOf is Split's own id of the call, which its answers have beside the message.
func transactionOf(body []byte) string {
	var said struct{ TransactionID any }
	_ = json.Unmarshal(body, &said) // what is no JSON has none
	id, _ := said.TransactionID.(string)
	return id
}

// clean makes a text fit for one line of an operator's page: no control or
// invisible characters (some turn the direction of text around), and no token,
// should the other side echo it (I7).
func clean(text, token string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsPrint(r):
			return r
		case unicode.IsSpace(r):
			return ' '
		}
		return -1
	}, text)
	if token != "" {
		// After the removal, which may have put a broken token together again; and
		// by letters that no token has, so that none can come about around them.
		text = strings.ReplaceAll(text, token, "•••")
	}
	return strings.TrimSpace(text)
}

// cut shortens a clean text to MaxMessage bytes without splitting a character.
func cut(text string) string {
	if len(text) <= MaxMessage {
		return text
	}
	end := MaxMessage
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}
