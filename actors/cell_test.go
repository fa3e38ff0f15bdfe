package actors

import (
	"testing"
	"time"

	"audiences/audience"
	"audiences/sandbox"
	"audiences/splitclient"
)

// TestAsleepKnowsItsNameIsNew covers I3: a segment that was only looked at has no
// name in the journal. It slept, took itself for known, and the journal had keys
// of a segment that it could not name after a restart.
func TestAsleepKnowsItsNameIsNew(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		s.accept("token", "other", audience.Add, "1") // makes the tenant known
		s.inspect("token", "s")
		s.at(time.Minute)
		s.add("7")
		s.crash()
		s.at(2 * time.Minute)
		s.expectMembers("7")
		s.expectRest()
	})
}

// TestAsleepRemembers: what an operator is shown, and what was learned of Split, is
// the same after a segment had nothing to do for a while.
func TestAsleepRemembers(t *testing.T) {
	t.Run("last reason", func(t *testing.T) {
		play(t, sandbox.Options{}, Options{}, func(s *scene) {
			s.add("1")
			s.at(time.Minute)
			s.add("2")
			if d := s.inspect("token", "s"); d.LastReason != splitclient.OK || d.Adds != 1 || !d.Due.Equal(s.began.Add(70*time.Second)) {
				s.Errorf("%+v", d)
			}
		})
	})
	t.Run("keys of a call", func(t *testing.T) {
		play(t, sandbox.Options{}, Options{MaxKeysPerCall: 150}, func(s *scene) {
			s.split.Fault(sandbox.Rule{Kind: sandbox.TooLarge, Keys: 100})
			s.add("1-150")
			s.at(time.Minute)
			s.add("201-350")
			s.at(2 * time.Minute)
			s.expectCalls("0s add 150: 413", "0s add 75: 200", "0s add 75: 200", "1m0s add 75: 200", "1m0s add 75: 200")
			s.expectRest()
		})
	})
}

// TestAsleepDoesNotHoldUpTheStop: the stop waits for every segment, also for those
// that have nothing to say, and takes no time for them.
func TestAsleepDoesNotHoldUpTheStop(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		s.accept("token", "other", audience.Add, "1")
		s.at(time.Minute)
		s.add("1")
		if took := s.stop(time.Hour); took != 0 {
			s.Errorf("the stop took %v", took)
		}
		s.expectMembers("1")
		s.start()
	})
}

// TestCrashedBeginsByItself covers I3: what a crash left in the journal goes out
// although nobody sends the segment another message.
func TestCrashedBeginsByItself(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		s.add("1")
		s.crashSegment()
		s.at(time.Hour)
		s.expectCalls("10.5s add 2: 200")
		s.expectRest()
	})
}
