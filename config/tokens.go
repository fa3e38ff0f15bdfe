package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/tailscale/hujson"
)

const maxTokens = 100 // of authTokens

// SingleToken is what operators know the token of the key authToken by.
const SingleToken = "authToken"

// AuthToken is one of the tokens that callers may show.
type AuthToken struct {
	Name  string
	Hash  [sha256.Size]byte // of the bare token
	Token Secret            // empty where the configuration has the hash alone
	Until time.Time         // when it ends; zero: never
}

// Ended reports whether the token lets nobody in any more.
func (t AuthToken) Ended(now time.Time) bool { return !t.Until.IsZero() && !now.Before(t.Until) }

// Tokens are all tokens that callers may show: that of authToken, where there is one, and
// those of authTokens.
func (c Config) Tokens() (all []AuthToken) {
	if token := c.AuthToken.Reveal(); token != "" {
		all = append(all, AuthToken{Name: SingleToken, Token: c.AuthToken, Hash: sha256.Sum256([]byte(token))})
	}
	return append(all, c.AuthTokens...)
}

// tokens takes a list of tokens. Its errors repeat nothing of it (I7).
func (v value) tokens() ([]AuthToken, error) {
	return named(v, "token", maxTokens, tokenOf, func(t AuthToken) string { return t.Name })
}

func tokenOf(element hujson.Value) (t AuthToken, err error) {
	fields, err := textsOf(element, "name", "token", "tokenHash", "until")
	if err != nil {
		return t, err
	}
	token, hasToken := fields["token"]
	hash, hasHash := fields["tokenHash"]
	until, ends := fields["until"]
	t = AuthToken{Name: fields["name"], Token: NewSecret(token), Hash: sha256.Sum256([]byte(token))}
	switch {
	case !isUserName(t.Name):
		return t, fmt.Errorf("name must be 1 to %d printable characters without blanks around them", maxUserName)
	case t.Name == SingleToken:
		return t, errors.New("its name is that of the key authToken")
	case hasToken == hasHash:
		return t, errors.New("one of token and tokenHash must be there, and not both")
	case hasToken && headerValue(token) != nil:
		return t, errors.New("token must be printable ASCII text without blanks around it")
	}
	if hasHash {
		if n, err := hex.Decode(t.Hash[:], []byte(hash[:min(len(hash), 2*sha256.Size)])); err != nil || n != sha256.Size || len(hash) != 2*sha256.Size {
			return t, fmt.Errorf("tokenHash must be a SHA-256 sum, %d hexadecimal digits, as printf %%s TOKEN | sha256sum makes it", 2*sha256.Size)
		}
	}
	if ends {
		t.Until, err = endOf(until)
	}
	return t, err
}

// endOf is when something ends: at a time, or with a day, which counts by UTC.
func endOf(text string) (time.Time, error) {
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return day.AddDate(0, 0, 1), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, errors.New("until must be a day such as 2026-12-31, which counts by UTC and is the last one, or a time such as 2026-12-31T18:00:00Z")
	}
	return at, nil
}

// sameTokens are faults: who has lost one of them would have it changed, and the other one
// would let others in.
func (l *loader) sameTokens() {
	taken := map[[sha256.Size]byte]string{}
	for _, t := range l.config.Tokens() {
		if first := taken[t.Hash]; first != "" {
			l.fault(l.place("authTokens"), fmt.Sprintf("the tokens %s and %s are the same", quoted(first), quoted(t.Name)))
		}
		taken[t.Hash] = t.Name
	}
}

func (l *loader) tokenWarnings(now time.Time) (all []string) {
	for _, t := range l.config.Tokens() {
		if t.Ended(now) {
			all = append(all, fmt.Sprintf("the token %s has ended, at %s: it lets nobody in", quoted(t.Name), t.Until.UTC().Format(time.RFC3339)))
		}
		if t.Hash == sha256.Sum256([]byte(Placeholder)) {
			all = append(all, fmt.Sprintf("the token %s is still the placeholder that everybody knows; choose one of your own", quoted(t.Name)))
		}
	}
	return all
}
