package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"

	"audiences/test/harness"
)

// What a machine may do beside a run whose figures are worth writing down.
const (
	quietLoad   = 0.5  // load average before the run, for each core
	quietOthers = 0.05 // share of all cores that other processes take during a scenario
	quietSpread = 0.35 // between the least and the greatest of a server's posts/s, of their median
)

// machineTime is processor time since the machine has started.
type machineTime struct {
	all  time.Duration // of all cores, idle or not
	busy time.Duration // of all processes and of other virtual machines; interrupts left out, which nobody is charged with
	own  time.Duration // of this process and all that it has started
}

// machineTime reads the clocks of the machine and of the processes of this run.
func (h *house) machineTime() (t machineTime, err error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return t, fmt.Errorf("read processor time: %w", err)
	}
	if t, err = parseStat(string(text)); err != nil {
		return t, err
	}
	var ended syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &ended); err != nil {
		return t, fmt.Errorf("read processor time: %w", err)
	}
	t.own = harness.OwnCPU() + time.Duration(ended.Utime.Nano()+ended.Stime.Nano())
	for _, c := range h.children {
		if used, err := harness.CPU(c.PID()); err == nil { // one that has ended is counted above
			t.own += used
		}
	}
	return t, nil
}

// parseStat reads the first line of /proc/stat: user, nice, system, idle, iowait,
// irq, softirq and steal of all cores (proc_stat(5)).
func parseStat(text string) (t machineTime, err error) {
	var n [8]int64
	first, _, _ := strings.Cut(text, "\n")
	if _, err := fmt.Sscanf(first, "cpu %d %d %d %d %d %d %d %d", &n[0], &n[1], &n[2], &n[3], &n[4], &n[5], &n[6], &n[7]); err != nil {
		return t, fmt.Errorf("read processor time: %w", err)
	}
	for _, ticks := range n {
		t.all += time.Duration(ticks) * harness.Tick
	}
	t.busy = time.Duration(n[0]+n[1]+n[2]+n[7]) * harness.Tick
	return t, nil
}

// othersSince is the share of all cores that others have taken.
func (t machineTime) othersSince(before machineTime) float64 {
	others := (t.busy - before.busy) - (t.own - before.own)
	return max(0, others.Seconds()) / max(harness.Tick, t.all-before.all).Seconds()
}

// loadAverage is that of the last minute.
func loadAverage() (load float64) {
	text, err := os.ReadFile("/proc/loadavg")
	if err == nil {
		_, err = fmt.Sscan(string(text), &load)
	}
	if err != nil {
		return float64(runtime.NumCPU()) // a machine that does not tell is not known to be quiet
	}
	return load
}

// before notes what disturbs a run that has not begun.
func (r *report) before() {
	load := loadAverage()
	fmt.Printf("load average %.2f\n\n", load)
	if load > quietLoad*float64(runtime.NumCPU()) {
		r.disturb("the load average was %.2f before the run", load)
	}
	if dir := os.TempDir(); inMemory(dir) {
		r.disturb("%s is in memory, so nothing was written to a disk", dir)
	}
}

// watched runs a part, prints what the machine did meanwhile, and notes what
// disturbed it.
func (h *house) watched(what string, r *report, run func() error) error {
	before, err := h.machineTime()
	if err != nil {
		return err
	}
	load, began := loadAverage(), time.Now()
	if err := run(); err != nil {
		return err
	}
	after, err := h.machineTime()
	if err != nil {
		return err
	}
	others := after.othersSince(before)
	fmt.Printf("%s: %.0f s; load average %.2f before, %.2f after; others took %.1f %% of the cores\n\n",
		what, time.Since(began).Seconds(), load, loadAverage(), 100*others)
	if others > quietOthers {
		r.disturb("other processes took %.1f %% of the cores during %s", 100*others, what)
	}
	return nil
}

// inMemory reports whether a directory's files never reach a disk.
func inMemory(dir string) bool {
	const tmpfs = 0x01021994 // TMPFS_MAGIC, statfs(2)
	var about syscall.Statfs_t
	return syscall.Statfs(dir, &about) == nil && about.Type == tmpfs
}
