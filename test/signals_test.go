package test

import (
	"encoding/json"
	"strings"
	"syscall"
	"testing"

	"audiences/sandbox"
)

// TestStraySignals: what other programs send out of habit is noted and changes
// nothing, neither while the relay runs nor while it stops.
func TestStraySignals(t *testing.T) {
	t.Parallel()
	s := newSite(t, sandbox.Options{}, map[string]any{"segmentsFlushRateInSeconds": 3600})
	p := s.start()
	p.mustPost(change{segment: "sStray", keys: []string{"1"}})
	strays := []syscall.Signal{syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGPIPE, syscall.SIGXFSZ, syscall.SIGTTOU}
	for _, stray := range strays {
		p.signal(stray)
	}
	for _, stray := range strays[:3] {
		eventually(t, patience, "the log names "+stray.String(), func() bool { return logged(p, "signal", stray.String()) })
	}
	letGo := s.split.Fault(sandbox.Rule{Kind: sandbox.Hang})
	p.signal(syscall.SIGTERM)
	stopping(t, p)
	for _, stray := range strays {
		p.signal(stray)
	}
	letGo()
	if code := p.wait(patience); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	if n := len(s.members("sStray")); n != 1 {
		t.Errorf("%d keys were delivered", n)
	}
	s.judge()
}

// logged looks for a line of the log with that value.
func logged(p *process, key, value string) bool {
	for line := range strings.Lines(p.log()) {
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
		s := newSite(t, sandbox.Options{History: true}, map[string]any{"drainTimeout": "1h", "splitTimeout": "10m"})
		s.split.Fault(sandbox.Rule{Kind: sandbox.Hang})
		p := s.start()
		postInOrder(p)
		p.signal(syscall.SIGTERM)
		stopping(t, p) // the first one has been taken
		p.signal(c.second)
		if code := p.wait(patience); code != c.code {
			t.Errorf("%v: exit code %d, want %d", c.second, code, c.code)
		}
		deliveredInOrder(t, s)
	}
}

// TestSandboxEndsWithItsTerminal: it is there for somebody who looks on.
func TestSandboxEndsWithItsTerminal(t *testing.T) {
	t.Parallel()
	p := (&site{t: t}).run([]string{"sandbox"}, nil)
	eventually(t, patience, "it runs", func() bool { return strings.Contains(p.output(), "curl") })
	p.signal(syscall.SIGHUP)
	if code := p.wait(patience); code != exitDone {
		t.Errorf("exit code %d", code)
	}
}
