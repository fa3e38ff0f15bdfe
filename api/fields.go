package api

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"audiences/audience"
)

// fields is a body as it was written, before anything is checked.
type fields struct {
	apiToken, workspaceID, environmentID, trafficTypeID, segment, verb field

	mpids mpids
}

// field is one member that should be a string. text is a string's content and
// any other value's JSON.
type field struct {
	kind jsontext.Kind // 0: absent
	text string
}

// mpids is the array of keys; fault is what is wrong with its first bad entry.
type mpids struct {
	kind    jsontext.Kind // 0: absent
	keys    audience.Packer
	ignored ignored
	fault   *failure
}

// named returns the place for the member of that name, nil for an unknown one.
// Names are compared with their case, as the old server did.
func (f *fields) named(name []byte) *field {
	switch string(name) {
	case "apiToken":
		return &f.apiToken
	case "workspaceId":
		return &f.workspaceID
	case "environmentId":
		return &f.environmentID
	case "trafficTypeId":
		return &f.trafficTypeID
	case "segment":
		return &f.segment
	case "verb":
		return &f.verb
	}
	return nil
}

// request checks everything: the verb first, as the old server did, then field
// by field. Beside an error it has the tenant, where the apiToken is good.
func (f *fields) request() (request, error) {
	verb, err := f.verb.asVerb()
	if err != nil {
		return request{}, err
	}
	token, err := f.apiToken.asToken("apiToken")
	if err != nil {
		return request{}, err
	}
	segment := audience.Segment{Tenant: audience.NewTenant(token).ID}
	ofTenant := request{change: audience.Change{Segment: audience.Segment{Tenant: segment.Tenant}}}
	for _, part := range []struct {
		name     string
		from     *field
		into     *string
		check    func(string) error
		optional bool
	}{
		{"environmentId", &f.environmentID, &segment.Environment, audience.ValidID, false},
		{"segment", &f.segment, &segment.Name, audience.ValidSegmentName, false},
		{"workspaceId", &f.workspaceID, &segment.Workspace, audience.ValidID, true},
		{"trafficTypeId", &f.trafficTypeID, &segment.TrafficType, audience.ValidID, true},
	} {
		if part.optional && part.from.isNull() {
			continue
		}
		if *part.into, err = part.from.asString(part.name, part.check); err != nil {
			return ofTenant, err
		}
	}
	if err := f.mpids.check(); err != nil {
		return ofTenant, err
	}
	change := audience.Change{Token: token, Segment: segment, Verb: verb, Keys: f.mpids.keys.Keys()}
	return request{change: change, verb: f.verb.text, ignored: f.mpids.ignored}, nil
}

func (f *field) isNull() bool { return f.kind == 0 || f.kind == 'n' }

func (f *field) asString(name string, check func(string) error) (string, error) {
	switch f.kind {
	case 0:
		return "", badField(name, "%s is missing", name)
	case '"':
	default:
		return "", badField(name, "%s must be a string, not %s", name, kindName(f.kind))
	}
	if err := check(f.text); err != nil {
		return "", badField(name, "%s %v", name, err)
	}
	return f.text, nil
}

func (f *field) asToken(name string) (token audience.Token, err error) {
	_, err = f.asString(name, func(s string) (err error) {
		token, err = audience.ParseToken(s)
		return err
	})
	return token, err
}

// longVerb is how many bytes a verb has at most that is looked at: the error of
// one that is wrong quotes it, and takes several times its size.
const longVerb = 64

func (f *field) asVerb() (audience.Verb, error) {
	text := f.text
	switch f.kind {
	case 'n':
		text = ""
	case '{', '[':
		return 0, badField("verb", "invalid verb: it is %s; must be add or delete", kindName(f.kind))
	}
	if len(text) <= longVerb {
		verb, err := audience.ParseVerb(text)
		switch {
		case err == nil:
			return verb, nil
		case repeatable(text):
			return 0, badField("verb", "%v", err)
		}
	}
	return 0, badField("verb", "invalid verb of %d characters; must be add or delete", utf8.RuneCountInString(text))
}

// repeatable reports whether the answer may repeat a wrong verb, as the wire
// contract has it. A caller that mixed its fields up has a token or a key there,
// so only what could be meant as a verb comes back: up to eight letters and
// blanks, or up to three characters of any kind.
func repeatable(verb string) bool {
	if utf8.RuneCountInString(verb) <= 3 {
		return true
	}
	return len(verb) <= 8 && strings.Trim(verb, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ") == ""
}

// take puts one entry with the keys, digit for digit, or counts it as ignored,
// or notes what is wrong with it.
func (m *mpids) take(index int, raw jsontext.Value, d *decoder) {
	text := []byte(raw)
	var err error
	switch raw.Kind() {
	case 'n':
		m.ignored.null++
		return
	case '0':
	case '"':
		text, err = d.text(raw)
	default:
		err = fmt.Errorf("must be a string or a number, not %s", kindName(raw.Kind()))
	}
	if err == nil {
		err = m.keys.Add(text)
	}
	switch {
	case err == nil:
	case errors.Is(err, audience.ErrBlankKey):
		m.ignored.blank++
	default:
		m.fault = badField("mpids", "mpids[%d]: %v", index, err)
	}
}

// check refuses what is not an array of keys. An array without any key is fine:
// a 4xx would make the lambda drop what else it has to send.
func (m *mpids) check() error {
	switch {
	case m.kind == 0:
		return badField("mpids", "mpids is missing")
	case m.kind != '[':
		return badField("mpids", "mpids must be an array of strings and numbers, not %s", kindName(m.kind))
	case m.fault != nil:
		return m.fault
	}
	return nil
}

// kindName names a JSON type for a person.
func kindName(kind jsontext.Kind) string {
	switch kind {
	case 'n':
		return "null"
	case 't', 'f':
		return "a boolean"
	case '"':
		return "a string"
	case '0':
		return "a number"
	case '{':
		return "an object"
	case '[':
		return "an array"
	}
	return "something else"
}
