package audience

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"
)

// Verb says what a change does with its keys. The zero value is no verb.
type Verb uint8

// The verbs. Their values are stored in the journal and must not change.
const (
	Add    Verb = 1
	Delete Verb = 2
)

// ParseVerb accepts add and delete in any case.
func ParseVerb(s string) (Verb, error) {
	switch {
	case strings.EqualFold(s, "add"):
		return Add, nil
	case strings.EqualFold(s, "delete"):
		return Delete, nil
	}
	return 0, fmt.Errorf("invalid verb %q; must be add or delete", s)
}

// Opposite is delete for add and add for delete.
func (v Verb) Opposite() Verb { return Add + Delete - v }

// String is the verb in lower case.
func (v Verb) String() string {
	switch v {
	case Add:
		return "add"
	case Delete:
		return "delete"
	}
	return fmt.Sprintf("verb(%d)", uint8(v))
}

// MarshalText writes the verb in lower case.
func (v Verb) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads a verb as ParseVerb does.
func (v *Verb) UnmarshalText(text []byte) (err error) {
	*v, err = ParseVerb(string(text))
	return err
}

// Change is the unit that is accepted: one verb for some keys of one segment. Whose
// segment it is stands in the segment; the token is that tenant's.
type Change struct {
	Token   Token
	Segment Segment
	Verb    Verb
	Keys    Keys
	Came    time.Time // when this process had read it whole; zero: when it was handed on
}

// Tenant is whose change it is.
func (c Change) Tenant() Tenant { return Tenant{ID: c.Segment.Tenant, Token: c.Token} }

// String shows neither token nor keys (I7).
func (c Change) String() string {
	return fmt.Sprintf("%s %d keys, tenant %s, segment %s", c.Verb, c.Keys.Len(), c.Segment.Tenant, c.Segment.Name)
}

// Format shows neither token nor keys, whatever the verb (I7).
func (c Change) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, c.String()) }

// LogValue shows neither token nor keys (I7).
func (c Change) LogValue() slog.Value { return slog.StringValue(c.String()) }
