package actors

import (
	"context"
	"testing"
	"time"

	"audiences/audience"
	"audiences/sandbox"
	"audiences/splitclient"
	"audiences/status"
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

// TestNothingLeftToCallFor: a segment that waits for a call, of a tenant that may not make
// one, and loses its keys to an operator, wants none any more: it is idle, and let go.
func TestNothingLeftToCallFor(t *testing.T) {
	for name, lose := range map[string]func(*scene){
		"discarded": func(s *scene) { s.operate(status.Discard) },
		"moved":     func(s *scene) { s.move("token", "heir") },
	} {
		t.Run(name, func(t *testing.T) {
			play(t, sandbox.Options{}, Options{ProbeInterval: time.Minute}, func(s *scene) {
				s.split.Fault(sandbox.Rule{Kind: sandbox.Status, Code: 403, Count: 1})
				s.add("1-3")
				s.at(12 * time.Second)
				s.accept("heir", "other", audience.Add, "9")
				s.operateOn("token", "", status.Pause, time.Time{})
				s.at(2 * time.Minute) // the parked segment is to be tried
				if detail := s.inspect("token", "s"); detail.Phase != "waiting for a permit" {
					s.Fatalf("the segment is %s", detail.Phase)
				}
				lose(s)
				s.at(3 * time.Minute)
				if detail := s.inspect("token", "s"); detail.Phase != "gathering" || detail.SegmentView.Phase.State != status.Idle {
					s.Errorf("the segment is %s, and shown as %+v", detail.Phase, detail.SegmentView.Phase)
				}
				s.add("4")
				s.at(4 * time.Minute) // it waits again
				s.operateOn("token", "", status.Resume, time.Time{})
				s.at(5 * time.Minute)
				s.expectMembers("4")
				s.at(2 * time.Hour)
				if views, err := s.relay.Segments(context.Background()); err != nil || len(views) != 0 {
					s.Errorf("still shown: %v %v", views, err)
				}
			})
		})
	}
}
