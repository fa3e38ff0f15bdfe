package config

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestChanged names the keys that differ, and no other: each of them may.
func TestChanged(t *testing.T) {
	before := mustParse(t, with(`"tenantNames": {"0123456789ab": "acme"}, "authTokens": [{"name": "a", "token": "x", "until": "2199-01-01"}]`), nil)
	same := mustParse(t, with(`"tenantNames": {"0123456789ab": "acme"}, "authTokens": [{"name": "a", "token": "x", "until": "2199-01-01"}]`), nil)
	if names := Changed(before, same); len(names) > 0 {
		t.Errorf("the same: %v", names)
	}
	after := mustParse(t, `{"authToken": "other", "keyFile": "k.jks", "tenantNames": {"0123456789ab": "acme2"}, "segmentsFlushRateInSeconds": 11, "authTokens": [{"name": "a", "token": "x"}]}`, nil)
	if names := Changed(before, after); !slices.Equal(names, []string{"authToken", "authTokens", "segmentsFlushRateInSeconds", "tenantNames"}) {
		t.Errorf("%v", names)
	}
}

// TestSecretFiles: what a variable names with _FILE is looked at, also when it cannot be
// read, and nothing else is.
func TestSecretFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	environ := []string{"AUDIENCES_AUTH_TOKEN_FILE=" + file, "AUDIENCES_PORT_FILE=" + file + "2", "OTHER_FILE=" + file + "3"}
	seen := map[[32]byte]string{}
	look := func(what string, new bool) {
		t.Helper()
		sum := SecretFiles(environ)
		if _, known := seen[sum]; known == new {
			t.Errorf("%s: is it another one? %v; seen %q", what, new, seen[sum])
		}
		seen[sum] = what
	}
	write := func(suffix, text string) {
		t.Helper()
		if err := os.WriteFile(file+suffix, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	look("absent", true)
	look("absent still", false)
	write("", "")
	look("empty", true)
	write("", "one")
	look("one", true)
	write("2", "x")
	write("3", "x")
	look("files of others", false)
	write("", "two")
	look("two", true)
}
