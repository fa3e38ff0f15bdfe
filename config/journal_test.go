package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// shared is the rest of a file whose journal is in a database.
func shared(url string) string {
	return with(`"journalKeyFile": "/k", "journal": ` + fmt.Sprintf("%q", url))
}

// TestJournalURL: without a word about TLS the database is verified; what is written
// stays; and what people are shown has no login in it.
func TestJournalURL(t *testing.T) {
	for url, want := range map[string]struct{ effective, name string }{
		"postgres://u:hunter2@db.example:5432/audiences":                      {"?sslmode=verify-full", "PostgreSQL on db.example:5432, database audiences"},
		"postgresql://u:hunter2@db.example/audiences?":                        {"sslmode=verify-full", "PostgreSQL on db.example, database audiences"},
		"postgres://db.example/a?sslrootcert=/etc/ca.pem":                     {"&sslmode=verify-full", "PostgreSQL on db.example, database a"},
		"postgres://db.example/a?connect_timeout=2&":                          {"sslmode=verify-full", "PostgreSQL on db.example, database a"},
		"postgres://u@db.example":                                             {"?sslmode=verify-full", "PostgreSQL on db.example"},
		"postgres://u:hunter2%2F%40@a:1,b:2,c/x?target_session_attrs=primary": {"&sslmode=verify-full", "PostgreSQL on a:1,b:2,c, database x"},
		"postgres://u:hunter2:more@h/a%20b?dbname=c%2Bd":                      {"&sslmode=verify-full", "PostgreSQL on h, database c+d"},
		"postgres://[2001:db8::1]:5432/a?sslmode=verify-full":                 {"", "PostgreSQL on [2001:db8::1]:5432, database a"},
		"postgres://h/a?sslmode=verify-ca&sslrootcert=/etc/ca.pem":            {"", "PostgreSQL on h, database a"},
		"postgres://h/a?sslrootcert=system&password=hunter2":                  {"&sslmode=verify-full", "PostgreSQL on h, database a"},
		"postgres:///a?host=/run/postgresql&user=hunter2":                     {"&sslmode=verify-full", "PostgreSQL on /run/postgresql, database a"},
		"postgres://127.0.0.1/a?sslmode=disable":                              {"", "PostgreSQL on 127.0.0.1, database a"},
	} {
		c := mustParse(t, shared(url), nil)
		if !c.JournalInDatabase() || c.JournalURL().Reveal() != url+want.effective {
			t.Errorf("%s became %s", url, c.JournalURL().Reveal())
		}
		if c.JournalName() != want.name || len(c.Warnings) != 0 {
			t.Errorf("%s is called %q, with %q", url, c.JournalName(), c.Warnings)
		}
		if shown := fmt.Sprintf("%v %+v %#v %v", c, c, c, c.JournalURL()); strings.Contains(shown, "hunter2") {
			t.Errorf("%s shows in %s", url, shown)
		}
	}
	if c := mustParse(t, with(`"journalDir": "j"`), nil); c.JournalURL() != (Secret{}) || c.JournalName() != "some/dir/j" {
		t.Errorf("without a database: %q, %q", c.JournalURL().Reveal(), c.JournalName())
	}
}

