package test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"audiences/sandbox"
	"audiences/test/harness"
)

// TestJournalInADatabase: a check says where the journal is and foretells the start, which
// fails where the database cannot be reached; no login shows anywhere (I7), and the directory
// of a journal on disk is not looked at. What a check says of one that can be reached is
// tested in test/cluster.
func TestJournalInADatabase(t *testing.T) {
	t.Parallel()
	const url = "postgres://relay:sekrit-login@db.invalid:5432/audiences?sslmode=require&password=sekrit-login"
	s := harness.NewSite(t, sandbox.Options{}, nil)
	secret := filepath.Join(s.Dir, "database")
	writeFile(t, secret, url+"\n")
	writeFile(t, filepath.Join(s.Dir, "named.key"), strings.Repeat("0c", 32))
	for what, c := range map[string]struct {
		settings map[string]any
		env      []string
	}{
		"in the file":                   {map[string]any{"journal": url, "journalDir": nil}, nil},
		"in a variable":                 {map[string]any{"journalDir": nil}, []string{"AUDIENCES_JOURNAL=" + url}},
		"in a file of its own":          {map[string]any{"journalDir": nil}, []string{"AUDIENCES_JOURNAL_FILE=" + secret}},
		"beside a directory that fails": {map[string]any{"journalDir": "audiences.config/journal"}, []string{"AUDIENCES_JOURNAL=" + url}},
	} {
		c.settings["journalKeyFile"] = "named.key"
		s.Configure(c.settings)
		before := tree(t, s.Dir)
		code, stdout, stderr := harness.Run(t, c.env, "check", s.Config())
		if got := marks(stdout, "journal"); code != exitWrong || !slices.Equal(got, []string{"note"}) {
			t.Errorf("%s: exit code %d, about the journal %q\n%s%s", what, code, got, stdout, stderr)
		}
		if got := marks(stdout, "database"); !slices.Equal(got, []string{"FAULT"}) {
			t.Errorf("%s: about the database %q\n%s", what, got, stdout)
		}
		if !strings.Contains(stdout, "db.invalid:5432, database audiences") || !strings.Contains(stdout, "sslmode=require") {
			t.Errorf("%s: no word of the database, or of what its URL gives up\n%s", what, stdout)
		}
		if strings.Contains(stdout, "journalDir is not used") != (c.settings["journalDir"] != nil) {
			t.Errorf("%s: about journalDir\n%s", what, stdout)
		}
		p := s.LaunchWith(c.env)
		if code := p.Wait(harness.Patience); code != exitFailed || !strings.Contains(p.Log(), "open journal: ") {
			t.Errorf("%s: exit code %d\n%s", what, code, p.Log())
		}
		mustNotShow(t, what, stdout+stderr+p.Output()+p.Log(), "sekrit-login")
		sameTree(t, before, tree(t, s.Dir))
	}
}

// TestSharedKeyFile: with journal, a key file that is missing or rubbish is a fault of the
// check and of the start.
func TestSharedKeyFile(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{}, map[string]any{"journalDir": nil, "journal": "postgres://relay@127.0.0.1:1/audiences", "journalKeyFile": "named.key"})
	for _, spoil := range []func(string) error{remove("named.key"), write("named.key", "rubbish")} {
		if err := spoil(s.Dir); err != nil {
			t.Fatal(err)
		}
		if got := marks(checked(t, s, exitWrong), "journal"); !slices.Equal(got, []string{"note", "FAULT"}) {
			t.Errorf("about the journal %q", got)
		}
		if p := s.Launch(); p.Wait(harness.Patience) != exitFailed || !strings.Contains(p.Log(), "journalKeyFile") {
			t.Error(p.Log())
		}
	}
}
