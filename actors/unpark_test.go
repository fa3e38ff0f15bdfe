package actors

import (
	"audiences/status"
	"context"
	"fmt"
	"testing"
	"time"

	"audiences/sandbox"
	"audiences/splitclient"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// poisoned plays a story in which keys 1 to 3 of ten are parked.
func poisoned(t *testing.T, o Options, story func(s *scene, cure func())) {
	play(t, sandbox.Options{}, o, func(s *scene) {
		for i, keys := range []string{"100 1 4-6", "2 7 8", "3 9 10"} { // one bad key a call: there is no doubt
			s.split.Fault(sandbox.Rule{Kind: sandbox.Poison, Key: fmt.Sprint(i + 1)})
			s.at(time.Duration(i) * 15 * time.Second)
			s.add(keys)
		}
		s.at(time.Minute)
		s.expectMembers("4-10 100")
		s.expectParked("add 1: bad_request", "add 2: bad_request", "add 3: bad_request")
		s.calls()
		story(s, s.split.ClearFaults)
	})
}

func TestParkedKeysAreListedByPage(t *testing.T) {
	poisoned(t, Options{}, func(s *scene, _ func()) {
		first := s.parked("token", "s", 2)
		if len(first.Entries) != 2 || !first.More {
			s.Fatalf("%+v", first)
		}
		rest, err := s.relay.parked(context.Background(), s.segment("token", "s"), first.Next, 2)
		s.must(err)
		if len(rest.Entries) != 1 || rest.More || rest.Entries[0].Key.Text() != "3" {
			s.Errorf("%+v", rest)
		}
		if none := s.parked("token", "other", 2); len(none.Entries) > 0 {
			s.Errorf("a segment without parked keys lists %+v", none)
		}
	})
}

// TestRetry: parked keys are pending again, and tried at once.
func TestRetry(t *testing.T) {
	poisoned(t, Options{}, func(s *scene, cure func()) {
		cure()
		s.operate(status.Retry)
		s.at(61 * time.Second)
		s.expectCalls("1m0s add 3: 200")
		s.expectMembers("1-10 100")
		s.expectParked()
		s.expectRest()
		if d := s.inspect("token", "s"); d.ParkedKeys != 0 {
			s.Errorf("%d keys are said to be parked", d.ParkedKeys)
		}
	})
}

// TestRetryWithoutACure: they are parked again, and nothing else suffers.
func TestRetryWithoutACure(t *testing.T) {
	poisoned(t, Options{}, func(s *scene, cure func()) {
		cure()
		s.split.Fault(sandbox.Rule{Kind: sandbox.Poison, Key: "2"})
		s.add("11-20")
		s.operate(status.Retry)
		s.at(time.Hour)
		s.expectMembers("1 3-20 100")
		s.expectParked("add 2: bad_request")
		s.expectRest()
	})
}

// TestRetryOfASegmentThatIsNotInMemory: it is activated for it.
func TestRetryOfASegmentThatIsNotInMemory(t *testing.T) {
	for name, leave := range map[string]func(*scene){
		"passivated": func(s *scene) { s.at(time.Hour) }, "restarted": (*scene).restart, "crashed": (*scene).crash,
	} {
		t.Run(name, func(t *testing.T) {
			poisoned(t, Options{}, func(s *scene, cure func()) {
				leave(s)
				if n := testutil.ToFloat64(s.relay.metrics.segments); n != 0 {
					s.Fatalf("%v segments have an actor", n)
				}
				s.expectParked("add 1: bad_request", "add 2: bad_request", "add 3: bad_request")
				if d := s.inspect("token", "s"); d.ParkedKeys != 3 {
					s.Errorf("%d keys are said to be parked, want 3", d.ParkedKeys)
				}
				cure()
				s.operate(status.Retry)
				s.at(2 * time.Hour)
				s.expectMembers("1-10 100")
				s.expectParked()
				s.expectRest()
			})
		})
	}
}

// TestRetryThatTakesLong covers I3: the segment is not let go before the keys are
// back.
func TestRetryThatTakesLong(t *testing.T) {
	poisoned(t, Options{}, func(s *scene, cure func()) {
		cure()
		s.faulty.unparkTakes.Store(int64(2 * time.Hour))
		answer := make(chan error, 1)
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Hour)
		defer cancel()
		go func() {
			_, err := s.relay.Remedy(ctx, s.wish("token", "s", status.Retry, time.Time{}))
			answer <- err
		}()
		s.at(4 * time.Hour)
		s.must(<-answer)
		s.expectMembers("1-10 100")
		s.expectRest()
	})
}

