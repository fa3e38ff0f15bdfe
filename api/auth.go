package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"strings"
)

// authToken checks the token that all callers share. It keeps and compares
// hashes, so the time a check takes tells neither the token nor its length.
type authToken struct {
	whole, normal [sha256.Size]byte
	set           bool
}

func newAuthToken(token string) authToken {
	return authToken{whole: sha256.Sum256([]byte(token)), normal: sha256.Sum256([]byte(normal(token))), set: token != ""}
}

// matches reports whether an Authorization header carries the token: raw, as the
// lambda sends it; after the scheme Bearer; or after Token, as mParticle itself
// does. A scheme has no case and any number of blanks behind it (RFC 9110, 11.4).
// That holds for a token as well that was configured with a scheme in it.
func (t authToken) matches(header string) bool {
	header = strings.Trim(header, blanks)
	_, bare := cutScheme(header)
	return t.set && equal(header, t.whole)|equal(bare, t.whole)|equal(normal(header), t.normal) == 1
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

func equal(candidate string, hash [sha256.Size]byte) int {
	sum := sha256.Sum256([]byte(candidate))
	return subtle.ConstantTimeCompare(sum[:], hash[:])
}
