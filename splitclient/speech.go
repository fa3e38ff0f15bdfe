package splitclient

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// speech is what an answer's body says of success. Split answers uploadKeys with
// the segment's object and removeKeys with {"code":200,...}; its refusals are
// {"code","message",...} or empty (Split docs: segments, errors).
type speech uint8

const (
	silent   speech = iota // nothing: no body, null, or an object that does not speak of it
	success                // an object with a code of 2xx
	denial                 // an object that speaks of an error
	notSplit               // no whole JSON object: somebody else, or half of what Split said
)

// listen reads the members of the outermost object. Where there is more of the
// body than is given, its beginning decides.
func listen(body []byte, more bool) speech {
	if len(body) == 0 {
		return silent
	}
	// Neither repeated names nor broken characters make a success a failure.
	d := jsontext.NewDecoder(bytes.NewReader(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	heard, err := members(d)
	if err != nil && !(more && errors.Is(err, io.ErrUnexpectedEOF)) {
		return notSplit
	}
	return heard
}

func members(d *jsontext.Decoder) (heard speech, err error) {
	switch first, err := d.ReadToken(); {
	case err != nil || first.Kind() != '{' && first.Kind() != 'n':
		return notSplit, nil
	case first.Kind() == '{':
		for d.PeekKind() == '"' {
			name, err := d.ReadToken()
			if err != nil {
				return heard, err
			}
			word := strings.ToLower(name.String())
			value, err := d.ReadValue()
			if err != nil {
				return heard, err
			}
			heard = max(heard, member(word, value))
		}
		if _, err := d.ReadToken(); err != nil {
			return heard, err
		}
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return notSplit, nil // something behind the object
	}
	return heard, nil
}

// member judges one member. Beside Split's code these are the names under which
// gateways and frameworks report an error with a status of 200.
func member(name string, value jsontext.Value) speech {
	switch name {
	case "code":
		return code(value, denial)
	case "status", "statuscode":
		return code(value, silent) // of a segment, a status may be a word
	case "error", "errors", "errormessage", "errortype", "exception", "fault":
		if !hollow(value) {
			return denial
		}
	case "success", "ok":
		if value.Kind() == 'f' {
			return denial
		}
	}
	return silent
}

// code judges a status in a body, a number or one in quotes; any other value but
// null means what the caller says.
func code(value jsontext.Value, otherwise speech) speech {
	text := string(value)
	switch value.Kind() {
	case 'n':
		return silent
	case '"':
		unquoted, err := jsontext.AppendUnquote(nil, value)
		if err != nil {
			return otherwise
		}
		text = strings.TrimSpace(string(unquoted))
		switch strings.ToLower(text) {
		case "error", "fail", "failed", "failure":
			return denial
		}
	}
	n, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil:
		return otherwise
	case n >= 200 && n < 300:
		return success
	}
	return denial
}

// hollow: null, false, 0, and what is empty report no error.
func hollow(value jsontext.Value) bool {
	value = value.Clone()
	if value.Compact() != nil {
		return false
	}
	switch string(value) {
	case "null", "false", "0", `""`, "{}", "[]":
		return true
	}
	return false
}
