package postgres

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestParse: what cannot be used is said in words that quote no password, and a file that is
// not there is not taken for a URL that is wrong.
func TestParse(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(dir, "other.pem")
	if err := os.WriteFile(other, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	const login = "postgres://relay:topsecret@db.example.com/relay?sslmode=verify-full"
	for more, want := range map[string]string{
		"":                                  "",
		"&target_session_attrs=read-write":  "",
		"&sslrootcert=" + dir + "/none.pem": "open " + dir + "/none.pem: no such file",
		"&sslcert=" + other + "&sslkey=" + dir + "/k": "open " + dir + "/k: no such file",
		"&sslrootcert=" + other:                       "a file that it names for TLS",
		"&target_session_attrs=any-one":               "is no URL",
		"&default_query_exec_mode=exec":               "default_query_exec_mode",
	} {
		_, err := parse(login + more)
		switch {
		case want == "" && err == nil:
		case want == "" || err == nil || !strings.Contains(err.Error(), want):
			t.Errorf("%s: %v, want %q", more, err, want)
		case strings.Contains(err.Error(), "topsecret"):
			t.Errorf("%s: %v", more, err)
		}
	}
}
