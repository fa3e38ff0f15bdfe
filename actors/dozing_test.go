package actors

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"audiences/actors/batch"
	"audiences/audience"
	"audiences/sandbox"
	"audiences/status"
)

// sleepy is a relay in which every unproven tenant dozes as soon as it can.
func sleepy() Options {
	return Options{MaxUnproven: -1, FirstBackoff: 20 * time.Second, MaxBackoff: 20 * time.Second}
}

func (s *scene) expectDormant(want int) {
	s.Helper()
	if got := testutil.ToFloat64(s.relay.metrics.dormant); got != float64(want) {
		s.Errorf("%v tenants are dormant, want %d", got, want)
	}
}

// sums is what segment s of token shows, and the metrics and the memory with it.
func (s *scene) sums() string {
	view, _ := s.view()
	return fmt.Sprintf("%d to add, %d to delete, %d stored; %v pending, %d in memory", view.Adds, view.Deletes, view.Stored,
		testutil.ToFloat64(s.relay.metrics.pending), s.relay.inMemory.Load())
}

func (s *scene) expectShown(want string) {
	s.Helper()
	if got := s.sums(); got != want {
		s.Errorf("shows %s; want %s", got, want)
	}
}

// TestDozingRepeatsTheCall covers I4 and I2: a tenant dozes while a call of unknown
// outcome is to be repeated, and keys of it have changed. The call is repeated as it
// was before anything newer, at the time that it was due.
func TestDozingRepeatsTheCall(t *testing.T) {
	play(t, sandbox.Options{}, sleepy(), func(s *scene) {
		s.split.Fault(sandbox.Rule{Kind: sandbox.Hang, Applied: true, Count: 1})
		s.add("1-5")
		s.at(9 * time.Second)
		s.expectDormant(1)
		s.expectShown("0 to add, 0 to delete, 5 stored; 5 pending, 0 in memory")
		s.at(12 * time.Second) // the call is under way
		s.expectDormant(0)
		s.remove("2 3")
		s.add("3")
		s.add("9") // has nothing to do with it
		s.at(14 * time.Second)
		s.expectDormant(0)
		s.at(17 * time.Second) // it has failed
		s.expectDormant(1)
		s.expectShown("6 to add, 1 to delete, 1 stored; 8 pending, 7 in memory")
		s.at(18 * time.Second)
		s.remove("4") // wakes it, and changes the call no more than the others did
		s.at(20 * time.Second)
		s.expectDormant(1)
		s.expectShown("6 to add, 2 to delete, 1 stored; 9 pending, 8 in memory")
		s.at(time.Minute)
		s.expectCalls("10s add 5: 0", "25s add 5: 200", "25s delete 2: 200", "25s add 2: 200")
		s.expectMembers("1 3 5 9")
		s.expectShown("0 to add, 0 to delete, 0 stored; 0 pending, 0 in memory")
		s.expectRest()
		s.expectDormant(0)
	})
}

// TestDozingKeepsTime: what a tenant and its segment would have done next, and when,
// does not depend on whether they doze: the calls are the same, to the instant, as
// those of a relay in which nobody does.
func TestDozingKeepsTime(t *testing.T) {
	for name, rules := range map[string][]sandbox.Rule{
		"failing":       {{Kind: sandbox.Status, Code: 503, Count: 5}},
		"hanging":       {{Kind: sandbox.Hang, Count: 3}},
		"revoked":       {{Kind: sandbox.Unauthorized, Count: 6}},
		"throttled":     {{Kind: sandbox.Throttle, Reset: 40 * time.Second, Count: 3}},
		"not yet there": {{Kind: sandbox.Status, Code: 404, Count: 4}},
		"not there":     {{Kind: sandbox.Status, Code: 404, Count: 8}},
		"forbidden":     {{Kind: sandbox.Forbidden, Count: 2}},
		"hung, refused": {{Kind: sandbox.Hang, Count: 2}, {Kind: sandbox.EmptyBadRequest, Count: 1}},
		"full":          {{Kind: sandbox.Full, Count: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			calls := map[bool][]string{}
			for _, dozes := range []bool{false, true} {
				o := Options{}
				if dozes {
					o.MaxUnproven = -1
				}
				play(t, sandbox.Options{}, o, func(s *scene) {
					for _, rule := range rules {
						s.split.Fault(rule)
					}
					s.add("1-4")
					s.remove("2")
					s.at(90500 * time.Millisecond)
					s.accept("token", "other", audience.Add, "8")
					s.at(92500 * time.Millisecond)
					s.remove("1")
					s.at(2 * time.Hour)
					calls[dozes] = s.calls()
					if name == "revoked" || name == "throttled" { // which segment tries the tenant's luck is free
						for i, call := range calls[dozes] {
							calls[dozes][i] = call[:strings.Index(call, " ")] + call[strings.Index(call, ":"):]
						}
					}
					slices.Sort(calls[dozes]) // those of one instant come in any order
					s.expectRest()
				})
			}
			if !slices.Equal(calls[false], calls[true]) {
				t.Errorf("awake   %q\ndozing %q", calls[false], calls[true])
			}
		})
	}
}

