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

// TestAcceptSeveral: the changes of one post are accepted in their order, all or none,
// whatever segments they are for; and so they are found after a restart.
func TestAcceptSeveral(t *testing.T) {
	for name, then := range map[string]func(*scene){"kept": func(*scene) {}, "restarted": (*scene).restart} {
		t.Run(name, func(t *testing.T) {
			play(t, sandbox.Options{}, Options{}, func(s *scene) {
				s.add("3")
				change := func(segment string, verb audience.Verb, keys string) audience.Change {
					return audience.Change{Token: s.tenant("token").Token, Segment: s.segment("token", segment), Verb: verb, Keys: audience.KeysOf(keysOf(keys)...)}
				}
				reply := make(chan error, 1)
				s.relay.Accept(reply, change("s", audience.Add, "1 2"), change("t", audience.Add, "5"), change("s", audience.Delete, "2 3"), change("t", audience.Add, "6"))
				s.must(<-reply)
				s.faulty.traps[appendKeys].set(0, 1, false)
				s.relay.Accept(reply, change("s", audience.Add, "8"), change("u", audience.Add, "9"))
				if err := <-reply; err != ErrCrashed {
					s.Errorf("answer %v, want %v", err, ErrCrashed)
				}
				then(s)
				s.at(time.Minute)
				s.expectMembers("1")
				s.expectMembersOf("token", "t", "5 6")
				s.expectMembersOf("token", "u", "")
				s.expectRest()
			})
		})
	}
}
