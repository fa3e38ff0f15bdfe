package embedded

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"audiences/audience"
	"audiences/journal"
	"audiences/journal/embedded/disk"
)

// TestEachAnswerIsDurable: what any operation but Settle answered is there after a power
// loss that takes all that was not synced. Each is alone when it is answered, so that no
// other one's fsync carries it.
func TestEachAnswerIsDurable(t *testing.T) {
	a, b := tenant("a"), tenant("b")
	seg := segment(a, "s")
	moved := segment(b, "s")
	for name, c := range map[string]struct {
		before func(j *Journal) // with a durable end
		do     func(j *Journal, done chan error)
		there  func(j *Journal) bool
	}{
		"append": {
			do: func(j *Journal, done chan error) {
				j.Append(appendOf(seg, audience.Add, audience.KeysOf(keys(7)...), true, done))
			},
			there: func(j *Journal) bool { return pending(t, j, seg)["7"] == audience.Add },
		},
		"park": {
			do: func(j *Journal, done chan error) {
				j.Park(parkOf(seg, audience.Add, slices.Values(keys(1)), journal.Refusal{Reason: "r"}, done))
			},
			there: func(j *Journal) bool {
				return parkedVerbs(t, j, seg)["1"] == audience.Add && pending(t, j, seg)["1"] == 0
			},
		},
		"unpark": {
			before: func(j *Journal) { park(t, j, seg, audience.Delete, keys(5)...) },
			do: func(j *Journal, done chan error) {
				j.Unpark(journal.Unpark{Segment: seg, Done: func(_ int, err error) { done <- err }})
			},
			there: func(j *Journal) bool {
				return pending(t, j, seg)["5"] == audience.Delete && len(parkedVerbs(t, j, seg)) == 0
			},
		},
		"unpark some": {
			before: func(j *Journal) { park(t, j, seg, audience.Delete, keys(5, 6)...) },
			do: func(j *Journal, done chan error) {
				j.Unpark(journal.Unpark{Segment: seg, Keys: slices.Values(keys(5, 5)), Discard: true, Done: func(_ int, err error) { done <- err }})
			},
			there: func(j *Journal) bool { return len(parkedVerbs(t, j, seg)) == 1 && pending(t, j, seg)["5"] == 0 },
		},
		"segment state": {
			do: func(j *Journal, done chan error) {
				j.SetSegmentState(seg, journal.SegmentState{Paused: true}, told(done))
			},
			there: func(j *Journal) bool { return load(j, journal.Load{Segment: seg}).State.Paused },
		},
		"tenant state": {
			do: func(j *Journal, done chan error) {
				j.SetTenantState(a.ID, journal.TenantState{Paused: true}, told(done))
			},
			there: func(j *Journal) bool {
				known, _ := collect(j.Tenants(audience.AllSlots()))
				return len(known) == 1 && known[0].State.Paused
			},
		},
		"event": {
			do: func(j *Journal, done chan error) {
				j.NoteEvent(journal.Event{Number: 7, Text: []byte("seven")}, told(done))
			},
			there: func(j *Journal) bool {
				events, _ := collect(j.Events())
				return len(events) == 1 && events[0].Number == 7 && string(events[0].Text) == "seven"
			},
		},
		"move": {
			do: func(j *Journal, done chan error) {
				j.MoveTenant(a.ID, b.ID, func(_ []audience.Segment, _ int, err error) { done <- err })
			},
			there: func(j *Journal) bool {
				return pending(t, j, moved)["1"] == audience.Add && len(pending(t, j, seg)) == 0
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			memory, done := NewMemory(), make(chan error, 1)
			j := open(t, Options{Dir: "j", Memory: memory})
			j.PutTenant(a)
			add(t, j, seg, audience.Add, keys(1)...)
			if c.before != nil {
				c.before(j)
				add(t, j, segment(a, "last"), audience.Add, keys(1)...)
			}
			c.do(j, done)
			wait(t, done)
			after := open(t, Options{Dir: "j", Memory: memory.CrashClone(nil)}) // without anything that was not synced
			if !c.there(after) {
				t.Error("it was answered and is not there")
			}
		})
	}
}