// TestDiscardOfParkedKeys: they are gone, and nothing else is.
func TestDiscardOfParkedKeys(t *testing.T) {
	poisoned(t, Options{}, func(s *scene, _ func()) {
		s.add("11")
		s.operate(status.Discard)
		s.expectParked()
		s.at(2 * time.Minute)
		s.expectMembers("4-11 100")
		s.expectRest()
		s.restart()
		s.expectParked()
	})
}

// TestNewerChangeSupersedesTheParkedOne covers I2: whenever it comes, the parked
// record goes, and cannot come back by a retry.
func TestNewerChangeSupersedesTheParkedOne(t *testing.T) {
	for name, leave := range map[string]func(*scene){
		"at once": func(*scene) {}, "passivated": func(s *scene) { s.at(time.Hour) },
		"restarted": (*scene).restart, "crashed": (*scene).crash,
	} {
		t.Run(name, func(t *testing.T) {
			poisoned(t, Options{}, func(s *scene, cure func()) {
				leave(s)
				cure()
				s.remove("1 2")
				s.expectParked("add 3: bad_request")
				s.at(2 * time.Hour)
				s.operate(status.Retry)
				s.at(3 * time.Hour)
				s.expectMembers("3-10 100")
				s.expectRest()
			})
		})
	}
}

// TestNewerChangeBeforeTheFirstPage covers I2: the actor does not know yet that
// there are parked keys.
func TestNewerChangeBeforeTheFirstPage(t *testing.T) {
	poisoned(t, Options{}, func(s *scene, cure func()) {
		cure()
		s.at(time.Hour)
		s.faulty.loadTakes.Store(int64(time.Minute))
		s.remove("1 2")
		s.expectParked("add 3: bad_request")
		s.at(time.Hour + 59*time.Second)
		s.expectCalls()
		s.at(2 * time.Hour)
		s.expectCalls("1h1m0s delete 2: 200")
	})
}

// TestNewerChangeAfterAReadError covers I2: what could not be read is not known
// to be absent.
func TestNewerChangeAfterAReadError(t *testing.T) {
	poisoned(t, Options{}, func(s *scene, cure func()) {
		s.operateOn("token", "s", status.Pause, time.Time{})
		s.at(time.Hour)
		cure()
		s.faulty.unreadable.Store(1)
		s.remove("1")
		s.remove("2") // after the error, before the next attempt
		s.expectParked("add 3: bad_request")
		s.at(2 * time.Hour)
		s.expectParked("add 3: bad_request")
		s.expectCalls() // it is paused still
		s.operate(status.Resume)
		s.operate(status.Retry)
		s.at(3 * time.Hour)
		s.expectMembers("3-10 100")
		s.expectRest()
	})
}

// TestKeysParkedDuringARetry covers I2: they are known to be parked.
func TestKeysParkedDuringARetry(t *testing.T) {
	poisoned(t, Options{}, func(s *scene, cure func()) {
		slow := s.split.Fault(sandbox.Rule{Kind: sandbox.Slow, Delay: time.Second})
		s.split.Fault(sandbox.Rule{Kind: sandbox.Poison, Key: "11"})
		s.add("11 12")
		s.at(61 * time.Second)
		s.faulty.unparkTakes.Store(int64(50 * time.Second))
		go s.operate(status.Retry)
		s.at(100 * time.Second)
		s.expectParked("add 11: bad_request")
		slow()
		cure()
		s.at(140 * time.Second)
		s.remove("11")
		s.expectParked()
		s.at(time.Hour)
		s.expectMembers("1-10 12 100")
	})
}

