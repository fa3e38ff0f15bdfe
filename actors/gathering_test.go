package actors

import (
	"strconv"
	"testing"
	"time"

	"audiences/audience"
	"audiences/sandbox"
)

// TestSteadyTrafficGathers: under steady traffic of both verbs there is one call
// per verb and flush interval, also when memory is short and every key stays in
// the journal. Keys that came during the call for one verb found the other one
// overdue and rode along at once: calls followed each other without a pause, with
// a handful of keys each.
func TestSteadyTrafficGathers(t *testing.T) {
	for name, options := range map[string]Options{
		"in memory":      {},
		"in the journal": {MaxKeysInMemory: -1},
	} {
		t.Run(name, func(t *testing.T) {
			slowly := sandbox.Options{Faults: []sandbox.Rule{{Kind: sandbox.Slow, Delay: 300 * time.Millisecond}}}
			play(t, slowly, options, func(s *scene) {
				const minutes = 2
				for i := range minutes * 60 * 10 {
					verb := audience.Add
					if i%3 == 0 {
						verb = audience.Delete
					}
					s.accept("token", "s", verb, strconv.Itoa(i))
					s.at(time.Duration(i+1) * 100 * time.Millisecond)
				}
				intervals := minutes * 6
				if calls := s.split.Counts().Calls; calls > 2*intervals+2 || calls < intervals {
					t.Errorf("%d calls in %d intervals of steady traffic with two verbs", calls, intervals)
				}
			})
		})
	}
}
