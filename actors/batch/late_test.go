package batch

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"audiences/audience"
	"audiences/journal"
)

// lateWorld is what surrounds a batch where nothing comes at the time at which it happens:
// the journal has a change before Apply tells of it, shows a page as it was when that was
// asked for, compares versions when keys are settled, and has changes of another node and
// of long operations, of which nobody tells.
type lateWorld struct {
	t         *rapid.T
	batch     Batch
	maxHeld   int
	own, node uint64 // counters of versions
	accepted  map[audience.Key]audience.Verb
	journal   map[audience.Key]journal.Entry
	split     map[audience.Key]bool
	told      []told // not yet
	page      *journal.Page
	newer     []int // answers to settles that are on their way
}

// told is an Apply that is on its way.
type told struct {
	verb    audience.Verb
	keys    []audience.Key
	version journal.Version
}

func (w *lateWorld) write(verb audience.Verb, version journal.Version, keys []audience.Key) {
	for _, key := range keys {
		w.accepted[key] = verb
		w.journal[key] = journal.Entry{Key: key, Verb: verb, Version: version}
	}
}

// accept takes a change in; given is its version.
func (w *lateWorld) accept(verb audience.Verb, given uint64, keys []audience.Key) {
	version := journal.MakeVersion(ownNode, given)
	w.write(verb, version, keys)
	w.told = append(w.told, told{verb, keys, version})
}

func (w *lateWorld) tell() {
	if len(w.told) == 0 {
		return
	}
	m := w.told[0]
	w.told = w.told[1:]
	w.batch.Apply(m.verb, slices.Values(m.keys), m.version, w.maxHeld)
}

// bring is what a long operation does with keys that are not pending. The batch is told to
// look for them.
func (w *lateWorld) bring(verb audience.Verb, given uint64, keys []audience.Key) {
	keys = slices.DeleteFunc(slices.Clone(keys), func(key audience.Key) bool {
		_, pending := w.journal[key]
		return pending
	})
	w.write(verb, journal.MakeVersion(ownNode, given), keys)
	w.newer = append(w.newer, len(keys))
}

func (w *lateWorld) read() {
	from := w.batch.Draw()
	page := journal.Page{Newest: journal.MakeVersion(ownNode, w.own), Next: from}
	for _, e := range slices.SortedFunc(maps.Values(w.journal), byPlace) {
		at := journal.CursorAt(e.Key)
		switch {
		case from != journal.Cursor{} && !from.Before(at):
		case len(page.Entries) == w.batch.maxChunk:
			page.More = true
		default:
			page.Entries, page.Next = append(page.Entries, e), at
		}
	}
	w.page = &page
}

func byPlace(a, b journal.Entry) int {
	if journal.CursorAt(a.Key).Before(journal.CursorAt(b.Key)) {
		return -1
	}
	return 1
}

func (w *lateWorld) hand() {
	if w.page != nil {
		page := *w.page
		w.page = nil
		w.batch.Drawn(page, false, noon)
	}
}

func (w *lateWorld) answer() {
	if len(w.newer) > 0 {
		w.batch.Expect(w.newer[0])
		w.newer = w.newer[1:]
	}
}

func (w *lateWorld) call(applied, known bool) {
	chunk := w.batch.Next(noon, 0)
	if chunk == nil {
		return
	}
	if applied {
		for key := range chunk.Keys.All() {
			w.split[key] = chunk.Verb == audience.Add
		}
	}
	if applied && known {
		settled, _ := w.batch.Delivered()
		w.settle(w.batch.Select(settled, chunk.NotAfter))
	}
}

// settle does what the journal does.
func (w *lateWorld) settle(s journal.Selection) {
	newer := 0
	remove := func(key audience.Key, meant func(journal.Version) bool) {
		switch e, pending := w.journal[key]; {
		case pending && meant(e.Version):
			delete(w.journal, key)
		case pending:
			newer++
		}
	}
	for key := range s.Keys {
		remove(key, s.NotAfter.Covers)
	}
	if s.Drawn != nil {
		for key, version := range s.Drawn {
			remove(key, func(v journal.Version) bool { return v == version })
		}
	}
	if newer > 0 {
		w.newer = append(w.newer, newer)
	}
}

// crash begins anew from the journal. What was told is known; what was not comes still.
func (w *lateWorld) crash() {
	w.batch = New(w.batch.maxChunk, w.batch.Accepted())
	w.batch.Unread(true)
	w.page, w.newer = nil, nil // these were for the one that crashed
}

