package api

import (
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// TestTokenUse: each token has a series with the time of its last use, also where two have
// one name; one that is taken out has none any more.
func TestTokenUse(t *testing.T) {
	token := func(name, text string) Token {
		return Token{Name: name, Hash: sha256.Sum256([]byte(text)), Text: text}
	}
	var held tokens
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(newTokenUse(&held))
	expect := func(lines string) {
		t.Helper()
		head := `# HELP audiences_auth_token_last_used_timestamp_seconds When a post showed the token last, in seconds since 1970; 0: not since the start.
# TYPE audiences_auth_token_last_used_timestamp_seconds gauge
`
		if err := testutil.GatherAndCompare(registry, strings.NewReader(head+lines)); err != nil {
			t.Error(err)
		}
	}
	held.set([]Token{token("a", "one"), token("authToken before", "two"), token("authToken before", "three"), token("b \xff", "four")})
	held.matches("one", time.Unix(1000, 0))
	held.matches("three", time.Unix(2000, 0))
	held.matches("two", time.Unix(1500, 0))
	held.matches("none", time.Unix(3000, 0))
	expect(`audiences_auth_token_last_used_timestamp_seconds{token="a"} 1000
audiences_auth_token_last_used_timestamp_seconds{token="authToken before"} 2000
audiences_auth_token_last_used_timestamp_seconds{token="b �"} 0
`)
	held.set([]Token{token("a", "one")})
	expect(`audiences_auth_token_last_used_timestamp_seconds{token="a"} 1000
`)
}
