package api

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"audiences/audience"
)

// decoder turns POST bodies into requests, strictly: one object, no field twice,
// valid UTF-8. Unknown fields are skipped, and nothing is kept of their names: to
// tell whether one stands there twice would take many times what the body does. It is reused, as it keeps its
// buffers, by one goroutine at a time.
//
// It takes at most three bytes of memory for each byte of body, which with the
// body itself makes four, beside a few kilobytes: keys that stand there twice fall
// out as they are read, and packed keys take no more than their JSON did.
type decoder struct {
	json     jsontext.Decoder
	input    bytes.Buffer
	unquoted []byte
	maxKeys  int // distinct ones of one body
}

// request is what one body asks for.
type request struct {
	change  audience.Change
	verb    string // as it was written, which the answer repeats
	ignored ignored
}

// ignored counts the entries of mpids that are no key: null, which the lambda
// sends for a profile without an MPID, and blank strings.
type ignored struct{ null, blank int }

// decode reads the whole body, then checks the verb and after it the fields in a
// fixed order, so that one body always gets the same answer. The error is a
// *failure with status 400, or 413 for too many keys; the request has then the tenant
// at most. The request does not refer to the body.
func (d *decoder) decode(body []byte) (request, error) {
	d.input = *bytes.NewBuffer(body)
	d.json.Reset(&d.input, jsontext.AllowDuplicateNames(true))
	var f fields
	if err := d.object(&f); err != nil {
		return request{}, describe(err)
	}
	return f.request()
}

func (d *decoder) object(f *fields) error {
	start, err := d.json.ReadToken()
	switch {
	case errors.Is(err, io.EOF):
		return invalidBody("it is empty")
	case err != nil:
		return err
	case start.Kind() != '{':
		return invalidBody("it must be a JSON object, not %s", kindName(start.Kind()))
	}
	for d.json.PeekKind() != '}' {
		if err := d.member(f); err != nil {
			return err
		}
	}
	if _, err := d.json.ReadToken(); err != nil {
		return err
	}
	end := d.json.InputOffset()
	_, err = d.json.ReadToken()
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err == nil:
		return invalidBody("there is more after the object's end at byte %d", end)
	}
	return err
}

func (d *decoder) member(f *fields) error {
	raw, err := d.json.ReadValue()
	if err != nil {
		return err
	}
	name, err := d.text(raw)
	if err != nil {
		return err
	}
	if string(name) == "mpids" {
		if f.mpids.kind != 0 {
			return twice("mpids")
		}
		return d.mpids(&f.mpids)
	}
	if target := f.named(name); target != nil {
		if target.kind != 0 {
			return twice(string(name))
		}
		return d.field(target)
	}
	return d.json.SkipValue()
}

func twice(name string) *failure {
	f := invalidBody("%s stands there twice", name)
	f.field = name
	return f
}

func (d *decoder) field(into *field) error {
	raw, err := d.json.ReadValue()
	if err != nil {
		return err
	}
	into.kind = raw.Kind()
	text := []byte(raw)
	if into.kind == '"' {
		if text, err = d.text(raw); err != nil {
			return err
		}
	}
	into.text = string(text)
	return nil
}

// mpids reads the array. A bad entry does not end the reading: a fault of
// another field may have to be told first. One key too many does, so that what it
// costs to refuse a post is bounded too.
func (d *decoder) mpids(into *mpids) error {
	if into.kind = d.json.PeekKind(); into.kind != '[' {
		return d.json.SkipValue()
	}
	if _, err := d.json.ReadToken(); err != nil {
		return err
	}
	for index := 0; d.json.PeekKind() != ']'; index++ {
		raw, err := d.json.ReadValue()
		if err != nil {
			return err
		}
		if into.fault == nil {
			into.take(index, raw, d)
		}
		if into.keys.Len() > d.maxKeys {
			return tooManyKeys(d.maxKeys)
		}
	}
	_, err := d.json.ReadToken()
	return err
}

// compressed tells why what is no object is none: by what the header says, or by
// how gzip begins. A header alone is not believed, as the old server never looked
// at it.
func compressed(header http.Header, body []byte) bool {
	encoding := strings.TrimSpace(header.Get("Content-Encoding"))
	said := encoding != "" && !strings.EqualFold(encoding, "identity")
	start := bytes.TrimLeft(body, " \t\r\n")
	return bytes.HasPrefix(body, []byte("\x1f\x8b")) || said && !bytes.HasPrefix(start, []byte("{"))
}

// text is the content of a JSON string, valid until the next call.
func (d *decoder) text(raw jsontext.Value) ([]byte, error) {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1], nil
	}
	var err error
	d.unquoted, err = jsontext.AppendUnquote(d.unquoted[:0], raw)
	return d.unquoted, err
}

// describe says what is wrong with a body and where. It repeats nothing of the
// body, as any part of it may be of a token or a key (I7): neither the library's
// errors, which quote what they met, nor a JSON pointer, which could lead through
// anything; a known field's name at most.
func describe(err error) error {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	syntax, ok := errors.AsType[*jsontext.SyntacticError](err)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return invalidBody("the JSON ends too early")
	case !ok:
		return invalidBody("not valid JSON")
	}
	return invalidBody("%s at byte %d", nature(syntax.Err), syntax.ByteOffset)
}

// natures are the beginnings of the library's errors that are said to the caller.
var natures = []string{
	"invalid character", "invalid escape sequence", "invalid surrogate pair", "invalid UTF-8",
	"exceeded max depth", "object member name must be a string", "missing value after object name",
}

// nature is what an error says before it quotes.
func nature(err error) string {
	for _, text := range natures {
		if err != nil && strings.HasPrefix(err.Error(), text) {
			return text
		}
	}
	return "not valid JSON"
}
