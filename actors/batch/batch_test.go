package batch

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"audiences/audience"
	"audiences/journal"
)

// world is what surrounds a batch, as plain maps: what was accepted, what the
// journal holds, what Split has. Its journal reads a page at one time and hands
// it over at a later one, as the real one does.
type world struct {
	t        *rapid.T
	batch    Batch
	maxHeld  int
	accepted map[audience.Key]audience.Verb
	journal  map[audience.Key]audience.Verb
	split    map[audience.Key]bool
	page     *journal.Page
	counts   *[2]int // what the journal and the batch had when a count was asked for

	refuses        map[audience.Key]bool // keys that Split refuses
	limit          int                   // keys of a call that Split takes at most; 0: any number
	parked         map[audience.Key]audience.Verb
	segmentRefused bool // the segment is parked: it is tried with a single key at a time
	lot            int  // which one is next
	full           bool // no adds are taken, and the segment is parked for that
}

func (w *world) setFull(full bool) {
	w.full = full
	w.batch.DeletesOnly(full)
}

func (w *world) accept(verb audience.Verb, keys []audience.Key) {
	for _, key := range keys {
		w.accepted[key], w.journal[key] = verb, verb
		delete(w.parked, key) // the newer change supersedes it
	}
	w.batch.Apply(verb, slices.Values(keys), 1, w.maxHeld)
}

func (w *world) read() {
	from := w.batch.Draw()
	keys := slices.SortedFunc(maps.Keys(w.journal), func(a, b audience.Key) int {
		switch x, y := journal.CursorAt(a), journal.CursorAt(b); {
		case x.Before(y):
			return -1
		case y.Before(x):
			return 1
		}
		return 0
	})
	page := journal.Page{Next: from}
	for _, key := range keys {
		switch {
		case from != journal.Cursor{} && !from.Before(journal.CursorAt(key)):
		case len(page.Entries) == w.batch.maxChunk:
			page.More = true
		default:
			page.Entries = append(page.Entries, journal.Entry{Key: key, Verb: w.journal[key]})
			page.Next = journal.CursorAt(key)
		}
	}
	w.page = &page
}

func (w *world) hand() {
	page := *w.page
	w.page = nil
	w.batch.Drawn(page, false, noon)
}

// call makes one call: applied or not, and its outcome known or not.
func (w *world) call(applied, known bool) {
	chunk := w.cut()
	if chunk == nil {
		return
	}
	if n := chunk.Keys.Len(); n == 0 || n > w.batch.maxChunk {
		w.t.Fatalf("a call with %d keys (I5)", n)
	}
	if w.full && chunk.Verb == audience.Add {
		w.batch.Ground()
		return
	}
	if tooLarge := w.limit > 0 && chunk.len() > w.limit; tooLarge || w.refused(chunk) {
		if known {
			w.refuse(chunk.Verb, tooLarge)
		}
		return
	}
	if applied {
		for key := range chunk.Keys.All() {
			if chunk.Verb == audience.Add {
				w.split[key] = true
			} else {
				delete(w.split, key)
			}
		}
	}
	if applied && known {
		settled, park := w.batch.Delivered()
		for key := range settled.All() {
			delete(w.journal, key)
		}
		w.segmentRefused = false
		w.park(chunk.Verb, park)
	}
}

func (w *world) cut() *Chunk {
	verb := w.batch.NextVerb()
	if w.full && w.batch.deletes.Len() > 0 {
		verb = audience.Delete
	}
	if !w.full && !w.segmentRefused || w.batch.flight != nil || verb == 0 {
		return w.batch.Next(noon, 0)
	}
	w.lot++
	return w.batch.CutOne(verb, w.lot%w.batch.HeldOf(verb))
}

func (w *world) refused(c *Chunk) bool {
	for key := range c.Keys.All() {
		if w.refuses[key] {
			return true
		}
	}
	return false
}

// refuse does what a segment does about a refusal.
func (w *world) refuse(verb audience.Verb, tooLarge bool) {
	if w.segmentRefused {
		w.batch.Shelve()
		return
	}
	refusal := w.batch.Refused(journal.Refusal{}, tooLarge)
	w.segmentRefused = refusal.SegmentRefused
	w.park(verb, refusal.Park)
	if refusal.Release == nil {
		return
	}
	for key := range refusal.Release.All() {
		if verb, ok := w.parked[key]; ok {
			w.journal[key] = verb
			delete(w.parked, key)
		}
	}
	w.batch.Expect(refusal.Release.Len())
}

