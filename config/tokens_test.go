package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var hunterHash = sha256.Sum256([]byte("hunter2"))

// TestTokensFromEverywhere: the file, a variable and a file of its own give the same, and
// with them authToken may be missing.
func TestTokensFromEverywhere(t *testing.T) {
	list := `[{"name": "old", "token": "hunter1", "until": "2199-12-31"}, // ends
		{"name": "new", "tokenHash": "` + hex.EncodeToString(hunterHash[:]) + `", "until": "2199-12-31T18:00:00+02:00"}, {"name": "for ever", "token": "hunter3"}]`
	want := []AuthToken{
		{Name: "old", Token: NewSecret("hunter1"), Hash: sha256.Sum256([]byte("hunter1")), Until: time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)},
		{Name: "new", Hash: hunterHash, Until: time.Date(2199, 12, 31, 16, 0, 0, 0, time.UTC)},
		{Name: "for ever", Token: NewSecret("hunter3"), Hash: sha256.Sum256([]byte("hunter3"))},
	}
	file := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(file, []byte(list+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	without := `{"keyFile": "k"}`
	for where, c := range map[string]Config{
		"the file":   mustParse(t, `{"keyFile": "k", "authTokens": `+list+`}`, nil),
		"a variable": mustParse(t, without, map[string]string{"AUDIENCES_AUTH_TOKENS": list}),
		"its file":   mustParse(t, without, map[string]string{"AUDIENCES_AUTH_TOKENS_FILE": file}),
	} {
		for i := range c.AuthTokens {
			c.AuthTokens[i].Until = c.AuthTokens[i].Until.UTC()
			if c.AuthTokens[i].Until.IsZero() {
				c.AuthTokens[i].Until = time.Time{}
			}
		}
		if !reflect.DeepEqual(c.AuthTokens, want) || !reflect.DeepEqual(c.Tokens(), c.AuthTokens) {
			t.Errorf("%s gave %v", where, c.AuthTokens)
		}
		if len(c.Warnings) > 0 {
			t.Errorf("%s: %v", where, c.Warnings)
		}
		if shown := fmt.Sprintf("%v %+v %#v", c, c, c); strings.Contains(shown, "hunter") {
			t.Errorf("a configuration prints secrets: %s", shown)
		}
	}
	if c := mustParse(t, with(`"authTokens": `+list), nil); len(c.Tokens()) != 4 || c.Tokens()[0].Name != SingleToken || c.Tokens()[0].Hash != sha256.Sum256([]byte(c.AuthToken.Reveal())) {
		t.Errorf("beside authToken: %v", c.Tokens())
	}
}

// TestTokensRules: what is wrong is a fault that repeats nothing of it (I7).
func TestTokensRules(t *testing.T) {
	sum := hex.EncodeToString(hunterHash[:])
	one := func(fields string) string { return `[{"name": "a", ` + fields + `}]` }
	for list, want := range map[string]string{
		`"hunter2"`: "it is not JSON", `5`: "a list of tokens", `["hunter2"]`: "token 1: it must be an object",
		`[{"token": "hunter2"}]`:                                           "token 1: name must be",
		`[{"name": "authToken", "token": "hunter2"}]`:                      "token 1: its name is that of the key",
		one(`"tokens": "hunter2"`):                                         "token 1: it has an unknown field; the fields are name, token, tokenHash, until",
		one(`"token": "hunter2", "tokenHash": "` + sum + `"`):              "token 1: one of token and tokenHash",
		one(`"until": "2199-12-31"`):                                       "token 1: one of token and tokenHash",
		one(`"token": " hunter2"`):                                         "token 1: token must be",
		one(`"token": ""`):                                                 "token 1: token must be",
		one(`"token": 5`):                                                  "token 1: token must be text",
		one(`"tokenHash": "` + sum[1:] + `"`):                              "token 1: tokenHash must be",
		one(`"tokenHash": "` + sum + `0"`):                                 "token 1: tokenHash must be",
		one(`"tokenHash": "` + sum[1:] + `g"`):                             "token 1: tokenHash must be",
		one(`"tokenHash": ""`):                                             "token 1: tokenHash must be",
		one(`"token": "hunter2", "until": "tomorrow"`):                     "token 1: until must be",
		one(`"token": "hunter2", "until": "2199-02-30"`):                   "token 1: until must be",
		one(`"token": "hunter2", "until": ""`):                             "token 1: until must be",
		`[{"name": "a", "token": "hunter2"}, {"name": "a", "token": "x"}]`: "token 2: its name is that of token 1",
		`[{"name": "a", "token": "x"}, {"name": "b", "token": "x"}]`:       `the tokens "a" and "b" are the same`,
		one(`"tokenHash": "` + strings.ToUpper(hexOf("t0ken")) + `"`):      `the tokens "authToken" and "a" are the same`,
		"[" + strings.Repeat(`{"name": "a", "token": "x"},`, 101) + "]":    "more than 100 tokens",
	} {
		faults := faultsOf(t, with(`"authTokens": `+list), nil)
		if len(faults) != 1 || faults[0].Key != "authTokens" || faults[0].Line != 4 || !strings.Contains(faults[0].Problem, want) {
			t.Errorf("%.200s\n\tgave %v\n\twant one fault on line 4 with %q", list, faults, want)
		}
		if strings.Contains(faults.Error(), "hunter") || strings.Contains(faults.Error(), sum) {
			t.Errorf("%.200s: a fault repeats a secret: %v", list, faults)
		}
	}
	for _, text := range []string{`{"keyFile": "k"}`, `{"keyFile": "k", "authTokens": []}`} {
		if faults := faultsOf(t, text, nil); len(faults) != 1 || faults[0].Key != "authToken" {
			t.Errorf("%s: %v", text, faults)
		}
	}
}

// TestTokenWarnings: a token that has ended is said, and the one that everybody knows.
func TestTokenWarnings(t *testing.T) {
	c := mustParse(t, with(`"authTokens": [{"name": "a", "token": "x", "until": "2020-01-01"}, {"name": "b", "token": "`+Placeholder+`"}]`), nil)
	if len(c.Warnings) != 2 || !strings.Contains(c.Warnings[0], `"a" has ended, at 2020-01-02T00:00:00Z`) || !strings.Contains(c.Warnings[1], `"b" is still the placeholder`) {
		t.Errorf("%q", c.Warnings)
	}
}

func hexOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}
