package actors

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"audiences/audience"
	"audiences/sandbox"
	"audiences/status"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// TestPostsMeetTheSweep covers I3: a change that comes at the very instant at which
// its segment, or its tenant, is asked whether it may be let go is delivered. It is
// on its way when the answer comes back, and an actor that was let go then would
// take it to the journal and to its grave.
func TestPostsMeetTheSweep(t *testing.T) {
	const tenants, segments, rounds = 4, 25, 40
	o := Options{IdleTimeout: time.Minute, FlushInterval: time.Second}
	play(t, sandbox.Options{}, o, func(s *scene) {
		answers := make(chan error, tenants*segments)
		for round := range rounds {
			// Two sweeps without a message, and then the third.
			s.at(time.Duration(round) * 3 * time.Minute)
			var crowd []audience.Change
			for n := range tenants * segments {
				token, name := fmt.Sprint("token", n%tenants), fmt.Sprint("s", n/tenants)
				crowd = append(crowd, audience.Change{Token: s.tenant(token).Token, Segment: s.segment(token, name), Verb: audience.Add, Keys: audience.KeysOf(keysOf(fmt.Sprint(round))...)})
			}
			for posts := range slices.Chunk(crowd, tenants*segments/4) {
				go func() {
					time.Sleep(3 * time.Minute) // until the sweep
					for _, c := range posts {
						s.relay.Accept(answers, c)
					}
				}()
			}
			time.Sleep(3 * time.Minute)
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			for range crowd {
				s.must(await(ctx, answers)) // behind the end of an actor a change vanishes
			}
			cancel()
		}
		s.at((3*rounds + 1) * time.Minute)
		s.expectRest()
	})
}

// TestCrashedWaitsForItsOwnCall covers I4: a segment that crashes while its call is
// under way comes back and does not know of it. Its keys are due before the call
// ends; Split's look-alike would see two at once.
func TestCrashedWaitsForItsOwnCall(t *testing.T) {
	o := Options{FlushInterval: 500 * time.Millisecond}
	play(t, sandbox.Options{}, o, func(s *scene) {
		s.split.Fault(sandbox.Rule{Kind: sandbox.Slow, Delay: 4 * time.Second, Count: 1})
		s.add("1")
		s.at(time.Second)
		s.crashSegment()
		s.add("2")
		s.at(4 * time.Second)
		s.expectCalls()
		s.at(time.Minute)
		s.expectCalls("500ms add 1: 200", "4.5s add 3: 200")
		s.expectMembers("1 2 77")
		s.expectRest()
	})
}

// TestCrashWhileReadingGivesThePermitBack covers I3: a segment that crashes between
// its permit and its call, while it reads what to send, calls again.
func TestCrashWhileReadingGivesThePermitBack(t *testing.T) {
	o := Options{MaxKeysPerCall: 3, MaxKeysHeld: 3, MaxKeysInMemory: 1, MaxConcurrentCalls: 2}
	play(t, sandbox.Options{}, o, func(s *scene) {
		s.add("1-6") // one is held, the others are in the journal alone
		s.faulty.loadTakes.Store(int64(time.Second))
		s.at(10500 * time.Millisecond)
		if d := s.inspect("token", "s"); d.Phase != "reading from the journal" {
			s.Fatalf("phase %q", d.Phase)
		}
		s.crashSegment()
		s.at(time.Minute)
		s.expectMembers("1-6 77")
		s.accept("token", "t", audience.Add, "1") // and its slot is free
		s.at(2 * time.Minute)
		s.expectMembersOf("token", "t", "1")
		s.expectRest()
	})
}

// TestPageThatPanicsGivesThePermitBack is the same for a crash over the page itself.
func TestPageThatPanicsGivesThePermitBack(t *testing.T) {
	for _, fails := range []bool{false, true} {
		o := Options{MaxKeysPerCall: 3, MaxKeysHeld: 3, MaxKeysInMemory: 1, MaxConcurrentCalls: 2}
		play(t, sandbox.Options{}, o, func(s *scene) {
			s.add("1-6")
			s.at(9 * time.Second)
			s.faulty.traps[load].set(0, 3, fails)
			s.at(5 * time.Minute)
			s.expectMembers("1-6")
			s.expectRest()
		})
	}
}