// doze lets the batch go and makes it again, once nothing is on its way to it.
func (w *lateWorld) doze() {
	if len(w.told) > 0 || len(w.newer) > 0 || w.page != nil {
		return
	}
	remains, last := w.batch.Remains(), w.batch.LastVerb()
	w.batch = New(w.batch.maxChunk, journal.MakeVersion(ownNode, w.own))
	w.batch.Restore(last, remains, noon, noon)
}

// TestPageOfOverwrittenChanges covers I2: another node has overwritten a change that Apply
// has not told of, a page shows what it was overwritten with, and that is delivered. The
// older change is not sent after it.
func TestPageOfOverwrittenChanges(t *testing.T) {
	key := numbers(1)
	b := New(10, 3)
	b.Unread(true)
	b.Draw()
	theirs := journal.Entry{Key: key[0], Verb: audience.Delete, Version: journal.MakeVersion(3, 1)}
	b.Drawn(journal.Page{Entries: []journal.Entry{theirs}, Newest: 4}, true, noon)
	chunk := b.Cut(audience.Delete)
	settled, _ := b.Delivered()
	b.Select(settled, chunk.NotAfter)
	b.Apply(audience.Add, slices.Values(key), 4, 10)
	if b.Held() > 0 || !b.HasStored() {
		t.Errorf("%d keys are held; the journal is asked: %v", b.Held(), b.HasStored())
	}
}

// TestBatchOfLateNews covers I2 and I3: in whatever order changes, what is told of them,
// pages, settles and their answers come, at rest Split has the last accepted verb of every
// key, and the journal has none.
func TestBatchOfLateNews(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &lateWorld{t: t, accepted: map[audience.Key]audience.Verb{}, journal: map[audience.Key]journal.Entry{}, split: map[audience.Key]bool{}}
		w.batch = New(rapid.IntRange(1, 4).Draw(t, "chunk"), 0)
		w.maxHeld = rapid.IntRange(1, 8).Draw(t, "held")
		w.batch.Unread(true)
		verb := rapid.SampledFrom([]audience.Verb{audience.Add, audience.Delete})
		keys := rapid.SliceOfN(rapid.Map(rapid.Int64Range(0, 2), audience.NumericKey), 1, 2)
		t.Repeat(map[string]func(*rapid.T){
			"accept": func(t *rapid.T) {
				w.own++
				w.accept(verb.Draw(t, "verb"), w.own, keys.Draw(t, "keys"))
			},
			"elsewhere": func(t *rapid.T) {
				w.node++
				w.write(verb.Draw(t, "verb"), journal.MakeVersion(3, w.node), keys.Draw(t, "keys"))
			},
			"bring": func(t *rapid.T) {
				w.own++
				w.bring(verb.Draw(t, "verb"), w.own, keys.Draw(t, "keys"))
			},
			"overtaken": func(t *rapid.T) { // a version was given before and comes to the journal after
				w.own += 2
				w.bring(verb.Draw(t, "brought"), w.own, keys.Draw(t, "to bring"))
				w.accept(verb.Draw(t, "verb"), w.own-1, keys.Draw(t, "keys"))
			},
			"tell":   func(*rapid.T) { w.tell() },
			"hand":   func(*rapid.T) { w.hand() },
			"answer": func(*rapid.T) { w.answer() },
			"read": func(*rapid.T) {
				if w.batch.WantsDraw() {
					w.read()
				}
			},
			"round": func(*rapid.T) { w.round() }, // before it is told of anything
			"call":  func(t *rapid.T) { w.call(rapid.Bool().Draw(t, "applied"), rapid.Bool().Draw(t, "known")) },
			"crash": func(*rapid.T) { w.crash() },
			"doze":  func(*rapid.T) { w.doze() },
		})
		w.rest()
		for key, verb := range w.accepted {
			if w.split[key] != (verb == audience.Add) {
				t.Fatalf("the last verb of %d was %s", numberOf(key), verb)
			}
		}
	})
}

func numberOf(key audience.Key) int64 {
	n, _ := key.Numeric()
	return n
}

// rest lets everything come and every call go well, until the journal is empty.
func (w *lateWorld) rest() {
	for len(w.told) > 0 {
		w.tell()
	}
	w.batch.Expect(0) // for what another node has changed
	for rounds := 0; len(w.journal)+len(w.newer)+w.batch.Held() > 0 || w.batch.Flight() != nil; rounds++ {
		if rounds > 1000 {
			w.t.Fatalf("no end after 1000 calls; %d keys left", len(w.journal))
		}
		w.round()
	}
}

// round delivers some of what the batch has or can draw.
func (w *lateWorld) round() {
	w.hand()
	w.answer()
	if w.batch.WantsDraw() || w.batch.Held() == 0 && w.batch.HasStored() && !w.batch.Drawing() {
		w.read()
		w.hand()
	}
	w.call(true, true)
}