// rejected plays a story of a segment that is parked with keys 1 to 30, more than
// are held in memory.
func rejected(t *testing.T, story func(s *scene, heal func())) {
	play(t, sandbox.Options{}, Options{MaxKeysPerCall: 3, MaxKeysHeld: 5, MaxKeysInMemory: 6}, func(s *scene) {
		heal := s.split.Fault(sandbox.Rule{Kind: sandbox.Forbidden, Segment: "s"})
		s.add("1-30")
		s.at(time.Minute)
		s.expectCalls("0s add 3: 403")
		story(s, heal)
	})
}

// TestParkedSegmentOutlivesEverything covers I3.
func TestParkedSegmentOutlivesEverything(t *testing.T) {
	for name, leave := range map[string]func(*scene){"restart": (*scene).restart, "crash": (*scene).crash} {
		t.Run(name, func(t *testing.T) {
			rejected(t, func(s *scene, heal func()) {
				leave(s)
				if p := s.inspect("token", "s").State.Parked; p == nil || p.Reason != string(splitclient.Forbidden) {
					s.Fatalf("parked with %+v", p)
				}
				s.at(15 * time.Minute)
				s.expectCalls()
				s.expectPending("token", "s", "1-30")
				heal()
				s.at(time.Hour)
				s.expectMembers("1-30")
				s.expectRest()
			})
		})
	}
}

// TestRetryOfAParkedSegment: an operator need not wait for the probe.
func TestRetryOfAParkedSegment(t *testing.T) {
	rejected(t, func(s *scene, heal func()) {
		heal()
		s.operate(status.Retry)
		s.at(61 * time.Second)
		s.expectMembers("1-30")
		s.expectRest()
	})
}

// TestDiscardOfAParkedSegment: all that is pending goes, also what is in the
// journal alone, and the segment begins anew.
func TestDiscardOfAParkedSegment(t *testing.T) {
	rejected(t, func(s *scene, heal func()) {
		s.operate(status.Discard)
		s.expectPending("token", "s", "")
		s.expectRest()
		if d := s.inspect("token", "s"); d.State.Parked != nil || d.Adds+d.Stored > 0 {
			s.Errorf("%+v", d)
		}
		heal()
		s.add("40")
		s.at(time.Hour)
		s.expectCalls("1m10s add 1: 200")
		s.expectMembers("40")
		s.restart()
		s.at(2 * time.Hour)
		s.expectMembers("40")
	})
}

// TestDiscardSparesWhatComesMeanwhile covers I3: nobody meant the keys that are
// accepted while the others are being read and discarded.
func TestDiscardSparesWhatComesMeanwhile(t *testing.T) {
	rejected(t, func(s *scene, heal func()) {
		heal()
		s.faulty.loadTakes.Store(int64(time.Second)) // a page of three keys
		go s.operate(status.Discard)
		for i, change := range []string{"40", "2", "20", "30 41"} {
			s.at(time.Minute + time.Duration(i)*2500*time.Millisecond)
			s.add(change)
		}
		s.remove("29")
		s.at(time.Hour)
		s.expectMembers("2 20 30 40 41")
		s.expectRest()
		if d := s.inspect("token", "s"); d.State.Parked != nil {
			s.Error("the segment is still parked")
		}
	})
}

// TestDiscardOfAFullSegment: what waits for room in the journal alone goes too.
func TestDiscardOfAFullSegment(t *testing.T) {
	play(t, sandbox.Options{MaxMembers: 3}, Options{MaxKeysPerCall: 1}, func(s *scene) {
		s.add("1-20")
		s.at(time.Minute)
		s.operate(status.Discard)
		s.at(2 * time.Minute)
		s.expectRest()
		s.remove("1-20")
		s.add("21")
		s.at(time.Hour)
		s.expectMembers("21")
	})
}
