package test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"audiences/sandbox"
)

// marks are the lines of a check about one thing, by their first words.
func marks(stdout, what string) (found []string) {
	for line := range strings.Lines(stdout) {
		if words := strings.Fields(line); len(words) > 1 && strings.HasPrefix(strings.Join(words[1:], " "), what) {
			found = append(found, words[0])
		}
	}
	return found
}

// checked runs a check that leaves no trace.
func (s *site) checked(t *testing.T, code int) (stdout string) {
	t.Helper()
	before := tree(t, s.dir)
	got, stdout, stderr := run(t, nil, "check", s.config())
	if got != code {
		t.Errorf("exit code %d, want %d\n%s%s", got, code, stdout, stderr)
	}
	sameTree(t, before, tree(t, s.dir))
	return stdout
}

// TestCheckForetellsTheStart: where a check has no FAULT the relay starts, and where
// it has one the relay refuses; damage is told before it is set aside.
func TestCheckForetellsTheStart(t *testing.T) {
	t.Parallel()
	taken := elsewhere(t)
	_, takenPort, err := net.SplitHostPort(taken)
	if err != nil {
		t.Fatal(err)
	}
	key := strings.Repeat("0c", 32)
	for _, c := range []struct {
		what     string
		settings map[string]any
		spoil    func(journal string) error
		mark     string // of the lines about
		about    string
	}{
		{"a journal that was left", nil, func(string) error { return nil }, "ok", "journal"},
		{"no journal yet", map[string]any{"journalDir": "new/journal"}, nil, "ok", "journal"},
		{"the journal's key is missing", nil, remove("journal.key"), "FAULT", "journal"},
		{"the journal's key is another", nil, write("journal.key", key), "FAULT", "journal"},
		{"the journal's key is rubbish", nil, write("journal.key", "rubbish"), "FAULT", "journal"},
		{"a key file of another journal", map[string]any{"journalKeyFile": "named.key"}, write("../named.key", key), "FAULT", "journal"},
		{"a key file that is missing", map[string]any{"journalKeyFile": "named.key", "journalDir": "new"}, nil, "FAULT", "journal"},
		{"a key file of rubbish", map[string]any{"journalKeyFile": "named.key", "journalDir": "new"}, write("../named.key", "rubbish"), "FAULT", "journal"},
		{"a newer journal", nil, write("FORMAT", `{"format":99}`), "FAULT", "journal"},
		{"a directory in place of the lock", nil, func(journal string) error {
			lock := filepath.Join(journal, "LOCK")
			if err := os.Remove(lock); err != nil {
				return err
			}
			return os.Mkdir(lock, 0o700)
		}, "FAULT", "journal"},
		{"a damaged store", nil, remove("store"), "WARNING", "journal"},
		{"little room", map[string]any{"minFreeDiskBytes": int64(1) << 50}, nil, "WARNING", "journal"},
		{"the port is taken", map[string]any{"port": takenPort}, nil, "FAULT", "port"},
		{"the admin address is taken", map[string]any{"adminAddress": taken}, nil, "FAULT", "admin address"},
		{"the admin address is elsewhere", map[string]any{"adminAddress": "192.0.2.1:3010"}, nil, "FAULT", "admin address"},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, sandbox.Options{}, nil)
			if c.spoil != nil {
				p := s.start()
				p.mustPost(change{segment: "sBefore", keys: []string{"1"}})
				p.terminate()
				if err := c.spoil(s.journal()); err != nil {
					t.Fatal(err)
				}
			}
			s.configure(c.settings)
			code := exitDone
			if c.mark == "FAULT" {
				code = exitWrong
			}
			stdout := s.checked(t, code)
			if !slices.Contains(marks(stdout, c.about), c.mark) {
				t.Errorf("no %s about the %s in\n%s", c.mark, c.about, stdout)
			}
			p := s.launch()
			select {
			case <-p.listens:
				if c.mark == "FAULT" {
					t.Error("a start succeeds")
				}
			case <-p.ended:
				if c.mark != "FAULT" {
					t.Error("a start fails")
				}
			}
		})
	}
}

// elsewhere is an address at which another process listens, for the whole test.
func elsewhere(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener.Addr().String()
}

func remove(name string) func(string) error {
	return func(journal string) error { return os.RemoveAll(filepath.Join(journal, name)) }
}

func write(name, text string) func(string) error {
	return func(journal string) error { return os.WriteFile(filepath.Join(journal, name), []byte(text), 0o600) }
}

