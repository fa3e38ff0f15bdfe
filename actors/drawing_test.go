package actors

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"audiences/audience"
	"audiences/sandbox"
	"audiences/status"
)

// TestMemoryIsBounded covers I3: with more keys than memory is for, in more
// segments than can call at once, everything is delivered in order, and the count
// of keys in memory comes back to nothing, also over crashes of actors.
func TestMemoryIsBounded(t *testing.T) {
	const budget, chunk, calls, segments = 60, 5, 4, 40
	o := Options{MaxKeysPerCall: chunk, MaxKeysHeld: 2 * chunk, MaxKeysInMemory: budget, MaxConcurrentCalls: calls}
	// Beyond the budget there is a chunk of each segment whose call is under way. The calls
	// take no time here, and a segment may learn of the end of its own late: of all 40,
	// where the machine is busy.
	const most = budget + segments*chunk
	for name, trouble := range map[string]func(*scene){
		"calm":    func(*scene) {},
		"restart": (*scene).restart,
		"crash":   (*scene).crash,
		"panics": func(s *scene) {
			s.faulty.traps[settle].set(0, 10, false)
			s.faulty.traps[load].set(0, 10, false)
		},
		// A call of which nobody knows what became of it is kept as it was (I4).
		"outage": func(s *scene) { s.split.Fault(sandbox.Rule{Kind: sandbox.Status, Code: 503, For: time.Hour}) },
	} {
		t.Run(name, func(t *testing.T) {
			play(t, sandbox.Options{}, o, func(s *scene) {
				var seen atomic.Int64
				s.watch = func() {
					now := s.relay.inMemory.Load()
					for was := seen.Load(); now > was && !seen.CompareAndSwap(was, now); was = seen.Load() {
					}
				}
				s.restart() // with the watch
				of := func(n int) string { return fmt.Sprintf("s%d", n) }
				s.accept("token", of(0), audience.Add, "1")
				s.operateOn("token", "", status.Pause, time.Time{})
				for n := range segments {
					s.accept("token", of(n), audience.Add, "1-40")
				}
				s.at(time.Minute)
				trouble(s)
				s.at(2 * time.Minute)
				for n := range segments {
					s.accept("token", of(n), audience.Delete, "11-20")
				}
				s.operateOn("token", "", status.Resume, time.Time{})
				s.at(3 * time.Hour)
				for n := range segments {
					s.expectMembersOf("token", of(n), "1-10 21-40")
				}
				s.expectRest()
				if seen := seen.Load(); seen > most {
					s.Errorf("up to %d keys in memory, want at most %d", seen, most)
				}
			})
		})
	}
}
