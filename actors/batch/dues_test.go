package batch

import (
	"slices"
	"testing"
	"time"

	"audiences/audience"
	"audiences/journal"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// TestFullCallsFirst: a whole call's worth of keys goes before less of the other
// verb, but a stream of full calls does not starve the other one for ever.
func TestFullCallsFirst(t *testing.T) {
	const most, patience = 3, 10 * time.Second
	for name, c := range map[string]struct {
		adds, deletes int
		overdue       time.Duration // of the deletes; the adds are due now
		overdueAdds   time.Duration
		last, want    audience.Verb
	}{
		"nothing":                     {},
		"one verb":                    {deletes: 1, last: audience.Delete, want: audience.Delete},
		"due first":                   {adds: 1, deletes: 1, overdue: 1, want: audience.Delete},
		"due together":                {adds: 1, deletes: 1, last: audience.Add, want: audience.Delete},
		"a full call":                 {adds: most, deletes: 1, overdue: patience - 1, want: audience.Add},
		"patience is over":            {adds: most, deletes: 1, overdue: patience, want: audience.Delete},
		"a full call of deletes":      {adds: 1, deletes: most, overdueAdds: patience - 1, want: audience.Delete},
		"patience of adds is over":    {adds: 1, deletes: most, overdueAdds: patience, want: audience.Add},
		"less than a full call":       {adds: 1, deletes: most - 1, overdue: 1, overdueAdds: 2 * patience, want: audience.Add},
		"two full calls alternate":    {adds: most, deletes: most, overdue: time.Hour, last: audience.Delete, want: audience.Add},
		"a full call that is overdue": {adds: 1, deletes: most, overdue: time.Hour, want: audience.Delete},
	} {
		b := New(most, 0)
		b.last = c.last
		for n := range c.adds {
			b.adds.Add(audience.NumericKey(int64(n)))
		}
		for n := range c.deletes {
			b.deletes.Add(audience.NumericKey(int64(100 + n)))
		}
		b.dues = dues{adds: noon.Add(-c.overdueAdds), deletes: noon.Add(-c.overdue)}
		if got := b.nextDue(noon, patience); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// TestHastenKeepsWhatIsOverdue: a page of stored keys made what had waited for
// longer look new, and so wait behind each page that followed.
func TestHastenKeepsWhatIsOverdue(t *testing.T) {
	d := dues{adds: noon.Add(-time.Minute), deletes: noon.Add(time.Minute)}
	d.hasten(noon)
	if want := (dues{adds: noon.Add(-time.Minute), deletes: noon, stored: noon}); d != want {
		t.Errorf("%v, want %v", d, want)
	}
}

// TestWhenDrawnKeysAreDue: those of the first page like new ones, later ones at once;
// but after the segment dozed none before it was due.
func TestWhenDrawnKeysAreDue(t *testing.T) {
	const interval = 10 * time.Second
	page := journal.Page{Entries: []journal.Entry{{Key: audience.NumericKey(1), Verb: audience.Add}}}
	for name, c := range map[string]struct {
		first        bool
		before, want time.Duration // from noon; before 0: it did not doze
	}{
		"first page":                 {first: true, want: interval},
		"later page":                 {want: 0},
		"dozed, first page":          {first: true, before: time.Minute, want: time.Minute},
		"dozed, first page, overdue": {first: true, before: -time.Minute, want: -time.Minute},
		"dozed, later page":          {before: time.Minute, want: time.Minute},
		"dozed, later page, overdue": {before: -time.Minute, want: 0},
	} {
		b := New(5, 0)
		if c.before != 0 {
			b.Restore(0, nil, noon.Add(c.before), noon)
		}
		b.Draw()
		b.Drawn(page, c.first, noon)
		if b.Follow(noon, interval); !b.Due().Equal(noon.Add(c.want)) {
			t.Errorf("%s: due %v from now, want %v", name, b.Due().Sub(noon), c.want)
		}
	}
}

// TestKeysAreDueAnIntervalAfterTheFirst of their verb; stored ones after the first of
// them; a chunk in flight when it is to be repeated.
func TestKeysAreDueAnIntervalAfterTheFirst(t *testing.T) {
	const interval = 10 * time.Second
	b := New(5, 0)
	at := func(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }
	accept := func(verb audience.Verb, key int64, seconds, maxHeld int) {
		b.Apply(verb, slices.Values([]audience.Key{audience.NumericKey(key)}), 1, maxHeld)
		b.Follow(at(seconds), interval)
	}
	if !b.Due().IsZero() || !b.StoredDue().IsZero() {
		t.Error("something is due before there is anything")
	}
	accept(audience.Delete, 1, 0, 3)
	accept(audience.Add, 2, 3, 3)
	accept(audience.Add, 3, 5, 3)
	accept(audience.Add, 4, 6, 3) // no room
	if b.Due() != at(10) || b.DeletesDue() != at(10) || b.StoredDue() != at(16) {
		t.Errorf("due %v, deletes %v, stored %v", b.Due(), b.DeletesDue(), b.StoredDue())
	}
	b.Cut(audience.Delete)
	b.RepeatAt(at(20))
	if b.Follow(at(7), interval); b.Due() != at(13) || !b.DeletesDue().IsZero() || b.Repeat() != at(20) {
		t.Errorf("due %v, deletes %v, repeated %v", b.Due(), b.DeletesDue(), b.Repeat())
	}
	if b.Hasten(at(8)); b.Due() != at(8) || b.StoredDue() != at(8) {
		t.Errorf("due %v, stored %v after they were hastened", b.Due(), b.StoredDue())
	}
}
