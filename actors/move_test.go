package actors

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"audiences/audience"
	"audiences/sandbox"
	"audiences/status"
)

// TestMoveTenant covers I3 and I9: the new token gets what the old one could not
// deliver, where its own change stands if it is newer, and the old one is not
// used any more.
func TestMoveTenant(t *testing.T) {
	for name, leave := range map[string]func(*scene){
		"in memory": func(*scene) {}, "restarted": (*scene).restart,
		"paused": func(s *scene) { s.operate(status.Pause) },
		"crashed segment": func(s *scene) {
			s.faulty.traps[hear].set(0, 1, false)
			s.add("1")
		},
	} {
		t.Run(name, func(t *testing.T) {
			poisoned(t, Options{MaxKeysPerCall: 10, MaxKeysHeld: 10}, func(s *scene, cure func()) {
				s.split.Rotate("token", "new")
				s.split.Fault(sandbox.Rule{Kind: sandbox.Unauthorized, Token: "token"})
				s.remove("4-5")
				s.add("20-49") // more than memory holds
				s.accept("token", "t", audience.Add, "60")
				s.accept("new", "s", audience.Delete, "49 3") // newer than the pending and the parked one
				leave(s)
				cure()
				s.split.Fault(sandbox.Rule{Kind: sandbox.Unauthorized, Token: "token"})
				s.move("token", "new")
				s.operateOn("new", "s", status.Resume, time.Time{}) // where it was paused it is still
				used := s.split.Counts().Statuses[401]
				s.at(2 * time.Hour)
				s.expectMembers("1 2 6-10 20-48 100")
				s.expectMembersOf("token", "t", "60")
				s.expectRest()
				s.expectParked()
				if n := s.split.Counts().Statuses[401] - used; n > 0 {
					s.Errorf("the old token made %d calls after the move", n)
				}
				s.split.ClearFaults()
				s.add("70") // what still comes under the old token waits
				s.at(3 * time.Hour)
				s.expectMembers("1 2 6-10 20-48 100")
				s.expectPending("token", "s", "70")
				s.operateOn("token", "", status.Resume, time.Time{})
				s.at(4 * time.Hour)
				s.expectMembers("1 2 6-10 20-48 70 100")
				s.expectRest()
			})
		})
	}
}

// TestMoveTenantTwice: a move that a crash cut short is made again.
func TestMoveTenantAgainAfterACrash(t *testing.T) {
	poisoned(t, Options{}, func(s *scene, cure func()) {
		s.split.Rotate("token", "new")
		s.split.Fault(sandbox.Rule{Kind: sandbox.Unauthorized, Token: "token"})
		s.add("20-49")
		s.accept("new", "s", audience.Add, "50")
		s.store.MoveTenant(s.tenant("token").ID, s.tenant("new").ID, func([]audience.Segment, int, error) {})
		s.crash()
		cure()
		s.split.Fault(sandbox.Rule{Kind: sandbox.Unauthorized, Token: "token"})
		s.accept("token", "t", audience.Add, "60")
		s.move("token", "new")
		s.at(2 * time.Hour)
		s.expectMembers("1-10 20-50 100")
		s.expectMembersOf("token", "t", "60")
		s.expectRest()
	})
}

// TestMoveTenantThatIsGivenUp covers I3: an operator who does not wait for a call
// that hangs leaves everything as it was.
func TestMoveTenantThatIsGivenUp(t *testing.T) {
	rejected(t, func(s *scene, heal func()) {
		s.accept("new", "s", audience.Add, "50")
		s.accept("token", "paused", audience.Add, "1")
		s.operateOn("token", "paused", status.Pause, time.Time{})
		s.split.Fault(sandbox.Rule{Kind: sandbox.Slow, Segment: "t", Delay: 4 * time.Second})
		s.split.Fault(sandbox.Rule{Kind: sandbox.Status, Segment: "t", Count: 1})
		s.accept("token", "t", audience.Add, "1-3")
		s.at(71 * time.Second)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := s.relay.Remedy(ctx, s.moving("token", "new")); !errors.Is(err, context.DeadlineExceeded) {
			s.Fatal(err)
		}
		if d := s.inspect("token", "s"); d.State.Parked == nil {
			s.Error("the segment is not parked any more")
		}
		heal()
		s.at(time.Hour)
		s.expectMembers("1-30")
		s.expectMembersOf("token", "t", "1-3")
		s.expectMembersOf("token", "paused", "")
		s.operateOn("token", "paused", status.Resume, time.Time{})
		s.at(2 * time.Hour)
		s.expectMembersOf("token", "paused", "1")
		s.expectRest()
	})
}

