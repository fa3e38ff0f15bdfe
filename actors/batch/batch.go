// Package batch is a segment's unsettled changes: which keys to add, which to
// delete, which call carries some of them now, what more the journal holds, and
// when all that is due. It is pure: it reads no clock and no disk, and knows no
// actor. A caller tells it what happened and asks it what comes next.
//
//	             Apply                        Next                   Delivered
//	accepted ------------> held (adds|deletes) ----> flight (in flight) ----> settled
//	    \                   ^       ^                  |  ^  |
//	     \ no room          | Drawn |  changed again   |  |  | Refused
//	      +--> stored ------+       +------------------+  |  +---------> hunt ----> parked
//	         (journal alone)                     repeated +
//
// The files: batch.go has the sets and the chunk in flight, backlog.go the keys that
// are in the journal alone, versions.go how the journal recognises keys, ages.go how old
// they are at most, hunt.go the
// search for keys that Split refuses, dues.go the times, and remains.go what a caller
// keeps of a batch that it lets go.
package batch

import (
	"iter"
	"time"

	"audiences/audience"
	"audiences/journal"
)

// Batch holds a key with one verb at most: the last accepted one (I2). A key of the
// flight that changes again is held beside it and goes out in a later call, so that
// a call whose outcome is unknown is repeated unchanged (I4).
//
// New makes one. It belongs to one goroutine at a time.
type Batch struct {
	audience.Hidden[Batch]
	adds, deletes audience.KeySet
	flight        *Chunk
	hunt          *hunt           // for the keys that Split refuses; nil: none is on
	singles       []audience.Key  // that were refused in a row, in chunks of one key
	refusal       journal.Refusal // the last one of keys
	backlog       backlog
	dues          dues
	versions      versions
	ages          ages

	superseded []audience.Key // see Superseded

	deletesOnly bool          // see DeletesOnly
	maxChunk    int           // keys of one call at most (I5)
	last        audience.Verb // of the last chunk that was cut; the other one is next
}

// Chunk is what one call carries. Its keys do not change while it is in flight, so
// that the goroutine of the call may read them.
type Chunk struct {
	audience.Hidden[Chunk]
	Verb     audience.Verb
	Keys     *audience.KeySet
	NotAfter journal.Version // the batch's Accepted when it was cut: what to Select its keys with
	Oldest   journal.Version // no key of it is older, see Batch.Oldest; 0: not known
	Attempts int             // calls made with it so far; the caller counts them
	Call     uint64          // the number of the last one; the caller gives it
}

// New makes an empty batch. A call carries at most maxChunk keys (I5), and fewer once
// Split refused a call as too large. Of this process's changes up to the version accepted
// none is still to come through Apply. What the journal has is not known yet: see
// Unread, Restore and Forget.
func New(maxChunk int, accepted journal.Version) Batch {
	return Batch{maxChunk: maxChunk, versions: versions{accepted: accepted}}
}

// Apply records a change that this process accepted, with the version that the journal
// gave it: they come in the order of their versions. It holds keys in memory up to
// maxHeld of them; what is beyond stays in the journal alone.
func (b *Batch) Apply(verb audience.Verb, keys iter.Seq[audience.Key], version journal.Version, maxHeld int) {
	late := b.versions.accept(version)
	if late {
		maxHeld = 0 // a page has shown newer keys: what became of these the journal knows
	}
	b.came(verb, version)
	for key := range keys {
		if late && b.versions.drawnSince(key, version) {
			continue
		}
		delete(b.versions.exact, key)
		if !b.hold(verb, key, maxHeld) {
			b.backlog.leave(verb, key)
		}
	}
}

// hold keeps the key in memory if it has to be or there is room, and reports
// whether it did. What has a backlog takes nothing new into memory: keys that
// came first are sent first, and a busy segment cannot starve its own backlog.
func (b *Batch) hold(verb audience.Verb, key audience.Key, maxHeld int) bool {
	into, from := b.set(verb), b.set(verb.Opposite())
	room := b.Held() < maxHeld && !b.backlog.exists || b.deletesOnly && verb == audience.Delete && b.deletes.Len() < maxHeld
	hunted := b.hunt.drop(key)
	later := b.deletesOnly && verb == audience.Add && into.Len() >= maxHeld
	held := from.Remove(key)
	if held && len(b.superseded) < mostSuperseded {
		b.superseded = append(b.superseded, key)
	}
	if room || (hunted || held) && !later || b.flight.has(key) {
		into.Add(key)
		return true
	}
	return into.Has(key)
}

// mostSuperseded is how many keys of one change are remembered.
const mostSuperseded = 1_000

// Superseded are keys of the last Apply that were held with the other verb: that earlier
// change is never sent. It gives them once.
func (b *Batch) Superseded() (keys []audience.Key) {
	keys, b.superseded = b.superseded, nil
	return keys
}

func (b *Batch) holds(key audience.Key) bool { return b.adds.Has(key) || b.deletes.Has(key) }

// Held is the number of keys in the add and delete sets.
func (b *Batch) Held() int { return b.adds.Len() + b.deletes.Len() }

// HeldOf is the number of keys in the set of that verb.
func (b *Batch) HeldOf(verb audience.Verb) int { return b.set(verb).Len() }

// Pending is the number of keys that are not settled; an upper bound once AllCounted,
// because a stored key that changes again is counted twice until it is drawn.
func (b *Batch) Pending() int { return b.Held() + b.flight.len() + b.hunt.len() + b.backlog.stored }

// Known is how many keys the batch knows to be in the journal: Pending, but keys
// of the flight that are held as well are one there.
func (b *Batch) Known() int {
	n := b.Pending()
	if b.flight != nil {
		for key := range b.flight.Keys.All() {
			if b.holds(key) {
				n--
			}
		}
	}
	return n
}