// TestDozingObeys: an operator finds a dormant tenant as if it were awake.
func TestDozingObeys(t *testing.T) {
	play(t, sandbox.Options{}, sleepy(), func(s *scene) {
		remove := s.split.Fault(sandbox.Rule{Kind: sandbox.Status, Code: 503})
		s.add("1-3")
		s.accept("token", "t", audience.Add, "4")
		s.at(12 * time.Second)
		s.expectDormant(1)
		if d := s.inspect("token", "s"); d.Attempts != 1 || d.Adds != 3 || !d.RepeatAt.Equal(s.began.Add(20*time.Second)) {
			s.Errorf("inspect shows %+v", d)
		}
		s.at(14 * time.Second)
		s.expectDormant(1)
		s.operateOn("token", "", status.Pause, time.Time{})
		s.at(10 * time.Minute)
		s.expectDormant(1)
		remove()
		s.at(20 * time.Minute)
		s.calls()
		s.expectCalls() // paused
		s.operateOn("token", "", status.Resume, time.Time{})
		s.at(20*time.Minute + 30*time.Second)
		s.expectMembers("1-3")
		s.expectMembersOf("token", "t", "4")
		s.expectRest()
	})
}

// TestDozingPaused covers I3: a call is to be repeated when an operator pauses its
// segment without an end, and the tenant dozes. After the pause it is repeated.
func TestDozingPaused(t *testing.T) {
	play(t, sandbox.Options{}, sleepy(), func(s *scene) {
		s.split.Fault(sandbox.Rule{Kind: sandbox.Status, Code: 503, Count: 1})
		s.add("1-3")
		s.at(12 * time.Second)
		s.operateOn("token", "s", status.Pause, time.Time{})
		s.at(10 * time.Minute)
		s.expectDormant(1)
		s.operateOn("token", "s", status.Resume, time.Time{})
		s.at(time.Hour)
		s.expectMembers("1-3")
		s.expectRest()
	})
}

// TestDozingFlushes: a whole tenant's flush concerns its dormant segments too.
func TestDozingFlushes(t *testing.T) {
	play(t, sandbox.Options{}, sleepy(), func(s *scene) {
		s.add("1")
		s.accept("token", "t", audience.Add, "2")
		s.at(4 * time.Second)
		s.expectDormant(1)
		s.operateOn("token", "", status.Flush, time.Time{})
		s.at(5 * time.Second)
		s.expectMembers("1")
		s.expectMembersOf("token", "t", "2")
	})
}

// TestDozingMoves: the keys of a dormant tenant move to its heir, all of them once.
func TestDozingMoves(t *testing.T) {
	play(t, sandbox.Options{}, sleepy(), func(s *scene) {
		s.split.Fault(sandbox.Rule{Kind: sandbox.Unauthorized, Token: "token"})
		s.add("1-3")
		s.accept("token", "t", audience.Delete, "4")
		s.accept("heir", "s", audience.Add, "5")
		s.at(14 * time.Second)
		s.expectDormant(1)
		if n := s.move("token", "heir"); n != 4 {
			s.Errorf("%d keys were moved, want 4", n)
		}
		s.at(5 * time.Minute)
		s.expectMembersOf("heir", "s", "1-3 5")
		s.expectRest()
		s.at(2 * time.Hour)
		if views, err := s.relay.Segments(context.Background()); err != nil || len(views) != 0 {
			s.Errorf("still shown: %v %v", views, err)
		}
	})
}