// TestJournalFaults: what is no such URL, or could be read as two, is a fault that
// repeats nothing of it (I7).
func TestJournalFaults(t *testing.T) {
	for url, want := range map[string]string{
		"hunter2":                             "does not begin with postgres:// or postgresql://",
		"host=hunter2 password=hunter2":       "does not begin with",
		"https://u:hunter2@h/d":               "does not begin with",
		"Postgres://u:hunter2@h/d":            "does not begin with",
		"mysql://u:hunter2@h/d":               "does not begin with",
		" postgres://u:hunter2@h/d":           "does not begin with",
		"postgres://u:hunter2@h/d ":           "has blanks",
		"postgres://u:hun ter2@h/d":           "has blanks",
		"postgres://u:hunter2#@h/d":           "has a #",
		"postgres://u:hunter2/@h/d":           "has an @ elsewhere",
		"postgres://u:hunter2?@h/d":           "has an @ elsewhere",
		"postgres://u:hunter2/x":              "cannot be read as a URL",
		"postgres://h/d?&":                    "name=value",
		"postgres://u:12/hunter2@h/d":         "has an @ elsewhere",
		"postgres://u:12?hunter2@h/d":         "has an @ elsewhere",
		"postgres://u:hun@ter2@h/d":           "has an @ elsewhere",
		"postgres://u:hunter2%zz@h/d":         "cannot be read as a URL",
		"postgres://u:hunter2@h:port/d":       "cannot be read as a URL",
		"postgres://u:hunter2@h:0/d":          "port is not one of",
		"postgres://u:hunter2@h:5432,g:0/d":   "port is not one of",
		"postgres://u:hunter2@/d":             "names no host",
		"postgres://u:hunter2@:5432/d":        "names no host",
		"postgres:///hunter2":                 "names no host",
		"postgres://":                         "names no host",
		"postgres://h,,g/hunter2":             "names no host",
		"postgres://h/d?host=hunter2":         "names hosts twice",
		"postgres://h/hunter2%0a":             "control characters",
		"postgres:///d?host=%2Fhunter2%0a":    "control characters",
		"postgres://h/d?hunter2":              "name=value",
		"postgres://h/d?password=hunter2=":    "name=value",
		"postgres://h/d?password=hunter2&&":   "name=value",
		"postgres://h/d?password=hunter2%":    "name=value",
		"postgres://h/d?=hunter2":             "name=value",
		"postgres://h/d?sslmode=hunter2":      "sslmode must be one of",
		"postgres://h/d?sslmode=":             "sslmode must be one of",
		"postgres://h/d?sslmode=DISABLE":      "sslmode must be one of",
		"postgres://h/d?ssl=true":             "write sslmode",
		"postgres://h/d?sslrootcert=hunter2":  "sslrootcert must be a path that begins with a slash",
		"postgres://h/d?sslkey=hunter2":       "sslkey must be a path",
		"postgres://h/d?sslcert=system":       "sslcert must be a path",
		"postgres://h/d?sslm%6Fde=prefer&a=1": "", // PostgreSQL's library reads it so, too
		"postgres://h/d?sslmode=verify-full&sslm%6Fde=disable&user=hunter2": "stands there twice",
	} {
		if want == "" {
			if c := mustParse(t, shared(url), nil); c.JournalURL().Reveal() != url || len(c.Warnings) != 1 {
				t.Errorf("%s: %s, %q", url, c.JournalURL().Reveal(), c.Warnings)
			}
			continue
		}
		faults := faultsOf(t, shared(url), nil)
		if len(faults) != 1 || faults[0].Key != "journal" || faults[0].Line != 4 || !strings.Contains(faults[0].Problem, want) {
			t.Errorf("%s\n\tgave %v\n\twant one fault on line 4 with %q", url, faults, want)
		}
		for _, part := range []string{"hun", "ter2", "mysql", "DISABLE"} {
			if strings.Contains(faults.Error(), part) {
				t.Errorf("%s: a fault repeats it: %v", url, faults)
			}
		}
	}
	for _, value := range []string{`5`, `null`, `{"url": "hunter2"}`} {
		faults := faultsOf(t, with(`"journalKeyFile": "/k", "journal": `+value), nil)
		if len(faults) != 1 || faults[0].Key != "journal" || strings.Contains(faults.Error(), "hunter2") {
			t.Errorf("%s: %v", value, faults)
		}
	}
}

// TestWeakTLS: what is weaker than a verified database is taken from an operator who
// wrote it, with a word on what it gives up, unless there is no network to fear.
func TestWeakTLS(t *testing.T) {
	for parameters, want := range map[string]string{
		"sslmode=disable": "encrypted", "sslmode=allow": "insists", "sslmode=prefer": "offers", "sslmode=require": "not checked: whoever",
		"sslmode=require&sslrootcert=/ca": "the name in", "sslmode=verify-ca": "", "sslmode=verify-full": "", "": "",
	} {
		for host, counts := range map[string]bool{
			"//db.example/": true, "//10.0.0.1/": true, "//localhost,db.example/": true,
			"//localhost:5432/": false, "//127.0.0.1/": false, "//[::1]:5432/": false, "//localhost,127.0.0.1:2/": false,
			"///?host=/run/postgresql&": false, "///?host=/run/postgresql,db.example&": true,
		} {
			url := "postgres:" + host + "?" + parameters
			if strings.HasSuffix(host, "&") {
				url = "postgres:" + host + parameters
			}
			c := mustParse(t, shared(url), nil)
			if want == "" || !counts {
				if len(c.Warnings) != 0 {
					t.Errorf("%s: %q", url, c.Warnings)
				}
				continue
			}
			mode, _, _ := strings.Cut(parameters, "&")
			if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], want) || !strings.Contains(c.Warnings[0], mode) || c.JournalURL().Reveal() != url {
				t.Errorf("%s: %q", url, c.Warnings)
			}
			if strings.Contains(strings.Join(c.Warnings, ""), "db.example") {
				t.Errorf("a warning repeats the value: %q", c.Warnings)
			}
		}
	}
}