// TestSegmentsWhoseIDEndsInFF: the end of a range carries over bytes of 0xff. One segment
// in 256 has an id that ends so.
func TestSegmentsWhoseIDEndsInFF(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	ends := map[byte]audience.Segment{}
	for len(ends) < 3 {
		seg := segment(tenant("a"), "s"+strings.Repeat("x", 1+random.IntN(40))+string(rune('a'+random.IntN(26)))+string(rune('a'+random.IntN(26)))+string(rune('a'+random.IntN(26))))
		switch end := idOf(seg)[idLength-1]; end {
		case 0xff, 0xfe, 0x00:
			ends[end] = seg
		}
	}
	j := open(t, inMemory())
	for end, seg := range ends {
		add(t, j, seg, audience.Add, append(numbers(int(end)*100, 5), keys("z")...)...)
		park(t, j, seg, audience.Delete, keys("p")...)
	}
	for end, seg := range ends {
		page := load(j, journal.Load{Segment: seg, After: journal.CursorAt(numbers(int(end)*100, 1)[0]), Limit: 100})
		if page.Err != nil || len(page.Entries) != 5 || page.More {
			t.Errorf("id that ends in %x: %d keys, %v", end, len(page.Entries), page.Err)
		}
		if c := count(j, seg); c != (journal.Counts{Pending: 6, Parked: 1}) {
			t.Errorf("id that ends in %x: %+v", end, c)
		}
	}
	for _, c := range []struct{ prefix, upper string }{
		{"a", "b"}, {"a\xff", "b"}, {"a\xfe", "a\xff"}, {"a\xff\xff", "b"}, {"\xff", ""},
	} {
		if lower, upper := bounds([]byte(c.prefix)); string(lower) != c.prefix || string(upper) != c.upper {
			t.Errorf("bounds of %q are %q and %q, want %q", c.prefix, lower, upper, c.upper)
		}
	}
}

// TestUnreadableListsAreReported: what cannot be read is an error of every listing, page
// and count, never an empty one, and never a tenant that is forgotten.
func TestUnreadableListsAreReported(t *testing.T) {
	memory, who := NewMemory(), tenant("a")
	seg := segment(who, "s")
	j := open(t, Options{Dir: "j", Memory: memory})
	j.PutTenant(who)
	add(t, j, seg, audience.Add, numbers(0, 1000)...)
	park(t, j, seg, audience.Add, keys("p")...)
	j.NoteEvent(journal.Event{Number: 1}, nil)
	if err := j.db.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	toggle := errorfs.Toggle{Injector: errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileReadAt && strings.HasSuffix(op.Path, ".sst") {
			return errorfs.ErrInjected
		}
		return nil
	})}
	toggle.On()
	j = open(t, Options{Dir: "j", files: disk.Files{FS: errorfs.Wrap(memory.fs, &toggle)}})
	if listed, errs := collect(j.Segments(audience.AllSlots())); len(errs) == 0 {
		t.Errorf("segments: %d, and no error", len(listed))
	}
	if known, errs := collect(j.Tenants(audience.AllSlots())); len(errs) == 0 {
		t.Errorf("tenants: %d, and no error", len(known))
	}
	if events, errs := collect(j.Events()); len(errs) == 0 {
		t.Errorf("events: %d, and no error", len(events))
	}
	if page := load(j, journal.Load{Segment: seg, Limit: 10}); page.Err == nil {
		t.Errorf("a page of %d keys, and no error", len(page.Entries))
	}
	if page := parked(j, seg); page.Err == nil {
		t.Errorf("a page of %d parked keys, and no error", len(page.Entries))
	}
	if c := count(j, seg); c.Err == nil {
		t.Errorf("%+v, and no error", c)
	}
	if n, err := unpark(j, journal.Unpark{Segment: seg}); err == nil {
		t.Errorf("%d keys were unparked, and no error", n)
	}
	moved := make(chan error, 1)
	j.MoveTenant(who.ID, tenant("b").ID, func(_ []audience.Segment, _ int, err error) { moved <- err })
	if err := <-moved; err == nil {
		t.Error("a tenant was moved, and no error")
	}
	toggle.Off()
	_, _ = collect(j.Tenants(audience.AllSlots())) // may share the opening of a table that began before
	if known, errs := collect(j.Tenants(audience.AllSlots())); len(known) != 1 || len(errs) > 0 {
		t.Errorf("tenants when they can be read again: %v, %v", known, errs)
	}
	if c := count(j, seg); c != (journal.Counts{Pending: 1000, Parked: 1}) {
		t.Errorf("keys when they can be read again: %+v", c)
	}
}