// TestDozingSurvivesAStart: what a dormant tenant has is delivered after a start,
// and after a power loss; only then is it proven, which survives another.
func TestDozingSurvivesAStart(t *testing.T) {
	for name, again := range map[string]func(*scene){"stop": (*scene).restart, "power loss": (*scene).crash} {
		t.Run(name, func(t *testing.T) {
			play(t, sandbox.Options{}, sleepy(), func(s *scene) {
				s.split.Fault(sandbox.Rule{Kind: sandbox.Status, Code: 503, Count: 1})
				s.add("1-20")
				s.at(15 * time.Second)
				s.expectDormant(1)
				again(s)
				s.must(s.relay.Ready())
				s.expectDormant(1)
				if view, _ := s.view(); view.Stored != fewKeysShown || !view.Uncounted {
					s.Errorf("shows %+v", view)
				}
				s.at(24 * time.Second)
				s.expectCalls("10s add 20: 503")
				s.at(25 * time.Second)
				s.expectCalls("25s add 20: 200")
				s.expectRest()
				s.add("30") // makes it durable that the tenant is proven
				again(s)
				s.at(30 * time.Second)
				s.expectDormant(0) // proven tenants do not doze
				s.at(time.Minute)
				s.expectMembers("1-20 30")
				s.expectRest()
			})
		})
	}
}

// fewKeysShown is how many keys the journal counts of a dormant segment at a start.
const fewKeysShown = 8

// TestDormantHas: the replay, when it looks again, adds only what is not known yet.
func TestDormantHas(t *testing.T) {
	name := func(text string) localName { return localNameOf(audience.Segment{Environment: "e", Name: text}) }
	d := &dormantTenant{segments: []dormantSegment{{name: name("a")}, {name: name("b")}}}
	for text, want := range map[string]bool{"a": true, "b": true, "c": false} {
		if d.has(name(text)) != want {
			t.Errorf("%s: %v", text, !want)
		}
	}
	if (&dormantTenant{}).has(name("a")) {
		t.Error("nobody has a segment")
	}
}

// TestDormantIsReadWhileItWakes: a list of the segments was asked for while one was
// dormant, and is made while its actor, which has its sets now, takes changes.
func TestDormantIsReadWhileItWakes(t *testing.T) {
	const maxHeld = 100
	was := batch.New(5, 0)
	was.Apply(audience.Add, slices.Values(keysOf("1-5")), 1, maxHeld)
	was.Cut(audience.Add)
	was.Apply(audience.Delete, slices.Values(keysOf("2 3")), 1, maxHeld)
	d := dormantSegment{name: localNameOf(audience.Segment{Environment: "e", Name: "s"}), stored: 1, repeat: was.Remains()}
	before := d.view(audience.TenantID{})
	if before.Adds != 5 || before.Deletes != 2 || before.Stored != 1 {
		t.Errorf("it shows %d to add, %d to delete, %d stored", before.Adds, before.Deletes, before.Stored)
	}
	woken := segment{batch: batch.New(5, 0)}
	woken.wake(&d)
	woken.batch.Apply(audience.Add, slices.Values(keysOf("2 3")), 1, maxHeld) // they leave the other set
	woken.batch.Apply(audience.Delete, slices.Values(keysOf("4 5")), 1, maxHeld)
	if woken.batch.HeldOf(audience.Delete) != 2 || woken.batch.HeldOf(audience.Add) != 2 {
		t.Errorf("%d adds and %d deletes are held", woken.batch.HeldOf(audience.Add), woken.batch.HeldOf(audience.Delete))
	}
	if after := d.view(audience.TenantID{}); after != before {
		t.Errorf("it shows %+v, %+v before", after, before)
	}
}

// TestDozingNameless covers I3: an operator asked for a segment that the journal has
// no name of, and its tenant dozed before it was read. The name is written with the
// first keys all the same, or nobody would find them after a restart.
func TestDozingNameless(t *testing.T) {
	o := sleepy()
	o.MaxKeysInMemory = -1 // a page is read with a permit only
	play(t, sandbox.Options{}, o, func(s *scene) {
		cure := s.split.Fault(sandbox.Rule{Kind: sandbox.Status, Code: 503})
		s.add("1-3")
		s.at(11 * time.Second)
		s.inspect("token", "other")
		s.at(25 * time.Second)
		s.expectDormant(1)
		s.accept("token", "other", audience.Add, "7")
		cure()
		s.restart()
		s.at(2 * time.Minute)
		s.expectMembersOf("token", "other", "7")
		s.expectMembers("1 2 3")
		s.expectRest()
	})
}
