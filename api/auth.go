package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"strings"
	"sync/atomic"
	"time"

	"audiences/status"
)

// Token is one of the tokens that callers may show.
type Token struct {
	Name  string            // what operators know it by
	Hash  [sha256.Size]byte // SHA-256 of the bare token
	Text  string            // "": the hash alone is known
	Until time.Time         // when it ends; zero: never
}

// tokens are what callers may show. They keep and compare hashes, and always all of them,
// so that the time a check takes tells neither a token nor its length, nor which one it was.
type tokens struct{ held atomic.Pointer[[]*heldToken] }

type heldToken struct {
	Token
	normal    [sha256.Size]byte
	hasNormal int           // 1: normal is one
	lastUse   *atomic.Int64 // in seconds since 1970; 0: not yet
}

// set replaces all tokens. One that stays keeps when it was used.
func (t *tokens) set(list []Token) {
	used := map[[sha256.Size]byte]*atomic.Int64{}
	for _, h := range t.all() {
		used[h.Hash] = h.lastUse
	}
	held := make([]*heldToken, len(list))
	for i, token := range list {
		h := &heldToken{Token: token, lastUse: used[token.Hash]}
		if h.lastUse == nil {
			h.lastUse = new(atomic.Int64)
		}
		if h.Text != "" {
			h.normal, h.hasNormal = sha256.Sum256([]byte(normal(h.Text))), 1
		}
		h.Text = ""
		held[i] = h
	}
	t.held.Store(&held)
}

func (t *tokens) all() []*heldToken {
	if held := t.held.Load(); held != nil {
		return *held
	}
	return nil
}

// uses tells of each token when it was shown last.
func (t *tokens) uses() (list []status.Token) {
	for _, h := range t.all() {
		use := status.Token{Name: h.Name, Until: h.Until}
		if at := h.lastUse.Load(); at != 0 {
			use.Last = time.Unix(at, 0).UTC()
		}
		list = append(list, use)
	}
	return list
}

// matches reports whether an Authorization header carries a token that has not ended: raw,
// as the lambda sends it; after the scheme Bearer; or after Token, as mParticle itself
// does. A scheme has no case and any number of blanks behind it (RFC 9110, 11.4).
// That holds for a token as well that was configured with a scheme in it.
func (t *tokens) matches(header string, now time.Time) bool {
	header = strings.Trim(header, blanks)
	_, bare := cutScheme(header)
	whole, bareSum, normalSum := sha256.Sum256([]byte(header)), sha256.Sum256([]byte(bare)), sha256.Sum256([]byte(normal(header)))
	var found *heldToken
	for _, h := range t.all() {
		same := subtle.ConstantTimeCompare(whole[:], h.Hash[:]) | subtle.ConstantTimeCompare(bareSum[:], h.Hash[:]) |
			h.hasNormal&subtle.ConstantTimeCompare(normalSum[:], h.normal[:])
		if same == 1 && (h.Until.IsZero() || now.Before(h.Until)) {
			found = h
		}
	}
	if found == nil {
		return false
	}
	found.lastUse.Store(now.Unix())
	return true
}

const blanks = " \t"

// cutScheme takes the scheme off; a header without one that we know is returned
// whole.
func cutScheme(header string) (scheme, token string) {
	end := strings.IndexAny(header, blanks)
	if end < 0 {
		return "", header
	}
	for _, scheme := range []string{"bearer", "token"} {
		if strings.EqualFold(header[:end], scheme) {
			return scheme, strings.Trim(header[end:], blanks)
		}
	}
	return "", header
}

// normal is one way to write all the ways of writing the same.
func normal(header string) string {
	scheme, token := cutScheme(header)
	return scheme + " " + token
}