// TestEndOfAPauseLeavesASegmentParked: a pause with an end is over by itself, and
// what Split refuses is still refused.
func TestEndOfAPauseLeavesASegmentParked(t *testing.T) {
	for how, between := range map[string]func(*scene){"": func(*scene) {}, "restart": (*scene).restart, "crash": (*scene).crash} {
		t.Run(how, func(t *testing.T) {
			rejected(t, func(s *scene, heal func()) {
				s.operateOn("token", "s", status.Pause, s.began.Add(20*time.Minute))
				between(s)
				s.at(31 * time.Minute)
				if d := s.inspect("token", "s"); d.State.Parked == nil || d.State.Paused {
					s.Errorf("%+v", d)
				}
				for _, c := range s.split.Calls()[s.shown:] {
					if c.Keys != 1 {
						s.Errorf("a parked segment made a call with %d keys", c.Keys)
					}
				}
				between(s)
				if d := s.inspect("token", "s"); d.State.Parked == nil || d.State.Paused {
					s.Errorf("%+v", d)
				}
				heal()
				s.at(2 * time.Hour)
				s.expectMembers("1-30")
			})
		})
	}
}

// TestDiscardGoesOverAllOfIt: what lies before the place where a pass over the
// journal is when the operator asks goes too, whenever it came.
func TestDiscardGoesOverAllOfIt(t *testing.T) {
	rejected(t, func(s *scene, heal func()) {
		s.add("-9--1") // before all that was drawn
		s.operate(status.Discard)
		s.at(2 * time.Minute)
		s.expectPending("token", "s", "")
		heal()
		s.at(time.Hour)
		s.expectMembers("")
		s.expectRest()
	})
}

// TestMoveThatFailsIsGivenBack covers I3: when the journal cannot do it, the old
// tenant has its keys as before.
func TestMoveThatFailsIsGivenBack(t *testing.T) {
	for _, fails := range []bool{false, true} {
		t.Run(fmt.Sprint(fails), func(t *testing.T) {
			play(t, sandbox.Options{}, Options{}, func(s *scene) {
				s.accept("other", "s", audience.Add, "50")
				s.add("1-3")
				s.accept("token", "t", audience.Delete, "4")
				s.faulty.traps[moveTenant].set(0, 1, fails)
				if err := moving.make(s, context.Background()); !struck(err) {
					s.Error(err)
				}
				s.at(time.Minute)
				s.expectMembers("1-3")
				if n := len(s.split.Calls()); n != 3 {
					s.Errorf("%d calls, want 3", n)
				}
				s.expectRest()
			})
		})
	}
}

// TestMoveThatFailsAtItsEnd covers I3: what was moved is with the heir, which is told
// of it, although the move as a whole has failed.
func TestMoveThatFailsAtItsEnd(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		s.split.Rotate("token", "new")
		s.accept("new", "t", audience.Add, "50")
		s.add("1-3")
		s.faulty.moveFails = true
		if _, err := s.relay.Remedy(context.Background(), s.moving("token", "new")); !errors.Is(err, errStruck) {
			s.Error(err)
		}
		s.at(time.Minute)
		s.expectMembers("1-3")
		s.expectRest()
	})
}

// TestMoveWaitsForWhatIsUnderWay covers I4: as long as the old tenant's segment
// calls, the heir gets nothing of it.
func TestMoveWaitsForWhatIsUnderWay(t *testing.T) {
	play(t, sandbox.Options{}, Options{FlushInterval: time.Second}, func(s *scene) {
		s.split.Rotate("token", "new")
		s.accept("new", "t", audience.Add, "50")
		s.split.Fault(sandbox.Rule{Kind: sandbox.Slow, Delay: 4 * time.Second, Segment: "s"})
		s.add("1-3")
		s.at(2 * time.Second)
		s.add("4")
		if s.move("token", "new"); time.Since(s.began) != 5*time.Second {
			s.Errorf("moved at %v, want 5s", time.Since(s.began))
		}
		s.at(time.Minute)
		s.expectMembers("1-4")
		s.expectRest()
	})
}

