package test

import (
	"strings"
	"testing"

	"audiences/sandbox"
)

// TestParkedStaysInSight: what Split refused for good is seen after a kill and a
// restart, though nothing of it is pending, and a newer change takes it off.
func TestParkedStaysInSight(t *testing.T) {
	t.Parallel()
	s := newSite(t, sandbox.Options{}, nil)
	s.split.Fault(sandbox.Rule{Kind: sandbox.Poison, Key: "bad"})
	p := s.start()
	p.mustPost(change{segment: "s", keys: []string{"bad", "good"}})
	p.shows(`audiences_keys_parked{reason="bad_request"} 1`)
	p.kill()

	p = s.start()
	p.shows("audiences_journal_uncounted 0")
	p.shows(`audiences_keys_parked{reason="bad_request"} 1`)
	s.split.ClearFaults()
	p.mustPost(change{segment: "s", keys: []string{"bad"}})
	p.shows(`audiences_keys_parked{reason="bad_request"} 0`)
	eventually(t, patience, "the key is in Split", func() bool { return len(s.members("s")) == 2 })
	s.judge()
}

// shows waits for a line of the metrics.
func (p *process) shows(line string) {
	p.t.Helper()
	eventually(p.t, patience, line, func() bool {
		a, err := p.adminGet("/metrics")
		return err == nil && strings.Contains(a.body, "\n"+line+"\n")
	})
}
