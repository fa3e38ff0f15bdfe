//go:build e2e

package cluster

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"audiences/test/harness"
)

// tried is `audiences sandbox` with several nodes, which has a directory for temporary
// files to itself.
type tried struct {
	*harness.Process
	dir string
}

func try(t *testing.T, args ...string) tried {
	t.Helper()
	dir, err := os.MkdirTemp("", "audiences-test-sandbox-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // PostgreSQL runs as a user of its own where root starts it
		t.Fatal(err)
	}
	args = append([]string{"sandbox", "--nodes", "3", "--flush", "500ms"}, args...)
	return tried{(&harness.Site{T: t}).Run(args, []string{"TMPDIR=" + dir}), dir}
}

// processes are those whose command lines name something in the directory: nodes have their
// configuration there, PostgreSQL its data.
func (s tried) processes() (lines []string) {
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		s.T.Fatal(err)
	}
	for _, path := range all {
		text, _ := os.ReadFile(path) // it may have ended
		if bytes.Contains(text, []byte(s.dir)) {
			lines = append(lines, strings.ReplaceAll(string(text), "\x00", " "))
		}
	}
	return lines
}

// runs waits until the nodes take posts.
func (s tried) runs() {
	s.T.Helper()
	harness.Eventually(s.T, harness.Patience, "the nodes take posts", func() bool { return strings.Contains(s.Output(), "Ctrl-C stops") })
	if got := len(s.processes()); got < 4 {
		s.T.Fatalf("%d processes run: %q", got, s.processes())
	}
}

// leavesNothing is for a sandbox that has ended in order.
func (s tried) leavesNothing() {
	s.T.Helper()
	if left := s.processes(); len(left) > 0 {
		s.T.Errorf("processes are left: %q", left)
	}
	left, err := os.ReadDir(s.dir)
	if err != nil || len(left) > 0 {
		s.T.Errorf("files are left: %v %v", left, err)
	}
}

// TestSandboxKills: nodes die and are replaced while posts come in; in the end nothing is
// lost, nothing is wrong and nothing is left.
func TestSandboxKills(t *testing.T) {
	s := try(t, "--kill-every", "3s", "--for", "15s")
	code := s.Wait(2 * harness.Patience)
	text := s.Output()
	for _, want := range []string{"node1 was killed", "node2 was killed", "node4 is ready", "have taken over from node1", "left undelivered     0 keys", " 0 wrong\n", "promises broken      0"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	s.leavesNothing()
}

// TestSandboxIsTold to end by Ctrl-C.
func TestSandboxIsTold(t *testing.T) {
	s := try(t, "--traffic", "50")
	s.runs()
	s.Signal(syscall.SIGINT)
	code := s.Wait(2 * harness.Patience)
	if text := s.Output(); code != 0 || !strings.Contains(text, "left undelivered     0 keys") || !strings.Contains(text, " 0 wrong\n") {
		t.Errorf("exit code %d:\n%s", code, text)
	}
	s.leavesNothing()
}

// TestSandboxDies: a sandbox that is killed takes its nodes and its PostgreSQL with it. Its
// directories stay.
func TestSandboxDies(t *testing.T) {
	s := try(t)
	s.runs()
	s.Kill()
	harness.Eventually(t, harness.Patience, "all processes have ended", func() bool { return len(s.processes()) == 0 })
}
