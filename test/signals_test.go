package test

import (
	"encoding/json"
	"strings"
	"syscall"
	"testing"

	"audiences/sandbox"
	"audiences/test/harness"
)

// TestStraySignals: what other programs send out of habit is noted and changes
// nothing, neither while the relay runs nor while it stops.
func TestStraySignals(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{}, map[string]any{"segmentsFlushRateInSeconds": 3600})
	p := s.Start()
	p.MustPost(harness.Change{Segment: "sStray", Keys: []string{"1"}})
	strays := []syscall.Signal{syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGHUP, syscall.SIGPIPE, syscall.SIGXFSZ, syscall.SIGTTOU}
	for _, stray := range strays {
		p.Signal(stray)
	}
	for _, stray := range strays[:2] {
		harness.Eventually(t, harness.Patience, "the log names "+stray.String(), func() bool { return logged(p, "signal", stray.String()) })
	}
	letGo := s.Split.Fault(sandbox.Rule{Kind: sandbox.Hang})
	p.Signal(syscall.SIGTERM)
	stopping(t, p)
	for _, stray := range strays {
		p.Signal(stray)
	}
	letGo()
	if code := p.Wait(harness.Patience); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	if n := len(s.Members("sStray")); n != 1 {
		t.Errorf("%d keys were delivered", n)
	}
	s.Judge()
}

// logged looks for a line of the log with that value.
func logged(p *harness.Process, key, value string) bool {
	for line := range strings.Lines(p.Log()) {
		var event map[string]any
		if json.Unmarshal([]byte(line), &event) == nil && event[key] == value {
			return true
		}
	}
	return false
}

// TestSecondSignalEndsAtOnce, with the exit code that shells give to such an end,
// and loses nothing (I3).
func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		second syscall.Signal
		code   int
	}{{syscall.SIGTERM, 143}, {syscall.SIGINT, 130}} {
		s := harness.NewSite(t, sandbox.Options{History: true}, map[string]any{"drainTimeout": "1h", "splitTimeout": "10m"})
		s.Split.Fault(sandbox.Rule{Kind: sandbox.Hang})
		p := s.Start()
		postInOrder(p)
		p.Signal(syscall.SIGTERM)
		stopping(t, p) // the first one has been taken
		p.Signal(c.second)
		if code := p.Wait(harness.Patience); code != c.code {
			t.Errorf("%v: exit code %d, want %d", c.second, code, c.code)
		}
		deliveredInOrder(t, s)
	}
}

// TestSandboxEndsWithItsTerminal: it is there for somebody who looks on.
func TestSandboxEndsWithItsTerminal(t *testing.T) {
	t.Parallel()
	p := (&harness.Site{T: t}).Run([]string{"sandbox"}, nil)
	harness.Eventually(t, harness.Patience, "it runs", func() bool { return strings.Contains(p.Output(), "curl") })
	p.Signal(syscall.SIGHUP)
	if code := p.Wait(harness.Patience); code != exitDone {
		t.Errorf("exit code %d", code)
	}
}
