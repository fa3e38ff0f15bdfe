package actors

import (
	"context"
	"errors"
	"testing"
	"time"

	"audiences/audience"
	"audiences/journal"
	"audiences/sandbox"
	"audiences/splitclient"
	"audiences/status"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// TestPauseOfASegment: no calls and no loss, until it is resumed, also after a
// restart; its neighbour goes on.
func TestPauseOfASegment(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		s.add("1")
		s.at(5 * time.Second)
		s.operate(status.Pause)
		s.add("2")
		s.accept("token", "t", audience.Add, "1")
		s.at(time.Hour)
		s.expectCalls("15s t add 1: 200")
		s.restart()
		s.add("3")
		s.at(2 * time.Hour)
		s.expectCalls()
		s.expectPending("token", "s", "1-3")
		s.operate(status.Resume)
		s.at(3 * time.Hour)
		s.expectCalls("2h0m0s add 3: 200")
		s.expectRest()
	})
}

// TestPauseOfATenant is the same for all of a tenant's segments.
func TestPauseOfATenant(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		s.add("1")
		s.operateOn("token", "", status.Pause, time.Time{})
		s.accept("token", "t", audience.Add, "2")
		s.accept("other", "s", audience.Add, "1")
		s.at(time.Hour)
		s.expectCalls("10s " + s.tenant("other").ID.String() + " add 1: 200")
		s.restart()
		s.add("3")
		s.at(2 * time.Hour)
		s.expectCalls()
		s.operateOn("token", "", status.Resume, time.Time{})
		s.at(3 * time.Hour)
		s.expectMembers("1 3")
		s.expectMembersOf("token", "t", "2")
		s.expectRest()
	})
}

// TestPauseWithAnEnd: calls go on at that instant, whatever happened meanwhile.
func TestPauseWithAnEnd(t *testing.T) {
	for what, name := range map[string]string{"segment": "s", "tenant": ""} {
		for how, between := range map[string]func(*scene){
			"": func(*scene) {}, " and a restart": (*scene).restart, " and a crash": (*scene).crash,
			" and nothing to do": func(s *scene) { s.at(45 * time.Minute) },
		} {
			t.Run(what+how, func(t *testing.T) {
				play(t, sandbox.Options{}, Options{}, func(s *scene) {
					s.add("1")
					s.at(11 * time.Second)
					s.calls()
					s.operateOn("token", name, status.Pause, s.began.Add(time.Hour))
					s.at(30 * time.Minute)
					between(s)
					s.add("2")
					s.at(2 * time.Hour)
					s.expectCalls("1h0m0s add 1: 200")
					s.add("3")
					s.at(3 * time.Hour)
					s.expectCalls("2h0m10s add 1: 200")
				})
			})
		}
	}
}

// TestPauseCutsNothing: the call under way ends as it would have.
func TestPauseCutsNothing(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		s.split.Fault(sandbox.Rule{Kind: sandbox.Slow, Delay: 2 * time.Second})
		s.add("1")
		s.at(11 * time.Second)
		s.operate(status.Pause)
		s.at(time.Minute)
		s.expectCalls("10s add 1: 200")
		s.expectRest()
	})
}

func TestFlushNow(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		s.add("1")
		s.accept("token", "t", audience.Add, "1")
		s.at(time.Second)
		s.operate(status.Flush)
		s.at(2 * time.Second)
		s.expectCalls("1s add 1: 200")
		s.add("2")
		s.operateOn("token", "", status.Flush, time.Time{})
		s.at(time.Minute)
		if got := len(s.calls()); got != 2 || time.Since(s.began) != time.Minute {
			s.Errorf("%d calls, want 2", got)
		}
		s.expectRest()
	})
}

// TestFlushOfAParkedSegment is one probe, now.
func TestFlushOfAParkedSegment(t *testing.T) {
	rejected(t, func(s *scene, _ func()) {
		s.operate(status.Flush)
		s.at(2 * time.Minute)
		s.expectCalls("1m0s add 1: 403")
	})
}

// TestWishesThatMakeNoSense: each is refused with its own error, and does no harm. Nothing
// that is asked for comes about by the question.
func TestWishesThatMakeNoSense(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		s.add("1")
		s.accept("old", "s", audience.Add, "2")
		past := s.began.Add(-time.Second)
		unknown := []status.Wish{
			s.wish("unknown", "s", status.Pause, time.Time{}), s.wish("unknown", "", status.Pause, time.Time{}), s.wish("token", "t", status.Pause, time.Time{}),
			s.wish("token", "t", status.Flush, time.Time{}), s.moving("token", "unknown"), s.moving("unknown", "token"),
		}
		ofASegment := s.moving("old", "token")
		ofASegment.Segment = s.segment("old", "s")
		impossible := []status.Wish{
			s.wish("token", "s", status.Pause, past), s.wish("token", "", status.Pause, s.began), s.wish("token", "s", status.Pause, s.began.AddDate(9000, 0, 0)),
			s.wish("token", "s", "mend", time.Time{}), s.wish("token", "", "", time.Time{}), s.moving("token", "token"), ofASegment,
		}
		notNeeded := []status.Wish{
			s.wish("token", "s", status.Resume, time.Time{}), s.wish("token", "", status.Resume, time.Time{}),
			s.wish("token", "s", status.Retry, time.Time{}), s.wish("token", "", status.Retry, time.Time{}),
			s.wish("token", "s", status.Discard, time.Time{}), s.wish("token", "", status.Discard, time.Time{}),
		}
		for want, wishes := range map[error][]status.Wish{status.ErrUnknown: unknown, status.ErrImpossible: impossible, status.ErrNotNeeded: notNeeded} {
			for _, w := range wishes {
				for _, w.DryRun = range []bool{true, false} {
					if effect, err := s.relay.Remedy(context.Background(), w); !errors.Is(err, want) || effect != (status.Effect{}) {
						s.Errorf("%s of %v: %+v, %v; want %v", w.Remedy, w.Segment, effect, err, want)
					}
				}
			}
		}
		views, err := s.relay.Segments(context.Background())
		s.must(err)
		if len(views) != 2 {
			s.Errorf("there are %d segments, want 2", len(views))
		}
		if _, err := s.relay.Inspect(context.Background(), s.segment("unknown", "s")); !errors.Is(err, status.ErrUnknown) {
			s.Error(err)
		}
		s.at(time.Minute)
		s.expectMembers("1")
		s.expectMembersOf("old", "s", "2")
		for _, w := range []status.Wish{s.wish("token", "s", status.Flush, time.Time{}), s.wish("token", "", status.Flush, time.Time{})} {
			if _, err := s.relay.Remedy(context.Background(), w); !errors.Is(err, status.ErrNotNeeded) {
				s.Errorf("flush with nothing pending: %v", err)
			}
		}
	})
}

