package harness

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Process is one run of the relay in a test, which its methods fail.
type Process struct {
	*Child
	T testing.TB
}

// Listening waits until the ports are open.
func (p *Process) Listening() {
	p.T.Helper()
	if err := p.AwaitListening(); err != nil {
		p.T.Fatal(err)
	}
}

// Ready waits until /readyz says that all that was pending is active again.
func (p *Process) Ready() {
	p.T.Helper()
	p.Listening()
	Eventually(p.T, Patience, "the relay is ready", p.IsReady)
}

// MustPost fails the test unless the change is accepted.
func (p *Process) MustPost(c Change) {
	p.T.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if a, err := p.Post(ctx, c); err != nil || a.Status != http.StatusOK {
		p.T.Fatalf("post to %s: %d %s, %v", c.Segment, a.Status, a.Body, err)
	}
}

// Signal goes to this very process.
func (p *Process) Signal(sig syscall.Signal) {
	p.T.Helper()
	if err := p.Cmd.Process.Signal(sig); err != nil {
		p.T.Fatalf("send %v: %v", sig, err)
	}
}

// Terminate sends SIGTERM, waits for the end and returns the exit code.
func (p *Process) Terminate() int {
	p.T.Helper()
	p.Signal(syscall.SIGTERM)
	return p.Wait(Patience)
}

// Wait waits for the end and returns the exit code, -1 after a fatal signal.
func (p *Process) Wait(within time.Duration) int {
	p.T.Helper()
	if err := p.AwaitEnd(within); err != nil {
		p.T.Fatal(err)
	}
	return p.ExitCode()
}

// Shows waits for a line of the metrics.
func (p *Process) Shows(line string) {
	p.T.Helper()
	Eventually(p.T, Patience, line, func() bool {
		a, err := p.AdminGet("/metrics")
		return err == nil && strings.Contains(a.Body, "\n"+line+"\n")
	})
}

// Metric is the value of a metric, named as in Metrics; there must be one.
func (p *Process) Metric(name string) float64 {
	p.T.Helper()
	all, err := p.Metrics()
	if err != nil {
		p.T.Fatal(err)
	}
	value, ok := all[name]
	if !ok {
		p.T.Fatalf("there is no metric %s", name)
	}
	return value
}

// Resident is the memory of the process in bytes, now and at most so far.
func (p *Process) Resident() (now, peak int) {
	p.T.Helper()
	now, peak, err := Resident(p.PID())
	if err != nil {
		p.T.Fatal(err)
	}
	return now, peak
}

// Memory is Resident in words.
func (p *Process) Memory() string {
	p.T.Helper()
	now, peak := p.Resident()
	return fmt.Sprintf("RSS %d kB, at most %d kB", now>>10, peak>>10)
}

// OpenFiles is how many files the process has open.
func (p *Process) OpenFiles() int {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.PID()))
	if err != nil {
		p.T.Error(err)
	}
	return len(entries)
}
