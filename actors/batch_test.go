package actors

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
	batch    batch
	accepted map[audience.Key]audience.Verb
	journal  map[audience.Key]audience.Verb
	split    map[audience.Key]bool
	page     *journal.Page
}

func (w *world) accept(verb audience.Verb, keys []audience.Key) {
	for _, key := range keys {
		w.accepted[key], w.journal[key] = verb, verb
	}
	w.batch.apply(verb, keys)
}

func (w *world) read() {
	from, counted := w.batch.backlog.draw(), w.batch.backlog.counted
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
			if !counted {
				page.Rest++
			}
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
	w.batch.drawn(page)
}

// call makes one call: applied or not, and its outcome known or not.
func (w *world) call(applied, known bool) {
	chunk := w.batch.cut()
	if chunk == nil {
		return
	}
	if n := chunk.keys.Len(); n == 0 || n > w.batch.maxChunk {
		w.t.Fatalf("a call with %d keys (I5)", n)
	}
	if applied {
		for key := range chunk.keys.All() {
			if chunk.verb == audience.Add {
				w.split[key] = true
			} else {
				delete(w.split, key)
			}
		}
	}
	if applied && known {
		for key := range w.batch.land().All() {
			delete(w.journal, key)
		}
	}
}

// TestBatchLastVerbWins covers I2, I4 and I5 on the pure batch: whatever the
// order of changes, calls, lost answers and reads of the journal, at rest Split
// is the replay of all that was accepted, and the journal is empty.
func TestBatchLastVerbWins(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{t: t, accepted: map[audience.Key]audience.Verb{}, journal: map[audience.Key]audience.Verb{}, split: map[audience.Key]bool{}}
		w.batch.maxChunk = rapid.IntRange(1, 4).Draw(t, "chunk")
		w.batch.maxHeld = rapid.IntRange(1, 8).Draw(t, "held")
		key := rapid.Custom(func(t *rapid.T) audience.Key {
			return audience.NumericKey(rapid.Int64Range(0, 12).Draw(t, "key"))
		})
		verb := rapid.SampledFrom([]audience.Verb{audience.Add, audience.Delete})
		for _, key := range rapid.SliceOfN(key, 0, 9).Draw(t, "replayed") {
			w.accepted[key] = verb.Draw(t, "verb")
			w.journal[key] = w.accepted[key]
		}
		w.read() // an actor begins with reading what is there
		t.Repeat(map[string]func(*rapid.T){
			"accept": func(t *rapid.T) { w.accept(verb.Draw(t, "verb"), rapid.SliceOfN(key, 1, 5).Draw(t, "keys")) },
			"call":   func(t *rapid.T) { w.call(rapid.Bool().Draw(t, "applied"), rapid.Bool().Draw(t, "known")) },
			"read": func(t *rapid.T) {
				if w.batch.wantsDraw() {
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
					w.batch.backlog.failed()
				}
			},
			"": func(t *rapid.T) {
				// Beyond the limit: a page that was drawn in, and a flight that changed again.
				if held := w.batch.held(); held > max(w.batch.maxHeld, w.batch.maxChunk)+2*w.batch.maxChunk {
					t.Fatalf("%d keys held, limit %d", held, w.batch.maxHeld)
				}
				if w.batch.pending() < len(w.journal) && w.batch.backlog.counted {
					t.Fatalf("pending says %d, the journal has %d", w.batch.pending(), len(w.journal))
				}
			},
		})
		for rounds := 0; len(w.journal) > 0 || w.page != nil; rounds++ {
			if rounds > 1000 {
				t.Fatalf("no rest after 1000 calls; %d keys left", len(w.journal))
			}
			if w.page != nil {
				w.hand()
			}
			if w.batch.wantsDraw() {
				w.read()
			}
			w.call(true, true)
		}
		want := map[audience.Key]bool{}
		for key, verb := range w.accepted {
			if verb == audience.Add {
				want[key] = true
			}
		}
		if !maps.Equal(want, w.split) {
			t.Fatalf("Split has %d keys, the accepted changes make %d", len(w.split), len(want))
		}
	})
}

func TestBatchBothVerbsGetTheirTurn(t *testing.T) {
	b := batch{maxChunk: 1, maxHeld: 10}
	b.apply(audience.Add, []audience.Key{audience.NumericKey(1), audience.NumericKey(2)})
	b.apply(audience.Delete, []audience.Key{audience.NumericKey(3), audience.NumericKey(4)})
	var verbs []audience.Verb
	for b.cut() != nil {
		verbs = append(verbs, b.flight.verb)
		b.land()
	}
	if want := []audience.Verb{audience.Add, audience.Delete, audience.Add, audience.Delete}; !slices.Equal(verbs, want) {
		t.Errorf("calls %v, want %v", verbs, want)
	}
}
