package splitclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"audiences/audience"
)

// title stands in Split's audit log beside every change. It and the comment are
// always sent: a workspace that demands them answers an empty 400 otherwise.
const title = "audiences relay"

// encode writes the body once, whole, as {"keys":[...],"comment":...,"title":...}.
// Its errors name neither key nor token (I7).
func encode(call Call) ([]byte, error) {
	switch {
	case call.Keys == nil || call.Keys.Len() == 0:
		return nil, errors.New("encode call: no keys") // Split says nothing of an empty call
	case call.Keys.Len() > MaxKeys:
		return nil, fmt.Errorf("encode call: %d keys, at most %d", call.Keys.Len(), MaxKeys)
	case call.Verb != audience.Add && call.Verb != audience.Delete:
		return nil, errors.New("encode call: neither add nor delete")
	case call.Token.Reveal() == "":
		return nil, errors.New("encode call: no token")
	case !pathPart(call.Segment.Environment) || !pathPart(call.Segment.Name):
		return nil, errors.New("encode call: segment or environment would change the path")
	}
	const digits = 20 + len(`"",`) // room for the longest numeric key; other keys grow the slice
	body := make([]byte, 0, call.Keys.Len()*digits+100)
	body = append(body, `{"keys":[`...)
	var err error
	for key := range call.Keys.All() {
		if body, err = appendKey(body, key); err != nil {
			return nil, errors.New("encode call: key is not valid UTF-8")
		}
		body = append(body, ',')
	}
	body = append(body[:len(body)-1], `],"comment":"`...)
	body = fmt.Appendf(body, "%s %d keys", call.Verb, call.Keys.Len())
	return append(body, `","title":"`+title+`"}`...), nil
}

func appendKey(body []byte, key audience.Key) ([]byte, error) {
	if n, ok := key.Numeric(); ok {
		body = append(body, '"')
		body = strconv.AppendInt(body, n, 10)
		return append(body, '"'), nil
	}
	return jsontext.AppendQuote(body, key.Text())
}

// pathPart refuses what escaping cannot make harmless: servers and proxies
// resolve dots, escaped or not.
func pathPart(s string) bool { return s != "" && s != "." && s != ".." }

// request makes the HTTP request. http.NewRequest sets Content-Length and
// GetBody for a bytes.Reader.
//
// GetBody lets net/http send again by itself where that is certain to be
// harmless: when a kept-alive connection turned out dead before the first byte
// was written, or an HTTP/2 server said that it did not look at the stream. The
// attempts follow each other, so a segment still has one call at a time (I4).
// Beyond that net/http repeats a PUT only under an Idempotency-Key, which is
// left out on purpose: the outcome of the first would be unknown, and the
// second would go round the caller's permits.
func (c *Client) request(ctx context.Context, call Call, body []byte) (*http.Request, error) {
	action := "/uploadKeys?replace=false" // replace=true would wipe the segment (I5)
	if call.Verb == audience.Delete {
		action = "/removeKeys"
	}
	target := c.base + "/segments/" + url.PathEscape(call.Segment.Environment) + "/" + url.PathEscape(call.Segment.Name) + action
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.userAgent)
	authorize(req.Header, call.Token.Reveal())
	return req, nil
}

// authorize: Harness tokens go into a header of their own, Split's admin keys
// are bearer tokens (Split docs: authentication).
func authorize(header http.Header, token string) {
	if strings.HasPrefix(token, "pat.") || strings.HasPrefix(token, "sat.") {
		header.Set("x-api-key", token)
		return
	}
	header.Set("Authorization", "Bearer "+token)
}
