package test

import (
	"testing"

	"audiences/sandbox"
	"audiences/test/harness"
)

// TestHarness shows the shortest use of the harness: a key goes from a post to
// the look-alike, and the relay ends when it is told to.
func TestHarness(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{}, nil)
	p := s.Start()
	p.Ready()
	p.MustPost(harness.Change{Segment: "sFirst", Keys: []string{"1", "-2"}})
	harness.Eventually(t, harness.Patience, "the keys are in Split", func() bool { return len(s.Members("sFirst")) == 2 })
	if code := p.Terminate(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	s.Judge()
}