func (w *world) park(verb audience.Verb, keys *audience.KeySet) {
	if keys == nil {
		return
	}
	for key := range keys.All() {
		if w.journal[key] != verb {
			w.t.Fatal("a key is parked with a verb that is not its last one (I2)")
		}
		delete(w.journal, key)
		w.parked[key] = verb
	}
}

// atRest: nothing is pending, but for the refused keys of a segment that is parked
// for them.
func (w *world) atRest() bool {
	if !w.segmentRefused {
		return w.page == nil && len(w.journal) == 0
	}
	for key := range w.journal {
		if !w.refuses[key] {
			return false
		}
	}
	return true
}

// TestBatchLastVerbWins covers I2, I4 and I5 on the pure batch: whatever the
// order of changes, calls, lost answers and reads of the journal, at rest Split
// is the replay of all that was accepted, and the journal is empty.
func TestBatchLastVerbWins(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.live(t)
		w.settle(w.atRest)
		w.compare()
	})
}

// TestBatchRefusals covers I2 and I3: with keys that Split refuses, calls that are
// too large, and a segment that is full for a while, at rest exactly the refused
// keys that were accepted are parked, with their last verbs, or wait in a segment
// that is parked for them; everything else is delivered.
func TestBatchRefusals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		for _, n := range rapid.SliceOfN(rapid.Int64Range(0, 12), 0, 4).Draw(t, "refused") {
			w.refuses[audience.NumericKey(n)] = true
		}
		w.limit = rapid.IntRange(0, 4).Draw(t, "limit")
		w.live(t)
		if w.full { // deletes go while adds cannot, however many of these there are
			w.settle(func() bool {
				for key, verb := range w.journal {
					if verb == audience.Delete && !w.refuses[key] {
						return false
					}
				}
				return true
			})
			w.setFull(false)
		}
		w.settle(w.atRest)
		w.compare()
	})
}

func newWorld(t *rapid.T) *world {
	w := &world{t: t, accepted: map[audience.Key]audience.Verb{}, journal: map[audience.Key]audience.Verb{},
		split: map[audience.Key]bool{}, refuses: map[audience.Key]bool{}, parked: map[audience.Key]audience.Verb{}}
	w.batch.maxChunk = rapid.IntRange(1, 4).Draw(t, "chunk")
	w.maxHeld = rapid.IntRange(1, 8).Draw(t, "held")
	return w
}

// live goes through a random history.
func (w *world) live(t *rapid.T) {
	key := rapid.Custom(func(t *rapid.T) audience.Key {
		return audience.NumericKey(rapid.Int64Range(0, 12).Draw(t, "key"))
	})
	verb := rapid.SampledFrom([]audience.Verb{audience.Add, audience.Delete})
	for _, key := range rapid.SliceOfN(key, 0, 9).Draw(t, "replayed") {
		w.accepted[key] = verb.Draw(t, "verb")
		w.journal[key] = w.accepted[key]
	}
	// Each verb may have its limit while the segment is full; beyond that a page that
	// was drawn in, a flight that changed again, a hunt that was given up.
	most := 2*(max(w.maxHeld, w.batch.maxChunk)+2*w.batch.maxChunk) + w.batch.maxChunk
	w.read()                          // an actor begins with reading what is there
	if rapid.Bool().Draw(t, "told") { // that there is something, by the replay
		w.batch.backlog.exists = true
		if rapid.Bool().Draw(t, "memory is short") { // and does not look at the keys yet
			w.page = &journal.Page{More: true}
		}
	}
	t.Repeat(map[string]func(*rapid.T){
		"accept": func(t *rapid.T) { w.accept(verb.Draw(t, "verb"), rapid.SliceOfN(key, 1, 5).Draw(t, "keys")) },
		"call":   func(t *rapid.T) { w.call(rapid.Bool().Draw(t, "applied"), rapid.Bool().Draw(t, "known")) },
		"read": func(t *rapid.T) {
			if w.batch.WantsDraw() {
				w.read()
			}
		},
		"hand": func(*rapid.T) {
			if w.page != nil {
				w.hand()
			}
		},
		"fail": func(*rapid.T) {
			if w.page != nil {
				w.page = nil
				w.batch.DrawFailed()
			}
		},
		"count": func(*rapid.T) {
			if w.counts == nil {
				w.counts = &[2]int{len(w.journal), w.batch.Known()}
			}
		},
		"counted": func(*rapid.T) {
			if w.counts != nil {
				w.batch.Counted(w.counts[0], w.counts[1])
				w.counts = nil
			}
		},
		"full": func(*rapid.T) {
			if len(w.refuses) > 0 {
				w.setFull(!w.full)
			}
		},
		"": func(t *rapid.T) {
			if held := w.batch.Held(); held > most {
				t.Fatalf("%d keys held, limit %d", held, w.maxHeld)
			}
			if w.batch.Pending() < len(w.journal) && w.batch.AllCounted() {
				t.Fatalf("pending says %d, the journal has %d", w.batch.Pending(), len(w.journal))
			}
		},
	})
}

