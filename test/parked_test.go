package test

import (
	"testing"

	"audiences/sandbox"
	"audiences/test/harness"
)

// TestParkedStaysInSight: what Split refused for good is seen after a kill and a
// restart, though nothing of it is pending, and a newer change takes it off.
func TestParkedStaysInSight(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{}, nil)
	s.Split.Fault(sandbox.Rule{Kind: sandbox.Poison, Key: "bad"})
	p := s.Start()
	p.MustPost(harness.Change{Segment: "s", Keys: []string{"bad", "good"}})
	p.Shows(`audiences_keys_parked{reason="bad_request"} 1`)
	p.Kill()

	p = s.Start()
	p.Shows("audiences_journal_uncounted 0")
	p.Shows(`audiences_keys_parked{reason="bad_request"} 1`)
	s.Split.ClearFaults()
	p.MustPost(harness.Change{Segment: "s", Keys: []string{"bad"}})
	p.Shows(`audiences_keys_parked{reason="bad_request"} 0`)
	harness.Eventually(t, harness.Patience, "the key is in Split", func() bool { return len(s.Members("s")) == 2 })
	s.Judge()
}
