package actors

import (
	"testing"
	"time"

	"audiences/audience"
	"audiences/journal"
	"audiences/sandbox"
	"audiences/status"
)

// appendElsewhere appends to the journal as another node does, past this process.
func (s *scene) appendElsewhere(writer journal.Intake, verb audience.Verb, keys string) {
	s.Helper()
	done := make(chan error, 1)
	writer.Append(journal.Append{Tenant: s.tenant("token").ID, Done: through(done), Changes: []journal.Change{
		{Segment: s.segment("token", "s"), Verb: verb, Keys: audience.KeysOf(keysOf(keys)...), Describe: true},
	}})
	s.must(<-done)
}

// TestSecondWriter covers I2 where somebody else accepts the opposite verb of a key that
// this process has in hand: the last accepted verb is what Split has in the end.
func TestSecondWriter(t *testing.T) {
	o := Options{FlushInterval: 10 * time.Second, MaxKeysPerCall: 4, MaxKeysHeld: 4}
	stories := map[string]func(s *scene, elsewhere func(audience.Verb, string)){
		"held": func(s *scene, elsewhere func(audience.Verb, string)) {
			s.add("1 2 3")
			elsewhere(audience.Delete, "2")
			s.at(time.Minute)
			s.expectMembers("1 3")
		},
		"in flight": func(s *scene, elsewhere func(audience.Verb, string)) {
			s.split.Fault(sandbox.Rule{Kind: sandbox.Slow, Delay: 2 * time.Second})
			s.add("1 2 3")
			s.at(11 * time.Second)
			elsewhere(audience.Delete, "2")
			s.at(time.Minute)
			s.expectMembers("1 3")
		},
		"in flight, twice": func(s *scene, elsewhere func(audience.Verb, string)) {
			s.split.Fault(sandbox.Rule{Kind: sandbox.Slow, Delay: 2 * time.Second})
			s.add("1 2")
			s.at(11 * time.Second)
			elsewhere(audience.Delete, "1 2")
			s.add("1")             // and this process has the last word on this one
			s.at(13 * time.Second) // while the delete is in flight
			elsewhere(audience.Add, "2")
			s.at(2 * time.Minute)
			s.expectMembers("1 2")
		},
		"in a hunt": func(s *scene, elsewhere func(audience.Verb, string)) {
			s.split.Fault(sandbox.Rule{Kind: sandbox.Poison, Key: "1"})
			s.split.Fault(sandbox.Rule{Kind: sandbox.Slow, Delay: time.Second})
			s.add("1 2 3 4")
			s.at(500 * time.Millisecond)
			elsewhere(audience.Delete, "1")
			s.at(2 * time.Minute)
			s.expectMembers("2 3 4")
			s.expectParked("delete 1: bad_request")
		},
		"drawn": func(s *scene, elsewhere func(audience.Verb, string)) {
			s.add("1")
			s.operate(status.Pause)
			s.add("2 3 4 5 6 7 8 9")
			s.restart() // some are drawn now, all others are in the journal alone
			elsewhere(audience.Delete, "1 5 9")
			s.operate(status.Resume)
			s.at(2 * time.Minute)
			s.expectMembers("2 3 4 6 7 8")
		},
		"drawn from elsewhere": func(s *scene, elsewhere func(audience.Verb, string)) {
			s.add("4")
			s.operate(status.Pause)
			elsewhere(audience.Add, "1 2 3")
			s.restart()
			elsewhere(audience.Delete, "3")
			s.add("2")
			s.operate(status.Resume)
			s.at(2 * time.Minute)
			s.expectMembers("1 2 4")
		},
		"parked": func(s *scene, elsewhere func(audience.Verb, string)) {
			cure := s.split.Fault(sandbox.Rule{Kind: sandbox.Poison, Key: "1"})
			s.add("1 2")
			s.at(time.Minute)
			s.expectParked("add 1: bad_request")
			elsewhere(audience.Delete, "1 2")
			cure()
			s.operate(status.Retry) // it looks at the journal again
			s.at(2 * time.Minute)
			s.expectMembers("")
			s.expectParked()
		},
	}
	for name, story := range stories {
		t.Run(name, func(t *testing.T) {
			play(t, sandbox.Options{}, o, func(s *scene) {
				var writer journal.Intake
				store := s.store
				elsewhere := func(verb audience.Verb, keys string) {
					if writer == nil || store != s.store {
						store, writer = s.store, s.store.Writer(1)
					}
					s.appendElsewhere(writer, verb, keys)
				}
				story(s, elsewhere)
				s.expectRest()
			})
		})
	}
}