// settle lets calls go well until the end is reached.
func (w *world) settle(end func() bool) {
	for rounds := 0; !end(); rounds++ {
		if rounds > 1000 {
			w.t.Fatalf("no end after 1000 calls; %d keys left", len(w.journal))
		}
		if w.page != nil {
			w.hand()
		}
		if w.batch.WantsDraw() || w.batch.Held() == 0 && w.batch.HasStored() { // the latter with a permit
			w.read()
		}
		w.call(true, true)
	}
}

// compare holds Split and the parked keys against what was accepted.
func (w *world) compare() {
	want, refused := map[audience.Key]bool{}, map[audience.Key]audience.Verb{}
	for key, verb := range w.accepted {
		switch {
		case w.refuses[key]:
			refused[key] = verb
		case verb == audience.Add:
			want[key] = true
		}
	}
	if !maps.Equal(want, w.split) {
		w.t.Fatalf("Split has %d keys, the accepted changes make %d", len(w.split), len(want))
	}
	for key, verb := range w.journal {
		if _, both := w.parked[key]; both {
			w.t.Fatal("a key is parked and pending")
		}
		w.parked[key] = verb
	}
	if !maps.Equal(refused, w.parked) {
		w.t.Fatalf("%d keys are parked, %d were refused", len(w.parked), len(refused))
	}
}

func TestBatchBothVerbsGetTheirTurn(t *testing.T) {
	b := New(1, 0)
	b.Apply(audience.Add, slices.Values([]audience.Key{audience.NumericKey(1), audience.NumericKey(2)}), 1, 10)
	b.Apply(audience.Delete, slices.Values([]audience.Key{audience.NumericKey(3), audience.NumericKey(4)}), 1, 10)
	var verbs []audience.Verb
	for b.Held() > 0 {
		verbs = append(verbs, b.Cut(b.NextVerb()).Verb)
		b.Delivered()
	}
	if want := []audience.Verb{audience.Add, audience.Delete, audience.Add, audience.Delete}; !slices.Equal(verbs, want) {
		t.Errorf("calls %v, want %v", verbs, want)
	}
}

// TestBatchCountsWhatItHas: each key in memory is counted once with its verb, wherever
// it is; one that changed again while in flight is two keys in memory, and one in the
// journal.
func TestBatchCountsWhatItHas(t *testing.T) {
	b := New(4, 0)
	b.Apply(audience.Add, slices.Values(numbers(6)), 1, 6)
	b.Apply(audience.Delete, slices.Values([]audience.Key{audience.NumericKey(100)}), 1, 6) // no room
	b.Cut(audience.Add)
	again := anyOf(b.Flight().Keys)
	b.Apply(audience.Delete, slices.Values([]audience.Key{again}), 1, 6)
	expect := func(adds, deletes, stored, pending, known, weight int) {
		t.Helper()
		got := []int{b.InMemory(audience.Add), b.InMemory(audience.Delete), b.Stored(), b.Pending(), b.Known(), b.Weight()}
		if want := []int{adds, deletes, stored, pending, known, weight}; !slices.Equal(got, want) {
			t.Errorf("adds, deletes, stored, pending, known, weight: %v, want %v", got, want)
		}
	}
	expect(6, 1, 1, 8, 7, 7)
	if b.Hunting() {
		t.Error("a hunt is on before anything was refused")
	}
	b.Refused(journal.Refusal{Reason: "test"}, false) // the three that did not change are halved
	if !b.Hunting() || b.LastRefusal().Reason != "test" {
		t.Errorf("hunting %v for %q", b.Hunting(), b.LastRefusal().Reason)
	}
	expect(5, 1, 1, 7, 7, 6)
	if b.Forget(); b.Pending() != 0 || b.Stored() != 0 || !b.AllCounted() || b.HasStored() || b.MaxChunk() != 4 {
		t.Error("something is left of what was given up")
	}
	b.Unread(true)
	if !b.HasStored() || b.AllCounted() || !b.WantsDraw() {
		t.Error("what the journal has is not looked for")
	}
	if b.Draw(); !b.Drawing() || b.WantsDraw() {
		t.Error("two pages are read at once")
	}
}