// TestMoveMeetsPosts covers I2, I3 and I9: what the old token posts while its keys are
// moved is either moved or its own, never both; and the journal knows its segment's
// name. The actor may be one that was told to give up its keys, or one that was let
// go and comes back in the middle of it. It held keys that were the heir's by then,
// and had written a name that the move took away again.
func TestMoveMeetsPosts(t *testing.T) {
	for name, wait := range map[string]time.Duration{"active": 0, "let go": time.Hour} {
		t.Run(name, func(t *testing.T) {
			play(t, sandbox.Options{}, Options{}, func(s *scene) {
				s.split.Rotate("token", "new")
				s.split.Fault(sandbox.Rule{Kind: sandbox.Unauthorized, Token: "token"})
				s.add("1-3")
				s.accept("new", "t", audience.Add, "60") // makes it known
				s.at(wait)
				if wait > 0 {
					s.split.ClearFaults()
					s.at(2 * wait)
				}
				s.accept("token", "u", audience.Add, "70") // there is something to move in any case
				s.faulty.beforeMove = func() { s.add("4"); s.remove("2") }
				s.move("token", "new")
				s.add("5 2")
				s.expectPending("token", "s", "2 5")
				s.split.ClearFaults()
				s.operateOn("token", "", status.Resume, time.Time{})
				s.operateOn("token", "", status.Flush, time.Time{})
				s.calls()
				s.crash()
				s.at(10 * time.Hour)
				s.expectMembers("1-5")
				s.expectPending("token", "s", "")
				s.expectRest()
			})
		})
	}
}

// TestMoveMeetsTheHeirsEnd covers I3: the heir's segment is let go while keys are
// moved to it, and the journal told to forget its name; that comes after the move.
func TestMoveMeetsTheHeirsEnd(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		s.split.Rotate("token", "new")
		s.add("1-3")
		s.accept("new", "t", audience.Add, "60")
		s.operateOn("new", "", status.Pause, s.began.Add(30*time.Minute))
		s.faulty.afterMove = func() { s.store.Forget(s.segment("new", "s")) }
		s.move("token", "new")
		s.accept("other", "s", audience.Add, "1") // makes all of it durable
		s.crash()
		s.at(time.Hour)
		s.expectMembers("1-3")
		s.expectRest()
	})
}

// TestSweepMeetsAMove covers I3: a segment that has given up its keys, and whose keys
// are not moved yet, has nothing to do. It was let go, and the journal forgot its name
// before the move came to look for it.
func TestSweepMeetsAMove(t *testing.T) {
	play(t, sandbox.Options{}, Options{IdleTimeout: time.Minute}, func(s *scene) {
		s.split.Rotate("token", "new")
		s.add("1-3")
		s.accept("new", "t", audience.Add, "60")
		s.faulty.beforeMove = func() { time.Sleep(10 * time.Minute) }
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		if effect, err := s.relay.Remedy(ctx, s.moving("token", "new")); effect.Keys != 3 || err != nil {
			s.Errorf("%+v: %v", effect, err)
		}
		s.at(time.Hour)
		s.expectMembers("1-3")
		s.expectRest()
	})
}

// TestMoveLeavesNothingBehind covers I2: a key that was posted under the old token
// just before the move is the heir's, and is not sent once more, stale, when the old
// token works again.
func TestMoveLeavesNothingBehind(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		s.split.Rotate("token", "new")
		s.split.Fault(sandbox.Rule{Kind: sandbox.Unauthorized, Token: "token"})
		s.add("1")
		s.accept("new", "t", audience.Add, "60")
		s.faulty.beforeMove = func() { s.add("4") }
		s.move("token", "new")
		s.accept("new", "s", audience.Delete, "4")
		s.at(5 * time.Minute)
		s.split.ClearFaults()
		s.at(2 * time.Hour)
		s.expectMembers("1")
		s.expectRest()
	})
}

