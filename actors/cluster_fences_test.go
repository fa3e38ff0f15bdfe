package actors

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
)

// TestFencesAreNeeded switches the fences off, one by one: in few random histories
// something goes wrong that never does with them. A test that finds nothing without them
// would say nothing with them either.
func TestFencesAreNeeded(t *testing.T) {
	for name, fence := range map[string]struct {
		off   without
		whats []string // what happens
	}{
		"a change comes too late":      {without{deadline: true}, []string{"post", "inside", "silent", "still", "opposite"}}, // F1
		"a newer change is settled":    {without{versions: true}, clusterWhats},                                              // F2
		"a node calls without a lease": {without{lease: true}, clusterWhats},                                                 // F3
	} {
		t.Run(name, func(t *testing.T) {
			const most = 1_000
			for seed := range uint64(most) {
				if findings := playSeed(t, seed, fence.off, fence.whats); len(findings) > 0 {
					t.Logf("after %d histories: %s", seed+1, findings[0])
					return
				}
			}
			t.Errorf("nothing was found in %d histories", most)
		})
	}
}

// playSeed plays the history of that number.
func playSeed(t *testing.T, seed uint64, off without, whats []string) (findings []string) {
	lot := rand.New(rand.NewPCG(seed, 2))
	h := drawHistory(func(n int, _ string) int { return lot.IntN(n) }, 40, whats)
	synctest.Test(t, func(t *testing.T) { findings, _ = h.play(t, off) })
	return findings
}
