package api

import (
	"crypto/sha256"
	"testing"
	"time"
)

// TestSeveralTokens: each of them lets in, until it ends; one that is known by its hash alone
// as well. When each was shown last is known, also after others have come.
func TestSeveralTokens(t *testing.T) {
	var held tokens
	now := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	old, hashed := tokenOf("old", "foo"), Token{Name: "hashed", Hash: sha256.Sum256([]byte("bar"))}
	old.Until = now.Add(time.Hour)
	held.set([]Token{old, hashed})
	expect := func(header string, at time.Time, want bool) {
		t.Helper()
		if held.matches(header, at) != want {
			t.Errorf("%q at %v: %v", header, at, !want)
		}
	}
	expect("foo", now, true)
	expect("Bearer foo", now.Add(time.Hour-1), true)
	expect("foo", now.Add(time.Hour), false)
	expect("bar", now.Add(2*time.Hour), true)
	expect("token  bar", now.Add(2*time.Hour), true)
	expect("BAR", now, false)
	expect("", now, false)
	later := now.Add(3 * time.Hour)
	held.set([]Token{hashed, tokenOf("new", "baz")})
	expect("foo", now, false)
	if uses := held.uses(); len(uses) != 2 || uses[0].Name != "hashed" || !uses[0].Last.Equal(now.Add(2*time.Hour)) || !uses[1].Last.IsZero() {
		t.Errorf("%+v", uses)
	}
	expect("baz", later, true)
	if uses := held.uses(); !uses[1].Last.Equal(later) {
		t.Errorf("%+v", uses)
	}
}