// TestMoveTenantWithACallThatNobodyKnows covers I4: the segment whose call is under way has
// crashed. Its keys are moved when the call has ended, and so the delete comes after the add.
func TestMoveTenantWithACallThatNobodyKnows(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		s.split.Rotate("token", "new")
		s.accept("new", "t", audience.Add, "1")
		s.add("1-10")
		s.at(time.Minute)
		s.split.Fault(sandbox.Rule{Kind: sandbox.Slow, Token: "token", Delay: 4 * time.Second, Count: 1})
		s.add("20-30")
		s.at(70*time.Second + 100*time.Millisecond)
		s.faulty.traps[hear].set(0, 1, false)
		s.remove("20")
		s.expectPending("token", "s", "20-30")
		began := time.Now()
		s.move("token", "new")
		if took := time.Since(began); took < 3*time.Second {
			s.Errorf("moved after %v, while the call was under way", took)
		}
		s.at(time.Hour)
		s.expectMembers("1-10 21-30")
		s.expectRest()
	})
}

// TestMoveTenantToASegmentThatIsBeingRead covers I3: the page that the new
// tenant's segment waits for is older than the move.
func TestMoveTenantToASegmentThatIsBeingRead(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		s.add("1-30")
		s.split.Rotate("token", "new")
		s.faulty.loadTakes.Store(int64(time.Minute))
		s.accept("new", "s", audience.Add, "50")
		s.move("token", "new")
		s.faulty.loadTakes.Store(0)
		s.at(time.Hour)
		s.expectMembers("1-30 50")
		s.expectRest()
	})
}

// TestMoveTenantThatGoesOnPosting covers I3: the move takes the segment's name out
// of the journal, also when a change that came just before it had written it. What
// the old token posted after that had no name there, and was not found after a
// restart.
func TestMoveTenantThatGoesOnPosting(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		s.split.Rotate("token", "new")
		s.add("1-3")
		s.accept("new", "t", audience.Add, "60") // makes it known
		s.faulty.beforeMove = func() { s.add("4") }
		s.move("token", "new")
		s.add("5")
		s.crash()
		s.operateOn("token", "", status.Resume, time.Time{})
		s.at(time.Hour)
		s.expectMembers("1-5")
		s.expectPending("token", "s", "")
		s.expectRest()
	})
}

// TestMoveTenantDuringADiscard covers I3: an operator's discard of a parked segment is
// carried out before its keys are moved. The move came between two pages of it: the
// keys that the operator had given up went to the other tenant, and the operator never
// got an answer.
func TestMoveTenantDuringADiscard(t *testing.T) {
	rejected(t, func(s *scene, heal func()) {
		s.split.Rotate("token", "new")
		s.accept("new", "t", audience.Add, "60") // makes it known
		s.faulty.loadTakes.Store(int64(time.Second))
		discarded := make(chan error, 1)
		go func() {
			_, err := s.relay.Remedy(context.Background(), s.wish("token", "s", status.Discard, time.Time{}))
			discarded <- err
		}()
		time.Sleep(1500 * time.Millisecond) // one page is discarded, the next one is being read
		s.move("token", "new")
		heal()
		s.at(time.Hour)
		select {
		case err := <-discarded:
			s.must(err)
		default:
			s.Error("the discard has no answer")
		}
		s.expectMembers("")
		s.expectRest()
	})
}

