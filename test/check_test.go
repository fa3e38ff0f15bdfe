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
	"audiences/test/harness"
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
func checked(t *testing.T, s *harness.Site, code int) (stdout string) {
	t.Helper()
	before := tree(t, s.Dir)
	got, stdout, stderr := harness.Run(t, nil, "check", s.Config())
	if got != code {
		t.Errorf("exit code %d, want %d\n%s%s", got, code, stdout, stderr)
	}
	sameTree(t, before, tree(t, s.Dir))
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
			s := harness.NewSite(t, sandbox.Options{}, nil)
			if c.spoil != nil {
				p := s.Start()
				p.MustPost(harness.Change{Segment: "sBefore", Keys: []string{"1"}})
				p.Terminate()
				if err := c.spoil(s.Journal()); err != nil {
					t.Fatal(err)
				}
			}
			s.Configure(c.settings)
			code := exitDone
			if c.mark == "FAULT" {
				code = exitWrong
			}
			stdout := checked(t, s, code)
			if !slices.Contains(marks(stdout, c.about), c.mark) {
				t.Errorf("no %s about the %s in\n%s", c.mark, c.about, stdout)
			}
			p := s.Launch()
			select {
			case <-p.Listens:
				if c.mark == "FAULT" {
					t.Error("a start succeeds")
				}
			case <-p.Ended:
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
	s := harness.NewSite(t, sandbox.Options{}, nil)
	port, admin := harness.FreePort(t), fmt.Sprint("127.0.0.1:", harness.FreePort(t))
	own := map[string]any{"port": port, "adminAddress": admin}
	s.Configure(own)
	p := s.Start()
	p.MustPost(harness.Change{Segment: "sBeside", Keys: []string{"1"}})
	harness.Eventually(t, harness.Patience, "it is delivered", func() bool { return len(s.Members("sBeside")) == 1 })
	if code, stdout, _ := harness.Run(t, nil, "check", s.Config()); code != exitDone || !strings.Contains(stdout, strconv.Itoa(p.PID())) {
		t.Errorf("exit code %d\n%s", code, stdout)
	} else {
		for _, what := range []string{"journal", "port", "admin address"} {
			if got := marks(stdout, what); !slices.Equal(got, []string{"note"}) {
				t.Errorf("about the %s: %q\n%s", what, got, stdout)
			}
		}
	}
	refusedStart(t, s, s.Journal()) // its lock still holds

	other := harness.NewSite(t, sandbox.Options{}, map[string]any{"port": harness.FreePort(t)})
	second := other.Start()
	for _, c := range []struct {
		what     string
		settings map[string]any
		faults   []string
	}{
		{"its journal, another port", map[string]any{"port": harness.FreePort(t)}, []string{"journal"}},
		{"its port, another journal", map[string]any{"port": port, "journalDir": "other"}, []string{"port"}},
		{"its port, the journal of another relay", map[string]any{"port": port, "journalDir": other.Journal()}, []string{"journal", "port"}},
		{"its journal, the port of another relay", map[string]any{"port": portNumber(t, second), "adminAddress": admin}, []string{"journal", "port", "admin address"}},
	} {
		s.Configure(c.settings)
		code, stdout, stderr := harness.Run(t, nil, "check", s.Config())
		if code != exitWrong {
			t.Errorf("%s: exit code %d\n%s%s", c.what, code, stdout, stderr)
		}
		for _, what := range []string{"journal", "port", "admin address"} {
			if slices.Contains(marks(stdout, what), "FAULT") != slices.Contains(c.faults, what) {
				t.Errorf("%s: about the %s\n%s", c.what, what, stdout)
			}
		}
	}
	p.MustPost(harness.Change{Segment: "sBeside", Keys: []string{"2"}})
	if code := p.Terminate(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
}

func portNumber(t *testing.T, p *harness.Process) int {
	t.Helper()
	_, port, err := net.SplitHostPort(p.HTTPS)
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
	s := harness.NewSite(t, sandbox.Options{}, map[string]any{
		"drainTimeout": -1, "segmentsFlush": 3, "authToken": nil,
		"keyFile": "none.jks", "journalKeyFile": "none.key",
		"port": port, "adminAddress": elsewhere(t),
	})
	code, stdout, stderr := harness.Run(t, nil, "check", s.Config())
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
		s.Configure(map[string]any{key: []int{1}})
		if _, stdout, _ := harness.Run(t, nil, "check", s.Config()); strings.Count(stdout, "FAULT") != 1 {
			t.Errorf("%s is no text:\n%s", key, stdout)
		}
	}
}

// TestMissingRightsNameTheUser: a container's user is not the one that the files
// were made by.
func TestMissingRightsNameTheUser(t *testing.T) {
	t.Parallel()
	key, err := os.ReadFile(filepath.Join(harness.Project, "testkey.jks"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what, file string
		commands   []string
	}{
		{"key file", "key.jks", []string{"check", "serve"}},
		{"configuration", "audiences.config", []string{"check", "serve", "healthcheck"}},
		{"secret", "token", []string{"check", "serve", "healthcheck"}},
		{"journal", "journal/FORMAT", []string{"check", "serve"}},
		{"journal's directory", "journal", []string{"check", "serve"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			s := harness.NewSite(t, sandbox.Options{}, nil)
			s.Start().Terminate() // makes the journal
			writeFile(t, filepath.Join(s.Dir, "key.jks"), string(key))
			writeFile(t, filepath.Join(s.Dir, "token"), "token")
			s.Configure(map[string]any{"keyFile": "key.jks", "authToken": nil})
			uid := forSomebodyElse(t, s.Dir)
			if err := os.Chmod(filepath.Join(s.Dir, c.file), 0); err != nil {
				t.Fatal(err)
			}
			for _, command := range c.commands {
				p := s.RunAs([]string{command, s.Config()}, []string{"AUDIENCES_AUTH_TOKEN_FILE=" + filepath.Join(s.Dir, "token")}, func(cmd *exec.Cmd) {
					if uid != os.Getuid() {
						cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
					}
				})
				if code := p.Wait(harness.Patience); code == exitDone {
					t.Errorf("%s: exit code %d", command, code)
				}
				if words := p.Output() + p.Log(); !strings.Contains(words, fmt.Sprintf("(as uid %d; chown -R %d gives it to that user)", uid, uid)) || !strings.Contains(words, filepath.Base(c.file)) {
					t.Errorf("%s: %s", command, words)
				}
			}
			if err := os.Chmod(filepath.Join(s.Dir, c.file), 0o700); err != nil { // for whoever cleans up
				t.Fatal(err)
			}
		})
	}
}

// forSomebodyElse gives a directory and all in it to a user who may not read
// everything, as root may, and returns who that is.
func forSomebodyElse(t *testing.T, dir string) (uid int) {
	t.Helper()
	if uid = os.Getuid(); uid != 0 {
		return uid
	}
	uid = 65534
	for _, way := range []string{filepath.Dir(dir), filepath.Dir(harness.Binary)} {
		if err := os.Chmod(way, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, uid, uid)
	})
	if err != nil {
		t.Fatal(err)
	}
	return uid
}