// InMemory is the number of keys in memory with that verb: held, in flight and in a hunt.
func (b *Batch) InMemory(verb audience.Verb) (n int) {
	n = b.set(verb).Len()
	if b.flight != nil && b.flight.Verb == verb {
		n += b.flight.len()
	}
	if b.hunt != nil && b.hunt.verb == verb {
		n += b.hunt.len()
	}
	return n
}

// Weight is how many numeric keys take about as much memory as those of the batch.
func (b *Batch) Weight() int {
	n := b.adds.Weight() + b.deletes.Weight()
	for part := range b.hunt.parts() {
		n += part.Weight()
	}
	if b.flight != nil {
		n += b.flight.Keys.Weight()
	}
	return n
}

// MaxChunk is how many keys a call carries at most.
func (b *Batch) MaxChunk() int { return b.maxChunk }

// HasWholeCall reports whether a whole call's worth of one verb is held: waiting for
// more would not make the call any larger.
func (b *Batch) HasWholeCall() bool { return max(b.adds.Len(), b.deletes.Len()) >= b.maxChunk }

// DeletesOnly says whether adds cannot go, because the segment has all the members
// that it may have: then no delete waits behind them.
func (b *Batch) DeletesOnly(on bool) { b.deletesOnly = on }

// Flight is the chunk in flight; nil: there is none.
func (b *Batch) Flight() *Chunk { return b.flight }

// Next is the chunk in flight, which is to be repeated before anything newer (I4),
// or else a new one; nil when no key is held: a call is never empty (I5). Which verb
// it is follows from what is held and due, see nextVerb.
func (b *Batch) Next(now time.Time, patience time.Duration) *Chunk {
	if b.flight != nil {
		return b.flight
	}
	if verb := b.nextDue(now, patience); verb != 0 {
		return b.Cut(verb)
	}
	return nil
}

// Cut takes the next chunk of a verb, of which keys must be held, out of the sets
// and puts it in flight. Nothing may be in flight before (I4).
func (b *Batch) Cut(verb audience.Verb) *Chunk {
	return b.launch(verb, take(b.set(verb), b.maxChunk))
}

// CutOne is Cut for one key, the n-th of its verb in no particular order: what a
// refused segment is tried with must not be the same key each time.
func (b *Batch) CutOne(verb audience.Verb, n int) *Chunk {
	from, one := b.set(verb), audience.NewKeySet(1)
	for key := range from.All() {
		if n--; n < 0 {
			from.Remove(key)
			one.Add(key)
			break
		}
	}
	return b.launch(verb, one)
}

func (b *Batch) launch(verb audience.Verb, keys *audience.KeySet) *Chunk {
	b.last = verb
	b.flight = &Chunk{Verb: verb, Keys: keys, NotAfter: b.versions.accepted, Oldest: *b.ages.of(verb)}
	return b.flight
}

// set is the keys held with that verb.
func (b *Batch) set(verb audience.Verb) *audience.KeySet {
	if verb == audience.Delete {
		return &b.deletes
	}
	return &b.adds
}

// NextVerb alternates between the verbs while there are keys of both, so that
// neither waits for the other to run dry; 0: no key is held. Their order is free: the
// sets are disjoint.
func (b *Batch) NextVerb() audience.Verb {
	switch {
	case b.Held() == 0:
		return 0
	case b.deletes.Len() == 0, b.adds.Len() > 0 && b.last != audience.Add:
		return audience.Add
	}
	return audience.Delete
}

// take moves up to n keys out of the set; the whole set at once where it fits.
func take(set *audience.KeySet, n int) *audience.KeySet {
	if set.Len() <= n {
		all := *set
		*set = audience.KeySet{}
		return &all
	}
	taken := audience.NewKeySet(n)
	for key := range set.All() {
		if taken.Len() == n {
			break
		}
		set.Remove(key)
		taken.Add(key)
	}
	return taken
}

// Delivered ends the flight, whose keys Split took. It returns the keys whose fate
// that settles, and those that a hunt has found by now and that are to be parked,
// with the same verb.
func (b *Batch) Delivered() (settled, park *audience.KeySet) {
	keys := b.flight.Keys
	b.flight = nil
	return b.settle(keys), b.clear()
}

// settle leaves of the keys those that did not change since they were cut; the
// others are held, and stay in the journal with their newer verb. A page of the
// journal that is being read does not bring the settled ones back.
func (b *Batch) settle(keys *audience.KeySet) *audience.KeySet {
	b.leaveChanged(keys)
	for key := range keys.All() {
		b.backlog.touch(key)
	}
	return keys
}

// Discard takes the held keys of a verb out, to be deleted undelivered, and returns
// them. Those of except are left in the journal, and are drawn again; so are those that
// a page has shown with a change that Apply has not told of, which nobody meant. Nothing
// may be in flight.
func (b *Batch) Discard(verb audience.Verb, except *audience.KeySet) *audience.KeySet {
	keys := take(b.set(verb), b.HeldOf(verb))
	for key := range keys.All() {
		if except.Has(key) || b.versions.untold(key) {
			keys.Remove(key)
			b.Expect(1)
		}
	}
	return b.settle(keys)
}

// Forget drops all keys: the journal has none of this segment, or none that are
// this segment's any more.
func (b *Batch) Forget() {
	*b = Batch{maxChunk: b.maxChunk, backlog: backlog{counted: true}, versions: versions{accepted: b.versions.accepted, shown: b.versions.shown}}
}

func (c *Chunk) len() int {
	if c == nil {
		return 0
	}
	return c.Keys.Len()
}

func (c *Chunk) has(key audience.Key) bool { return c != nil && c.Keys.Has(key) }