// TestCheckBesideARelay: a running relay of this very configuration is no fault, and
// does not notice; any other process at its port or in its journal is one, even
// another relay with the same key file.
func TestCheckBesideARelay(t *testing.T) {
	t.Parallel()
	s := newSite(t, sandbox.Options{}, nil)
	port, admin := freePort(t), fmt.Sprint("127.0.0.1:", freePort(t))
	own := map[string]any{"port": port, "adminAddress": admin}
	s.configure(own)
	p := s.start()
	p.mustPost(change{segment: "sBeside", keys: []string{"1"}})
	eventually(t, patience, "it is delivered", func() bool { return len(s.members("sBeside")) == 1 })
	if code, stdout, _ := run(t, nil, "check", s.config()); code != exitDone || !strings.Contains(stdout, strconv.Itoa(p.cmd.Process.Pid)) {
		t.Errorf("exit code %d\n%s", code, stdout)
	} else {
		for _, what := range []string{"journal", "port", "admin address"} {
			if got := marks(stdout, what); !slices.Equal(got, []string{"note"}) {
				t.Errorf("about the %s: %q\n%s", what, got, stdout)
			}
		}
	}
	refusedStart(t, s, s.journal()) // its lock still holds

	other := newSite(t, sandbox.Options{}, map[string]any{"port": freePort(t)})
	second := other.start()
	for _, c := range []struct {
		what     string
		settings map[string]any
		faults   []string
	}{
		{"its journal, another port", map[string]any{"port": freePort(t)}, []string{"journal"}},
		{"its port, another journal", map[string]any{"port": port, "journalDir": "other"}, []string{"port"}},
		{"its port, the journal of another relay", map[string]any{"port": port, "journalDir": other.journal()}, []string{"journal", "port"}},
		{"its journal, the port of another relay", map[string]any{"port": portNumber(t, second), "adminAddress": admin}, []string{"journal", "port", "admin address"}},
	} {
		s.configure(c.settings)
		code, stdout, stderr := run(t, nil, "check", s.config())
		if code != exitWrong {
			t.Errorf("%s: exit code %d\n%s%s", c.what, code, stdout, stderr)
		}
		for _, what := range []string{"journal", "port", "admin address"} {
			if slices.Contains(marks(stdout, what), "FAULT") != slices.Contains(c.faults, what) {
				t.Errorf("%s: about the %s\n%s", c.what, what, stdout)
			}
		}
	}
	p.mustPost(change{segment: "sBeside", keys: []string{"2"}})
	if code := p.terminate(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
}

func portNumber(t *testing.T, p *process) int {
	t.Helper()
	_, port, err := net.SplitHostPort(p.https)
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return number
}

// TestCheckTellsAllAtOnce: a fault of the configuration hides no other.
func TestCheckTellsAllAtOnce(t *testing.T) {
	t.Parallel()
	_, port, err := net.SplitHostPort(elsewhere(t))
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t, sandbox.Options{}, map[string]any{
		"drainTimeout": -1, "segmentsFlush": 3, "authToken": nil,
		"keyFile": "none.jks", "journalKeyFile": "none.key",
		"port": port, "adminAddress": elsewhere(t),
	})
	code, stdout, stderr := run(t, nil, "check", s.config())
	if code != exitWrong {
		t.Errorf("exit code %d", code)
	}
	for _, fault := range []string{"drainTimeout", "segmentsFlush", "authToken", "none.jks", "none.key", "port", "admin address"} {
		if !strings.Contains(stdout+stderr, fault) {
			t.Errorf("no word of %s in\n%s%s", fault, stdout, stderr)
		}
	}
	for _, what := range []string{"configuration", "key file", "journal", "port", "admin address"} {
		if !slices.Contains(marks(stdout, what), "FAULT") {
			t.Errorf("no FAULT about the %s in\n%s", what, stdout)
		}
	}
	for _, key := range []string{"keyFile", "journalDir", "port", "adminAddress"} { // a value that is wrong is not looked at
		s.configure(map[string]any{key: []int{1}})
		if _, stdout, _ := run(t, nil, "check", s.config()); strings.Count(stdout, "FAULT") != 1 {
			t.Errorf("%s is no text:\n%s", key, stdout)
		}
	}
}

// TestMissingRightsNameTheUser: a container's user is not the one that the files
// were made by.
func TestMissingRightsNameTheUser(t *testing.T) {
	t.Parallel()
	s := newSite(t, sandbox.Options{}, nil)
	key := filepath.Join(s.dir, "key.jks")
	text, err := os.ReadFile(filepath.Join(project, "testkey.jks"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, key, string(text))
	s.configure(map[string]any{"keyFile": key})
	uid := os.Getuid()
	if uid != 0 {
		if err := os.Chmod(key, 0); err != nil {
			t.Fatal(err)
		}
	} else { // root may read everything: somebody else has to try
		uid = 65534
		for path, mode := range map[string]os.FileMode{filepath.Dir(s.dir): 0o755, s.dir: 0o755, s.config(): 0o644, filepath.Dir(binary): 0o755} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, command := range []string{"check", "serve"} {
		p := s.runAs([]string{command, s.config()}, nil, func(cmd *exec.Cmd) {
			if os.Getuid() == 0 {
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
			}
		})
		if code := p.wait(patience); code == exitDone {
			t.Errorf("%s: exit code %d", command, code)
		}
		if words := p.output() + p.log(); !strings.Contains(words, fmt.Sprint("uid ", uid)) || !strings.Contains(words, key) {
			t.Errorf("%s: %s", command, words)
		}
	}
}
