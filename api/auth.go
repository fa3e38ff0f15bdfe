package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"strings"
)

// authToken checks the token that all callers share. It keeps and compares
// hashes, so the time a check takes tells neither the token nor its length.
type authToken struct {
	hash [sha256.Size]byte
	set  bool
}

func newAuthToken(token string) authToken {
	return authToken{hash: sha256.Sum256([]byte(token)), set: token != ""}
}

// matches reports whether an Authorization header carries the token, raw as the
// lambda sends it or after "Bearer ".
func (t authToken) matches(header string) bool {
	bare, _ := strings.CutPrefix(header, "Bearer ")
	return t.set && t.equals(header)|t.equals(bare) == 1
}

func (t authToken) equals(candidate string) int {
	hash := sha256.Sum256([]byte(candidate))
	return subtle.ConstantTimeCompare(hash[:], t.hash[:])
}
