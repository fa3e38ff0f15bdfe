//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// group is a control group of the test's own with a memory limit, of version 1
// where the memory controller is there, else of version 2. It needs root.
type group struct {
	dir     string
	version int
}

// newGroup makes a group and removes it, empty by then, when the test ends. Swap does
// not count for room: what would be swapped out is taken for killed.
func newGroup(t *testing.T, limit int64) group {
	t.Helper()
	g := group{version: 2, dir: "/sys/fs/cgroup"}
	name := fmt.Sprint("audiences-e2e-", os.Getpid(), "-", limit>>20)
	if _, err := os.Stat("/sys/fs/cgroup/memory/memory.limit_in_bytes"); err == nil {
		g = group{version: 1, dir: filepath.Join("/sys/fs/cgroup/memory", ownGroup(t))}
	}
	g.dir = filepath.Join(g.dir, name)
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		t.Fatalf("make a control group, which needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := os.Remove(g.dir); err != nil {
			t.Error(err)
		}
	})
	g.limit(t, limit)
	return g
}

// limit sets the limit, or makes it less.
func (g group) limit(t *testing.T, limit int64) {
	t.Helper()
	text := []byte(strconv.FormatInt(limit, 10))
	err := os.WriteFile(filepath.Join(g.dir, g.pick("memory.limit_in_bytes", "memory.max")), text, 0o600)
	if swap := filepath.Join(g.dir, g.pick("memory.memsw.limit_in_bytes", "memory.swap.max")); err == nil {
		if _, missing := os.Stat(swap); missing == nil {
			err = os.WriteFile(swap, []byte(g.pick(string(text), "0")), 0o600)
		}
	}
	if err != nil {
		t.Fatalf("limit a control group: %v", err)
	}
}

// ownGroup is the group of version 1 that this process is in.
func ownGroup(t *testing.T) string {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if parts := strings.SplitN(strings.TrimSpace(line), ":", 3); len(parts) == 3 && parts[1] == "memory" {
			return parts[2]
		}
	}
	return "/"
}

func (g group) pick(version1, version2 string) string {
	if g.version == 1 {
		return version1
	}
	return version2
}

// command is one that begins in the group. No process of the test itself is ever in it.
func (g group) command(name string, args ...string) *exec.Cmd {
	enter := `echo $$ > "$0" && exec "$@"`
	cmd := exec.Command("sh", append([]string{"-c", enter, filepath.Join(g.dir, "cgroup.procs"), name}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // if the test binary dies (the -timeout of go test)
	return cmd
}

// kills is how often the kernel ended a process of the group for memory.
func (g group) kills(t *testing.T) int {
	t.Helper()
	return g.number(t, g.pick("memory.oom_control", "memory.events"), "oom_kill")
}

// peak is the most that the group took, with what the kernel kept of files.
func (g group) peak(t *testing.T) int {
	t.Helper()
	return g.number(t, g.pick("memory.max_usage_in_bytes", "memory.peak"), "")
}

// number reads the number behind a name in one of the group's files, or the file's
// only one.
func (g group) number(t *testing.T, file, name string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(g.dir, file))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name); ok {
			if n, err := strconv.Atoi(strings.TrimSpace(value)); err == nil {
				return n
			}
		}
	}
	t.Fatal(errors.New("no " + name + " in " + file))
	return 0
}
