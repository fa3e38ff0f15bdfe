package actors

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"audiences/audience"
	"audiences/sandbox"
	"audiences/status"
)

const countTakes = time.Hour

// view is what segment s of token shows; ok is false when it is not active.
func (s *scene) view() (view SegmentView, ok bool) {
	s.Helper()
	views, err := s.relay.Segments(context.Background())
	s.must(err)
	for _, view := range views {
		if view.Segment == s.segment("token", "s") {
			return view, true
		}
	}
	return SegmentView{}, false
}

func (s *scene) expectCounts(adds, stored int, uncounted bool) {
	s.Helper()
	want := SegmentView{Segment: s.segment("token", "s"), Adds: adds, Stored: stored, Uncounted: uncounted}
	got, _ := s.view()
	if got.Phase = want.Phase; got != want {
		s.Errorf("shows %+v, want %+v", got, want)
	}
	if got := testutil.ToFloat64(s.relay.metrics.pending); got != float64(adds+stored) {
		s.Errorf("%v keys are pending, want %d", got, adds+stored)
	}
	if got := testutil.ToFloat64(s.relay.metrics.uncounted) > 0; got != uncounted {
		s.Errorf("uncounted segments: %v, want %v", got, uncounted)
	}
}

// TestNothingWaitsForACount: after a start the relay is ready and calls Split
// while the keys are still being counted, and the count is right when it is in,
// whatever changed meanwhile.
func TestNothingWaitsForACount(t *testing.T) {
	o := Options{MaxKeysPerCall: 5, MaxKeysHeld: 10, FlushInterval: time.Second}
	play(t, sandbox.Options{}, o, func(s *scene) {
		s.split.Fault(sandbox.Rule{Kind: sandbox.Status, Code: 503})
		s.accept("token", "s", audience.Add, "1-40")
		s.operate(status.Pause)
		s.counts = countTakes
		s.restart()
		asked := time.Now()
		s.must(s.relay.Ready())
		s.expectCounts(5, 0, true)
		s.accept("token", "s", audience.Add, "51-60") // to the journal alone
		s.expectCounts(5, 5, true)                    // less than there is: not even the 5 are taken off anything
		s.split.ClearFaults()
		s.operate(status.Resume)
		time.Sleep(time.Minute)
		s.expectMembersOf("token", "s", "1-40 51-60")
		s.operate(status.Pause)
		s.accept("token", "s", audience.Add, "101-140")
		s.expectCounts(10, 30, true)
		time.Sleep(time.Until(asked.Add(countTakes)))
		synctest.Wait()
		s.expectCounts(10, 30, false)
	})
}

// TestCountIsRight when it comes, with keys that were drawn in, and others that
// were accepted, since it was asked for.
func TestCountIsRight(t *testing.T) {
	o := Options{MaxKeysPerCall: 5, MaxKeysHeld: 10, FlushInterval: time.Second}
	play(t, sandbox.Options{}, o, func(s *scene) {
		s.accept("token", "s", audience.Add, "1")
		s.at(time.Minute)
		s.operate(status.Pause)
		s.accept("token", "s", audience.Add, "1-40")
		s.counts = countTakes
		s.restart()
		asked := time.Now()
		s.accept("token", "s", audience.Add, "51-60")
		time.Sleep(time.Until(asked.Add(countTakes)))
		synctest.Wait()
		s.expectCounts(5, 45, false)
	})
}

// TestCountMeetsChanges: with a part of the keys drawn in and delivered, and
// others accepted and parked, while they are counted.
func TestCountMeetsChanges(t *testing.T) {
	o := Options{MaxKeysPerCall: 5, MaxKeysHeld: 10, FlushInterval: time.Second, IdleTimeout: 2 * countTakes}
	play(t, sandbox.Options{}, o, func(s *scene) {
		s.split.Fault(sandbox.Rule{Kind: sandbox.Hang})
		s.accept("token", "s", audience.Add, "1-40")
		s.counts = countTakes
		s.restart()
		asked := time.Now()
		s.split.ClearFaults()
		s.split.Fault(sandbox.Rule{Kind: sandbox.Poison, Key: "23"})
		time.Sleep(time.Until(asked.Add(countTakes)))
		synctest.Wait()
		s.expectMembersOf("token", "s", "1-22 24-40")
		s.expectCounts(0, 0, false)
		if n := s.inspect("token", "s").ParkedKeys; n != 1 {
			t.Errorf("%d parked keys, want 1", n)
		}
	})
}

// TestUncountedIsNotForgotten covers I3: whether a segment has parked keys is known
// when they are counted; before that the journal must not forget it.
func TestUncountedIsNotForgotten(t *testing.T) {
	o := Options{IdleTimeout: time.Minute}
	play(t, sandbox.Options{}, o, func(s *scene) {
		s.split.Fault(sandbox.Rule{Kind: sandbox.Poison, Key: "1"})
		s.accept("token", "s", audience.Add, "1-3")
		s.at(10 * time.Minute)
		s.counts = countTakes
		s.restart()
		s.accept("token", "s", audience.Add, "4")
		time.Sleep(countTakes - 1)
		if _, active := s.view(); !active {
			t.Error("let go before its keys were counted")
		}
		time.Sleep(10 * time.Minute)
		if n := testutil.ToFloat64(s.relay.metrics.segments); n != 0 {
			t.Errorf("%v segments were not let go", n)
		}
		s.restart()
		s.expectParked("add 1: bad_request")
		for listed, err := range s.store.Segments(audience.AllSlots()) {
			if s.must(err); !listed.Parked {
				t.Errorf("%+v", listed)
			}
		}
	})
}

// TestRetryDuringACount: the count still sees the keys that were taken back, so it
// is made again.
func TestRetryDuringACount(t *testing.T) {
	play(t, sandbox.Options{}, Options{IdleTimeout: 3 * countTakes}, func(s *scene) {
		s.split.Fault(sandbox.Rule{Kind: sandbox.Poison, Key: "1"})
		s.accept("token", "s", audience.Add, "1-3")
		s.at(5 * time.Minute)
		s.counts = countTakes
		s.restart()
		s.accept("token", "s", audience.Add, "4")
		s.split.ClearFaults()
		s.operate(status.Retry)
		time.Sleep(2 * countTakes)
		s.expectMembersOf("token", "s", "1-4")
		if n := s.inspect("token", "s").ParkedKeys; n != 0 {
			t.Errorf("%d parked keys, want none", n)
		}
		s.expectRest()
	})
}
