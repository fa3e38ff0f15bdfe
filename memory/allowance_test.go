package memory

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"

	"github.com/rs/zerolog"
)

// limitedRoot has what Linux tells a process in a group of version 2.
func limitedRoot(t *testing.T, limit string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{
		"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
		"sys/fs/cgroup/memory.max": limit, "sys/fs/cgroup/memory.current": "1000", "sys/fs/cgroup/memory.stat": "inactive_file 100\n",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// TestFind: the group's limit counts, or what GOMEMLIMIT implies where that is
// less; what cannot be read is no reason not to start, what is too low is one.
func TestFind(t *testing.T) {
	const mebi = 1 << 20
	for _, c := range []struct {
		group  string
		set    int64 // GOMEMLIMIT; 0: not set
		limit  int64 // 0: none
		source string
		used   int64 // 0: what the runtime says
		fails  bool
	}{
		{group: "max"},
		{group: "rubbish"},
		{group: "100000000", limit: 100_000_000, source: "control group", used: 900},
		{group: "max", set: 90 * mebi, limit: 100 * mebi, source: "GOMEMLIMIT"},
		{group: "100000000", set: 180_000_000, limit: 100_000_000, source: "control group", used: 900},
		{group: "100000000", set: 72_000_000, limit: 80_000_000, source: "GOMEMLIMIT"},
		{group: "max", set: math.MaxInt64 - 1, limit: math.MaxInt64/2 + 1, source: "GOMEMLIMIT"},
		{group: "100000000", set: math.MaxInt64 - 1, limit: 100_000_000, source: "control group", used: 900},
		{group: fmt.Sprint(Least - 1), limit: Least - 1, fails: true},
		{group: "0", fails: true},
		{group: "max", set: 10 * mebi, fails: true},
	} {
		before := debug.SetMemoryLimit(-1)
		t.Setenv("GOMEMLIMIT", "")
		if c.set > 0 {
			t.Setenv("GOMEMLIMIT", fmt.Sprint(c.set))
			debug.SetMemoryLimit(c.set)
		}
		a, err := Find(limitedRoot(t, c.group), zerolog.Nop())
		debug.SetMemoryLimit(before)
		if (err != nil) != c.fails {
			t.Errorf("%+v: %v", c, err)
		}
		if c.fails {
			continue
		}
		if a.Limit != c.limit || a.Source != c.source || (a.Budget == Budget{}) != (c.limit == 0) {
			t.Errorf("%+v: %d set by %s, %+v", c, a.Limit, a.Source, a.Budget)
		}
		used, err := a.used()
		if err != nil || c.used > 0 && used != c.used || c.used == 0 && used < 1000 {
			t.Errorf("%+v: %d used, %v", c, used, err)
		}
	}
}

// TestApplySetsTheLimit: the runtime is told, unless the operator has told it another.
func TestApplySetsTheLimit(t *testing.T) {
	before, percent := debug.SetMemoryLimit(-1), debug.SetGCPercent(100)
	t.Cleanup(func() {
		debug.SetMemoryLimit(before)
		debug.SetGCPercent(percent)
	})
	t.Setenv("GOGC", "100") // no tuning, which would go on behind this test
	budget, err := For(1 << 30)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		set   string
		limit int64
		want  int64
	}{
		{"", 0, math.MaxInt64},
		{"", 1 << 30, budget.Go},
		{"off", 1 << 30, math.MaxInt64},
	} {
		debug.SetMemoryLimit(math.MaxInt64)
		t.Setenv("GOMEMLIMIT", c.set)
		a := Allowance{Limit: c.limit}
		if c.limit > 0 {
			a.Budget = budget
		}
		a.Apply(zerolog.Nop())
		if got := debug.SetMemoryLimit(-1); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}