// TestTwoJournals: both in one place are a fault; otherwise the database's counts.
func TestTwoJournals(t *testing.T) {
	const url, key = "postgres://u:hunter2@h/d", `"journalKeyFile": "/k"`
	secret := filepath.Join(t.TempDir(), "journal")
	if err := os.WriteFile(secret, []byte(url+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const database, directory = `, "journal": "` + url + `"`, `, "journalDir": "j"`
	for _, c := range []struct {
		file, place string // place of the fault; "": none
		env         map[string]string
		warnings    int
		inDatabase  bool
	}{
		{file: database + directory, place: path0},
		{file: database + directory, env: map[string]string{"AUDIENCES_JOURNAL": ""}, place: path0},
		{file: database + directory, env: map[string]string{"AUDIENCES_JOURNAL_DIR": "j"}, place: path0},
		{env: map[string]string{"AUDIENCES_JOURNAL": url, "AUDIENCES_JOURNAL_DIR": "j"}, place: "environment variable AUDIENCES_JOURNAL"},
		{env: map[string]string{"AUDIENCES_JOURNAL_FILE": secret, "AUDIENCES_JOURNAL_DIR": "j"}, place: "environment variable AUDIENCES_JOURNAL_FILE"},
		{file: directory, env: map[string]string{"AUDIENCES_JOURNAL": url, "AUDIENCES_JOURNAL_DIR": "j"}, place: "environment variable AUDIENCES_JOURNAL"},
		{file: directory, env: map[string]string{"AUDIENCES_JOURNAL": url}, warnings: 1, inDatabase: true},
		{file: directory, env: map[string]string{"AUDIENCES_JOURNAL_FILE": secret}, warnings: 1, inDatabase: true},
		{file: database, env: map[string]string{"AUDIENCES_JOURNAL_DIR": "j"}, warnings: 1, inDatabase: true},
		{file: database, inDatabase: true},
		{env: map[string]string{"AUDIENCES_JOURNAL": url}, inDatabase: true},
		{file: database, env: map[string]string{"AUDIENCES_JOURNAL": "", "AUDIENCES_JOURNAL_DIR": "j"}},
		{file: `, "journal": ""` + directory},
		{file: directory, env: map[string]string{"AUDIENCES_JOURNAL": ""}},
	} {
		if c.place != "" {
			faults := faultsOf(t, with(key+c.file), c.env)
			if len(faults) != 1 || faults[0].Key != "journal" || faults[0].Source != c.place || !strings.Contains(faults[0].Problem, "journalDir") || strings.Contains(faults.Error(), "hunter2") {
				t.Errorf("%s, %v: %v", c.file, c.env, faults)
			}
			continue
		}
		got := mustParse(t, with(key+c.file), c.env)
		if got.JournalInDatabase() != c.inDatabase || len(got.Warnings) != c.warnings || (c.inDatabase && got.Journal != NewSecret(url)) {
			t.Errorf("%s, %v: in a database: %v, %q", c.file, c.env, got.JournalInDatabase(), got.Warnings)
		}
		if c.warnings > 0 && !strings.Contains(got.Warnings[0], "journalDir is not used") {
			t.Errorf("%s, %v: %q", c.file, c.env, got.Warnings)
		}
	}
}

// TestSharedJournalNeedsAKey: a node could not read the tokens that another has sealed
// with a key of its own.
func TestSharedJournalNeedsAKey(t *testing.T) {
	const database = `"journal": "postgres://u:hunter2@h/d"`
	for line, env := range map[string]map[string]string{
		database:                            nil,
		database + `, "journalKeyFile": ""`: nil,
		``:                                  {"AUDIENCES_JOURNAL": "postgres://h/d"},
		`"journalKeyFile": "/k"`:            {"AUDIENCES_JOURNAL": "postgres://h/d", "AUDIENCES_JOURNAL_KEY_FILE": ""},
	} {
		faults := faultsOf(t, with(line), env)
		if len(faults) != 1 || faults[0].Key != "journalKeyFile" || !strings.Contains(faults[0].Problem, "same key") || strings.Contains(faults.Error(), "hunter2") {
			t.Errorf("%s, %v: %v", line, env, faults)
		}
	}
	// What is there but wrong is told once.
	if faults := faultsOf(t, with(database+`, "journalKeyFile": 7`), nil); len(faults) != 1 || !strings.Contains(faults[0].Problem, "not 7") {
		t.Errorf("%v", faults)
	}
	// A URL that is wrong hides nothing else that is.
	if faults := faultsOf(t, with(`"journal": "hunter2", "journalDir": "j"`), nil); len(faults) != 3 {
		t.Errorf("%v", faults)
	}
	if c := mustParse(t, with(database), map[string]string{"AUDIENCES_JOURNAL_KEY_FILE": "/k"}); c.JournalKeyFile != "/k" {
		t.Errorf("%+v", c)
	}
}

// FuzzJournalURL: whatever is taken has hosts, keeps what was written, and names its
// sslmode once.
func FuzzJournalURL(f *testing.F) {
	for _, text := range []string{"postgres://u:p@h:1,g/d?sslmode=disable", "postgresql://[::1]:5432/d?", "postgres:///d?host=/run&a=b&", "postgres://00?&"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if databaseURL(text) != nil || text == "" {
			return
		}
		effective := Config{Journal: NewSecret(text)}.JournalURL().Reveal()
		d, err := databaseOf(effective)
		if err != nil || len(d.hosts) == 0 || d.mode == "" || !strings.HasPrefix(effective, text) {
			t.Fatalf("%q became %q: %+v, %v", text, effective, d, err)
		}
	})
}