// TestMoveKeepsPauses: what an operator holds is held under the new token too, whatever the
// segment there was about, until that one is resumed; a restart right after the move
// changes nothing, and all others go out.
func TestMoveKeepsPauses(t *testing.T) {
	for what, at := range map[string]func(*scene){
		"no segment yet": func(*scene) {},
		"at rest": func(s *scene) {
			s.accept("new", "s", audience.Add, "90")
			s.at(30 * time.Second)
		},
		"gathers":                func(s *scene) { s.accept("new", "s", audience.Add, "90") },
		"more than memory holds": func(s *scene) { s.accept("new", "s", audience.Add, "60-90") },
		"a call is under way": func(s *scene) {
			s.split.Fault(sandbox.Rule{Kind: sandbox.Slow, Token: "new", Delay: 2 * time.Second})
			s.accept("new", "s", audience.Add, "90")
			s.at(11 * time.Second)
		},
		"repeats": func(s *scene) {
			s.split.Fault(sandbox.Rule{Kind: sandbox.Status, Token: "new", Count: 3})
			s.accept("new", "s", audience.Add, "90")
			s.at(11 * time.Second)
		},
		"let go": func(s *scene) {
			s.accept("new", "s", audience.Add, "90")
			s.at(time.Hour)
		},
		"being read": func(s *scene) {
			reads := s.faulty // which a restart replaces
			reads.loadTakes.Store(int64(20 * time.Second))
			s.accept("new", "s", audience.Add, "90")
			time.AfterFunc(30*time.Second, func() { reads.loadTakes.Store(0) })
		},
		"refused while the keys come": func(s *scene) {
			s.accept("new", "s", audience.Add, "90")
			forbidden := s.split.Fault(sandbox.Rule{Kind: sandbox.Forbidden, Token: "new", Segment: "s"})
			s.faulty.afterMove = func() {
				time.AfterFunc(time.Minute, forbidden)
				time.Sleep(11 * time.Second)
			}
		},
	} {
		for then, and := range map[string]func(*scene){"": func(*scene) {}, ", restarted": (*scene).restart} {
			t.Run(what+then, func(t *testing.T) {
				play(t, sandbox.Options{}, Options{MaxKeysPerCall: 10, MaxKeysHeld: 10}, func(s *scene) {
					s.split.Rotate("token", "new")
					s.add("99")
					s.operate(status.Pause)
					s.add("1 2 10-50") // more than memory holds
					s.accept("token", "free", audience.Add, "7 8")
					s.operateOn("token", "free", status.Pause, s.began.Add(time.Second)) // is over by then
					s.accept("new", "other", audience.Add, "1")                          // makes it known
					s.at(2 * time.Second)
					at(s)
					s.move("token", "new")
					held := time.Since(s.began)
					and(s)
					s.at(held + 5*time.Hour)
					for _, key := range s.split.Members("new", "env", "s") {
						if len(key) == 1 || key < "60" {
							s.Fatalf("key %s was held, and is sent", key)
						}
					}
					s.expectMembersOf("new", "free", "7 8")
					if d := s.inspect("new", "s"); !d.State.Paused || d.State.PausedBy != "ana" {
						s.Errorf("%+v", d.State)
					}
					s.operateOn("new", "s", status.Resume, time.Time{})
					s.at(held + 10*time.Hour)
					for _, key := range []string{"1", "2", "50"} {
						if !slices.Contains(s.split.Members("new", "env", "s"), key) {
							s.Errorf("key %s is not sent", key)
						}
					}
					s.expectRest()
				})
			})
		}
	}
}

// TestPauseDuringAMove is not lost: it is that of the segment that the move leaves.
func TestPauseDuringAMove(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		s.split.Rotate("token", "new")
		s.add("1")
		s.accept("new", "s", audience.Add, "90")
		paused := make(chan error, 1)
		s.faulty.beforeMove = func() {
			go func() {
				_, err := s.relay.Remedy(context.Background(), s.wish("token", "s", status.Pause, time.Time{}))
				paused <- err
			}()
			time.Sleep(time.Second)
		}
		s.move("token", "new")
		s.must(<-paused)
		s.add("2")
		s.operateOn("token", "", status.Resume, time.Time{})
		s.at(time.Hour)
		s.expectMembers("1 90")
		s.expectPending("token", "s", "2")
		s.restart()
		s.at(2 * time.Hour)
		s.expectPending("token", "s", "2")
	})
}

// TestMoveSaysWhatStaysPaused: the trial, the deed and its event.
func TestMoveSaysWhatStaysPaused(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		s.troubled()
		s.accept("new", "s", audience.Add, "1")
		w := s.moving("token", "new")
		effect, err := s.remedy(w)
		s.must(err)
		if effect.Paused != 1 || !strings.Contains(effect.Sentence, "where 1 of them stays paused") {
			s.Errorf("%+v", effect)
		}
		if e := s.deeds()[0]; e.Paused != 1 || !strings.Contains(e.Sentence, "(1 segment stays paused there)") {
			s.Errorf("%+v", e)
		}
	})
}
