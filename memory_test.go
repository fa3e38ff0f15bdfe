package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"

	"github.com/rs/zerolog"

	"audiences/config"
	"audiences/memory"
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

// TestFindAllowance: the group's limit counts, or what GOMEMLIMIT implies where that is
// less; what cannot be read is no reason not to start, what is too low is one.
func TestFindAllowance(t *testing.T) {
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
		{group: fmt.Sprint(memory.Least - 1), limit: memory.Least - 1, fails: true},
		{group: "0", fails: true},
		{group: "max", set: 10 * mebi, fails: true},
	} {
		before := debug.SetMemoryLimit(-1)
		t.Setenv("GOMEMLIMIT", "")
		if c.set > 0 {
			t.Setenv("GOMEMLIMIT", fmt.Sprint(c.set))
			debug.SetMemoryLimit(c.set)
		}
		a, err := findAllowance(limitedRoot(t, c.group), zerolog.Nop())
		debug.SetMemoryLimit(before)
		if (err != nil) != c.fails {
			t.Errorf("%+v: %v", c, err)
		}
		if c.fails {
			continue
		}
		if a.limit != c.limit || a.source != c.source || (a.budget == memory.Budget{}) != (c.limit == 0) {
			t.Errorf("%+v: %d set by %s, %+v", c, a.limit, a.source, a.budget)
		}
		used, err := a.used()
		if err != nil || c.used > 0 && used != c.used || c.used == 0 && used < 1000 {
			t.Errorf("%+v: %d used, %v", c, used, err)
		}
	}
}

// TestTakeSetsTheLimit: the runtime is told, unless the operator has told it another.
func TestTakeSetsTheLimit(t *testing.T) {
	before, percent := debug.SetMemoryLimit(-1), debug.SetGCPercent(100)
	t.Cleanup(func() {
		debug.SetMemoryLimit(before)
		debug.SetGCPercent(percent)
	})
	t.Setenv("GOGC", "100") // no tuning, which would go on behind this test
	budget, err := memory.For(1 << 30)
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
		a := allowance{limit: c.limit}
		if c.limit > 0 {
			a.budget = budget
		}
		a.take(config.Config{}, zerolog.Nop())
		if got := debug.SetMemoryLimit(-1); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}

// TestBounded: the budget lowers what is configured and never raises it; without one
// everything stays.
func TestBounded(t *testing.T) {
	budget := memory.Budget{BytesInFlight: 50, BodyBytes: 10, KeysPerPost: 5, RequestsInFlight: 3, Calls: 2}
	much := config.Config{MaxBytesInFlight: 51, MaxBodyBytes: 11, MaxKeysPerPost: 6, MaxRequestsInFlight: 4, MaxConcurrentCalls: 3, Port: 7}
	little := config.Config{MaxBytesInFlight: 49, MaxBodyBytes: 9, MaxKeysPerPost: 4, MaxRequestsInFlight: 2, MaxConcurrentCalls: 1, Port: 7}
	want := config.Config{MaxBytesInFlight: 50, MaxBodyBytes: 10, MaxKeysPerPost: 5, MaxRequestsInFlight: 3, MaxConcurrentCalls: 2, Port: 7}
	for name, c := range map[string]struct {
		given, want config.Config
		budget      memory.Budget
	}{
		"much": {much, want, budget}, "little": {little, little, budget}, "no limit": {much, much, memory.Budget{}},
	} {
		if got := bounded(c.given, c.budget); fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", c.want) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
