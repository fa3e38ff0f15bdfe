package embedded

import (
	"errors"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"audiences/audience"
	"audiences/journal"
)

// TestFailedStepCountsNothing: a step that fails writes nothing, and nothing of it is told
// as done. What comes of the number is how many keys are still shown as parked.
func TestFailedStepCountsNothing(t *testing.T) {
	j, seg, to := open(t, inMemory()), segment(tenant("a"), "s"), tenant("b")
	add(t, j, seg, audience.Add, keys(1, 2, 3)...)
	park(t, j, seg, audience.Add, keys(1, 2, 3)...)
	if err := j.db.Set(journal.AppendKey(head(prefixParked, idOf(seg)), audience.NumericKey(3)), []byte("damaged"), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	for name, some := range map[string]iter.Seq[audience.Key]{"all": nil, "listed": slices.Values(keys(1, 2, 3))} {
		if n, err := unpark(j, journal.Unpark{Segment: seg, Keys: some}); n != 0 || err == nil {
			t.Errorf("%s: %d keys were unparked, %v", name, n, err)
		}
	}
	moved := make(chan int, 1)
	j.MoveTenant(seg.Tenant, to.ID, func(_ []audience.Segment, n int, err error) {
		if err == nil {
			t.Error("a damaged record was moved")
		}
		moved <- n
	})
	if n := <-moved; n != 0 {
		t.Errorf("%d keys were moved", n)
	}
	if left := count(j, seg); left.Parked != 3 || left.Pending != 0 {
		t.Errorf("%+v", left)
	}
}

// TestMoveKeepsAPause: whoever takes the keys of a paused segment is paused with it, in the
// step that brings the first of them: wherever a crash ends the move, no key is at a
// segment that may be sent. What that one has of its own stays.
func TestMoveKeepsAPause(t *testing.T) {
	at := time.Date(2100, 1, 2, 3, 4, 5, 0, time.UTC)
	over := time.Date(2000, 1, 2, 3, 4, 5, 0, time.UTC)
	held := journal.SegmentState{Paused: true, PausedUntil: at, PausedBy: "ana", PausedSince: over}
	refusal := &journal.Refusal{Reason: "forbidden", At: over}
	both := held
	both.Parked = refusal
	for what, c := range map[string]struct{ from, to, want journal.SegmentState }{
		"nothing of its own":     {held, journal.SegmentState{}, held},
		"parked itself":          {held, journal.SegmentState{Parked: refusal}, both},
		"parked there":           {both, journal.SegmentState{}, held},
		"paused itself":          {held, journal.SegmentState{Paused: true, PausedBy: "bo"}, journal.SegmentState{Paused: true, PausedBy: "bo"}},
		"was paused itself":      {held, journal.SegmentState{Paused: true, PausedBy: "bo", PausedUntil: over}, held},
		"the pause is over":      {journal.SegmentState{Paused: true, PausedUntil: over}, journal.SegmentState{}, journal.SegmentState{}},
		"parked there, no pause": {journal.SegmentState{Parked: refusal}, journal.SegmentState{}, journal.SegmentState{}},
	} {
		t.Run(what, func(t *testing.T) {
			j, old, fresh := open(t, inMemory()), tenant("old"), tenant("fresh")
			from, to, without := segment(old, "s"), segment(fresh, "s"), segment(old, "without keys")
			add(t, j, from, audience.Add, numbers(0, stepKeys+5)...)
			park(t, j, from, audience.Add, keys("parked")...)
			add(t, j, to, audience.Add, keys("own")...)
			j.SetSegmentState(from, c.from, nil)
			j.SetSegmentState(to, c.to, nil)
			j.Append(journal.Append{Tenant: old.ID, Changes: []journal.Change{{Segment: without, Describe: true}}})
			j.SetSegmentState(without, c.from, nil)
			count(j, from) // after all of that
			m := &moving{j: j, db: j.db, tally: j.tally, version: j.versions.give(), from: old.ID, to: fresh.ID}
			steps, paused := 0, c.want.Paused
			for more := true; more; steps++ {
				var err error
				b := j.db.NewBatch()
				if more, err = m.step(b); err != nil || b.Commit(pebble.Sync) != nil {
					t.Fatal(err)
				}
				j.tally.written()
				if now := load(j, journal.Load{Segment: to}).State; paused && len(pending(t, j, to)) > 1 && !now.Paused {
					t.Errorf("after step %d the keys are there and the pause is not: %+v", steps, now)
				}
			}
			if steps < 5 {
				t.Errorf("all was done in %d steps", steps)
			}
			counted(t, j)
			for _, is := range []audience.Segment{to, segment(fresh, "without keys")} {
				got, want := load(j, journal.Load{Segment: is}).State, c.want
				if is != to && c.from.Paused && c.want.Paused {
					want = held
				} else if is != to {
					want = journal.SegmentState{}
				}
				if g, w := got.Parked, want.Parked; (g == nil) != (w == nil) {
					t.Errorf("%s: %+v, want %+v", is.Name, got, want)
				}
				if got.Parked, want.Parked = nil, nil; got != want {
					t.Errorf("%s: %+v, want %+v", is.Name, got, want)
				}
			}
			if state := load(j, journal.Load{Segment: from}).State; state != (journal.SegmentState{}) {
				t.Errorf("left behind: %+v", state)
			}
		})
	}
}

// TestMoveOfAnUnreadableRecord: nobody knows whether it was a pause, so nothing is sent
// before somebody says so.
func TestMoveOfAnUnreadableRecord(t *testing.T) {
	j, from, to := open(t, inMemory()), segment(tenant("a"), "s"), segment(tenant("b"), "s")
	add(t, j, from, audience.Add, keys(1)...)
	if err := j.db.Set(head(prefixSegmentState, idOf(from)), []byte("damaged"), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	moved := make(chan error, 1)
	j.MoveTenant(from.Tenant, to.Tenant, func(_ []audience.Segment, n int, err error) {
		if n != 1 {
			err = errors.New("the key was not moved")
		}
		moved <- err
	})
	wait(t, moved)
	if page := load(j, journal.Load{Segment: to}); !page.State.Paused || page.Err != nil {
		t.Errorf("%+v", page)
	}
}
