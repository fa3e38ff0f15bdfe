package audience

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"unique"
)

// Token is a tenant's apiToken, the credential for its Split organisation. It
// cannot be printed, logged or marshalled (I7); Reveal is the one way out. The
// secret lies behind a handle, which prints as an address: so it does not show in
// a struct either that has a Token in an unexported field, where package fmt asks
// no method. Tokens can be compared. The zero value is no token.
type Token struct{ secret unique.Handle[string] }

// MaxTokenLength is the greatest length of an apiToken in bytes. Split's tokens
// have under 100; the limit only keeps nonsense off the disk.
const MaxTokenLength = 1024

// ErrBadToken says what an apiToken must look like: it becomes a part of an HTTP
// header, where a newline would let a caller add headers of their own.
var ErrBadToken = errors.New("must be 1 to 1024 printable ASCII characters without blanks")

// ParseToken checks an apiToken. Its error never contains the token.
func ParseToken(s string) (Token, error) {
	if s == "" || len(s) > MaxTokenLength {
		return Token{}, ErrBadToken
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return Token{}, ErrBadToken
		}
	}
	return Token{secret: unique.Make(s)}, nil
}

// Reveal returns the token itself; "" for the zero value.
func (t Token) Reveal() string {
	if t == (Token{}) {
		return ""
	}
	return t.secret.Value()
}

// String hides the token (I7).
func (t Token) String() string { return "[token]" }

// GoString hides the token (I7).
func (t Token) GoString() string { return "[token]" }

// LogValue hides the token (I7).
func (t Token) LogValue() slog.Value { return slog.StringValue("[token]") }

// MarshalText hides the token (I7).
func (t Token) MarshalText() ([]byte, error) { return []byte("[token]"), nil }

// TenantID identifies a tenant without giving its token away: the first 16
// bytes of a SHA-256 over a text of ours and the token (NewTenant). 128 bits, so that two tokens never share
// an actor, a queue or a record (I9); people are shown the first 6 bytes.
type TenantID [16]byte

// String is the fingerprint that people see: 12 hexadecimal digits.
func (id TenantID) String() string { return hex.EncodeToString(id[:6]) }

// MarshalText writes the fingerprint.
func (id TenantID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// Tenant is one customer's credential with its identity.
type Tenant struct {
	ID    TenantID
	Token Token
}

// NewTenant gives the token its identity.
func NewTenant(token Token) Tenant {
	sum := sha256.Sum256([]byte("audiences tenant\x00" + token.Reveal()))
	return Tenant{ID: TenantID(sum[:16]), Token: token}
}