// TestInspectSaysWhy: each phase, and each reason to wait, is told.
func TestInspectSaysWhy(t *testing.T) {
	play(t, sandbox.Options{}, Options{MaxKeysPerCall: 3, MaxKeysHeld: 3}, func(s *scene) {
		expect := func(phase string, reason splitclient.Reason, attempts int, repeat time.Duration) SegmentDetail {
			s.Helper()
			d := s.inspect("token", "s")
			var at time.Duration
			if !d.RepeatAt.IsZero() {
				at = d.RepeatAt.Sub(s.began)
			}
			if d.Phase != phase || d.LastReason != reason || d.Attempts != attempts || at != repeat {
				s.Errorf("%v: %+v; want %v, %q, %d attempts, repeated at %v", time.Since(s.began), d, phase, reason, attempts, repeat)
			}
			return d
		}
		s.add("1")
		if d := expect("gathering", "", 0, 0); !d.Due.Equal(s.began.Add(10*time.Second)) || d.Adds != 1 {
			s.Errorf("%+v", d)
		}
		hang := s.split.Fault(sandbox.Rule{Kind: sandbox.Hang})
		s.at(11 * time.Second)
		expect("calling", "", 1, 0)
		hang()
		s.at(12 * time.Second)
		expect("gathering", splitclient.OK, 0, 0)

		s.split.Fault(sandbox.Rule{Kind: sandbox.Status, Code: 500, Count: 1})
		s.split.Fault(sandbox.Rule{Kind: sandbox.Throttle, Reset: time.Minute, Count: 1})
		s.add("1-8")
		expect("gathering", splitclient.ServerError, 1, 12500*time.Millisecond)
		s.at(13 * time.Second)
		if d := expect("waiting for a permit", splitclient.ThrottledOrg, 2, 0); d.Adds != 6 || d.Stored != 2 {
			s.Errorf("%d keys are said to be in memory and %d in the journal alone, want 6 and 2", d.Adds, d.Stored)
		}
		s.at(2 * time.Minute)
		expect("gathering", splitclient.OK, 0, 0)
		s.expectRest()
	})
}

// TestInspectWhileReading: a segment that reads from the journal says so.
func TestInspectWhileReading(t *testing.T) {
	play(t, sandbox.Options{}, Options{MaxKeysPerCall: 3, MaxKeysHeld: 3, MaxKeysInMemory: 1}, func(s *scene) {
		s.add("1-6") // one is held, the others are in the journal alone
		s.faulty.loadTakes.Store(int64(time.Second))
		s.at(10500 * time.Millisecond)
		if d := s.inspect("token", "s"); d.Phase != "reading from the journal" {
			s.Errorf("phase %q", d.Phase)
		}
		s.at(time.Minute)
		s.expectMembers("1-6")
	})
}

// TestForgettingLosesNoState: a segment that is let go comes back as it was.
func TestForgettingLosesNoState(t *testing.T) {
	poisoned(t, Options{}, func(s *scene, _ func()) {
		s.operate(status.Pause)
		s.at(time.Hour)
		if n := testutil.ToFloat64(s.relay.metrics.segments); n != 0 {
			s.Fatalf("%v segments have an actor", n)
		}
		s.add("11")
		s.at(2 * time.Hour)
		s.expectCalls()
		if d := s.inspect("token", "s"); !d.State.Paused || d.ParkedKeys != 3 {
			s.Errorf("%+v", d)
		}
		listed := 0
		for l, err := range s.store.Segments(audience.AllSlots()) {
			s.must(err)
			if l.Pending && l.Parked && l.State.Paused {
				listed++
			}
		}
		if listed != 1 {
			s.Errorf("%d segments are listed with all this", listed)
		}
		s.expectPending("token", "s", "11")
	})
}

// TestPauseWithoutAnOperator: one who goes away before the answer does not read what is
// being written for it. The race detector tells.
func TestPauseWithoutAnOperator(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		s.add("1")
		gone, cancel := context.WithCancel(context.Background())
		cancel()
		for range 20 {
			err := s.relay.operateTenant(gone, task{tenant: s.tenant("token"), remedy: status.Pause, pause: journal.TenantState{Paused: true}})
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		}
		s.at(time.Second)
		s.operateOn("token", "", status.Resume, time.Time{})
		s.at(time.Minute)
		s.expectMembers("1")
	})
}