// TestFailedCountIsNotForgotten covers I3: a segment of which it is not known
// whether it has parked keys is not forgotten by the journal.
func TestFailedCountIsNotForgotten(t *testing.T) {
	for _, fails := range []bool{false, true} {
		t.Run(fmt.Sprint(fails), func(t *testing.T) {
			poisoned(t, Options{}, func(s *scene, cure func()) {
				cure()
				s.restart()
				s.at(time.Since(s.began) + time.Second) // parked keys are counted at the start, too
				s.faulty.traps[count].set(0, 1, fails)
				s.add("200")
				s.at(time.Hour)
				if n := testutil.ToFloat64(s.relay.metrics.segments); n != 0 {
					s.Errorf("%v segments were not let go", n)
				}
				s.restart()
				listed := 0
				for l, err := range s.store.Segments(audience.AllSlots()) {
					if s.must(err); l.Parked {
						listed++
					}
				}
				if listed != 1 {
					s.Errorf("%d segments with parked keys are listed", listed)
				}
				s.expectParked("add 1: bad_request", "add 2: bad_request", "add 3: bad_request")
				s.operate(status.Retry)
				s.at(2 * time.Hour)
				s.expectMembers("1-10 100 200")
				s.expectRest()
			})
		})
	}
}

// TestNotFoundGraceIsRenewed: a segment that Split did not know for a moment, once,
// has all of its time when that happens again.
func TestNotFoundGraceIsRenewed(t *testing.T) {
	for name, between := range map[string]sandbox.Rule{
		"delivered": {Kind: sandbox.Conflict, Key: "none"}, "failing": {Kind: sandbox.Status, Code: 503, Count: 1},
	} {
		t.Run(name, func(t *testing.T) {
			poisoned(t, Options{}, func(s *scene, cure func()) { // with parked keys it stays awake
				cure()
				s.split.Fault(sandbox.Rule{Kind: sandbox.Status, Code: 404, Count: 1})
				s.add("11")
				s.at(72 * time.Second)
				s.split.Fault(between)
				s.add("12")
				s.at(5 * time.Minute)
				s.split.ClearFaults()
				s.split.Fault(sandbox.Rule{Kind: sandbox.Status, Code: 404, Count: 1})
				s.add("13")
				s.at(6 * time.Minute)
				s.expectMembers("4-13 100")
				if d := s.inspect("token", "s"); d.State.Parked != nil {
					s.Errorf("parked with %+v", d.State.Parked)
				}
				s.expectRest()
			})
		})
	}
}

// TestRousedAlthoughAnActorPanics covers I3: what was moved is delivered also when
// the actor that is to be told of it panics, and so is what a start finds.
func TestRousedAlthoughAnActorPanics(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		s.split.Rotate("token", "new")
		s.accept("new", "t", audience.Add, "50")
		s.add("1-3")
		s.faulty.beforeMove = func() { s.faulty.traps[load].set(0, 2, false) }
		s.move("token", "new")
		s.at(time.Minute)
		s.expectMembers("1-3")
		s.expectRest()
	})
}

// TestNobodyCallsTwiceAtOnce covers I4 and I6: with every call slower than the flush
// interval, crashes at any time, and posts at the instants at which calls begin and
// end, a segment has one call under way at most, and no slot is lost.
func TestNobodyCallsTwiceAtOnce(t *testing.T) {
	o := Options{FlushInterval: time.Second, IdleTimeout: 3 * time.Second, MaxConcurrentCalls: 3, MaxKeysPerCall: 2, MaxKeysHeld: 3, MaxKeysInMemory: 6}
	play(t, sandbox.Options{}, o, func(s *scene) {
		s.split.Fault(sandbox.Rule{Kind: sandbox.Slow, Delay: 4 * time.Second})
		var key atomic.Int64
		for round := range 60 {
			if round%7 == 3 {
				s.faulty.traps[method(round)%methods].set(int32(round%3), 1, false)
			}
			for n := range 6 {
				go func() {
					time.Sleep(time.Second)
					change := audience.Change{Token: s.tenant("token").Token, Segment: s.segment("token", fmt.Sprint("s", n)), Verb: audience.Add, Keys: audience.KeysOf(audience.NumericKey(key.Add(1)))}
					for {
						reply := make(chan error, 1)
						s.relay.Accept(reply, change)
						if <-reply == nil {
							return
						}
					}
				}()
			}
			time.Sleep(time.Second)
			synctest.Wait()
		}
		s.faulty.disarm()
		s.at(time.Hour)
		s.expectRest()
		members := 0
		for n := range 6 {
			members += s.split.Size("token", "env", fmt.Sprint("s", n))
		}
		if members != 360 {
			s.Errorf("%d keys were delivered, want 360", members)
		}
	})
}
