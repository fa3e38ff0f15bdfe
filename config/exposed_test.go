package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestSecretFilesOfAll: each file with a secret that everybody may use is named once, with its
// mode and what to do, and refused where that is asked for; nothing else is.
func TestSecretFilesOfAll(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, c := range []struct {
		what     string
		file     string // members of the configuration, beside keyFile
		mode     os.FileMode
		environ  []string
		modes    map[string]os.FileMode // of other files
		exposed  []string               // files
		contents string                 // of what one holds
	}{
		{what: "its owner's", file: `"authToken": "x"`, mode: 0o600},
		{what: "its group's", file: `"authToken": "x"`, mode: 0o440},
		{what: "everybody's", file: `"authToken": "x"`, mode: 0o644, exposed: []string{"c"}, contents: "holds authToken, and everybody on this machine may use it (mode 0644); chmod o-rwx"},
		{what: "to be written", file: `"authToken": "x"`, mode: 0o602, exposed: []string{"c"}},
		{what: "without a secret", file: `"authToken": "change-me", "keyPassword": "password", "tenantNames": {"0123456789ab": "n"}`, mode: 0o644},
		{what: "with several", file: `"authToken": "x", "keyPassword": "y"`, mode: 0o644, exposed: []string{"c"}, contents: "holds authToken, keyPassword, and"},
		{what: "with hashes alone", file: `"authTokens": [{"name": "a", "tokenHash": "` + strings.Repeat("0", 64) + `"}]`, mode: 0o644},
		{what: "with a token in a list", file: `"authTokens": [{"name": "a", "token": "x"}]`, mode: 0o644, exposed: []string{"c"}},
		{what: "beaten by the environment", file: `"authToken": "x"`, mode: 0o644, environ: []string{"AUDIENCES_AUTH_TOKEN=y"}},
		{what: "a file of its own", mode: 0o644, environ: []string{"AUDIENCES_AUTH_TOKEN_FILE=" + at("token")}, modes: map[string]os.FileMode{"token": 0o444}, exposed: []string{"token"}},
		{what: "a closed file of its own", mode: 0o644, environ: []string{"AUDIENCES_AUTH_TOKEN_FILE=" + at("token")}, modes: map[string]os.FileMode{"token": 0o400}},
		{what: "the key file", file: `"authToken": "x"`, mode: 0o600, modes: map[string]os.FileMode{"k.jks": 0o644}, exposed: []string{"k.jks"}},
		{what: "the journal's key", file: `"authToken": "x", "journalKeyFile": "j.key"`, mode: 0o600, modes: map[string]os.FileMode{"j.key": 0o640}},
		{what: "the journal's key, open", file: `"authToken": "x", "journalKeyFile": "j.key"`, mode: 0o600, modes: map[string]os.FileMode{"j.key": 0o644}, exposed: []string{"j.key"}},
		{what: "its users", file: `"authToken": "change-me", "adminUsers": [{"name": "a", "role": "viewer", "token": "` + strings.Repeat("t", 32) + `"}]`, mode: 0o644, exposed: []string{"c"}},
	} {
		write := func(name, text string, mode os.FileMode) {
			t.Helper()
			_ = os.Remove(at(name))
			if err := errors.Join(os.WriteFile(at(name), []byte(text), 0o600), os.Chmod(at(name), mode)); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range []string{"token", "k.jks", "j.key"} {
			mode := c.modes[name]
			if mode == 0 {
				mode = 0o600
			}
			write(name, "secret", mode)
		}
		for _, strict := range []bool{false, true} {
			members := fmt.Sprintf(`{"keyFile": "k.jks", "strictSecretFiles": %v`, strict)
			if c.file != "" {
				members += ", " + c.file
			}
			write("c", members+"}", c.mode)
			cfg, err := LoadToServe(at("c"), c.environ)
			var faults Faults
			said := slices.DeleteFunc(cfg.Warnings, func(w string) bool { return !strings.Contains(w, "everybody on this machine") })
			if strict && len(c.exposed) > 0 {
				if len(said) > 0 || !errors.As(err, &faults) {
					t.Errorf("%s: %v, %q", c.what, err, said)
				}
				for _, f := range faults {
					said = append(said, f.Source+" "+f.Problem)
				}
			} else if err != nil {
				t.Errorf("%s: %v", c.what, err)
			}
			if len(said) != len(c.exposed) {
				t.Errorf("%s: %q, want %q", c.what, said, c.exposed)
				continue
			}
			for i, name := range c.exposed {
				if !strings.Contains(said[i], at(name)) || !strings.Contains(said[i], c.contents) || strings.Contains(said[i], "secret") {
					t.Errorf("%s: %s", c.what, said[i])
				}
			}
		}
	}
}
