//go:build e2e

package cluster

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"audiences/test/harness"
)

// check runs a check of a node of that name.
func (s *site) check(name string) (code int, stdout string) {
	s.T.Helper()
	code, stdout, stderr := harness.Run(s.T, []string{"AUDIENCES_JOURNAL=" + s.database.URL(), "AUDIENCES_NODE_NAME=" + name}, "check", s.Config())
	if strings.Contains(stdout+stderr, s.password()) {
		s.T.Errorf("the password shows:\n%s%s", stdout, stderr)
	}
	return code, stdout
}

// password is that of the relay's user.
func (s *site) password() string {
	u, err := url.Parse(s.database.URL())
	if err != nil {
		s.T.Fatal(err)
	}
	password, _ := u.User.Password()
	return password
}

// marked counts the lines with a mark about something.
func marked(stdout, mark, about string) (n int) {
	for line := range strings.Lines(stdout) {
		if strings.HasPrefix(line, mark) && strings.HasPrefix(strings.TrimSpace(strings.TrimPrefix(line, mark)), about) {
			n++
		}
	}
	return n
}

// TestCheckOfADatabase: before the first start, and beside a running relay of this very
// configuration, which is no fault, while another relay's port and key are.
func TestCheckOfADatabase(t *testing.T) {
	port, admin := harness.FreePort(t), fmt.Sprint("127.0.0.1:", harness.FreePort(t))
	s := newSite(t, map[string]any{"port": port, "adminAddress": admin})
	code, stdout := s.check("node1")
	if code != 0 || marked(stdout, "FAULT", "") > 0 || !strings.Contains(stdout, "the first start makes them") {
		t.Errorf("before the first start: exit code %d\n%s", code, stdout)
	}
	tables := func() string {
		all, err := s.database.SQL(t.Context(), "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace")
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	if n := tables(); n != "0" {
		t.Errorf("a check made %s tables", n)
	}
	n := s.begin()
	code, stdout = s.check(n.name)
	if code != 0 || marked(stdout, "note", "port") != 1 || marked(stdout, "note", "admin address") != 1 || !strings.Contains(stdout, "nodes at work: node1") {
		t.Errorf("beside the relay: exit code %d\n%s", code, stdout)
	}
	if code, stdout := s.check("another"); code != 2 || marked(stdout, "FAULT", "port") != 1 {
		t.Errorf("of another node at the same port: exit code %d\n%s", code, stdout)
	}
	if err := os.WriteFile(filepath.Join(s.Dir, "journal.key"), []byte(strings.Repeat("0c", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, stdout := s.check(n.name); code != 2 || marked(stdout, "FAULT", "database") != 1 || !strings.Contains(stdout, "all nodes need the same") {
		t.Errorf("with another key: exit code %d\n%s", code, stdout)
	}
	if err := s.database.Halt(); err != nil {
		t.Fatal(err)
	}
	if code, stdout := s.check(n.name); code != 2 || marked(stdout, "FAULT", "database") != 1 || !strings.Contains(stdout, "connection refused") {
		t.Errorf("without the database: exit code %d\n%s", code, stdout)
	}
}
