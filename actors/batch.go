package actors

import (
	"iter"
	"maps"

	"audiences/audience"
	"audiences/journal"
)

// batch is a segment's unsettled changes: which keys to add, which to delete,
// which call carries some of them now, and what more the journal holds. It is
// pure: no time, no disk, no actor.
//
//	             apply                       cut                    delivered
//	accepted ------------> held (adds|deletes) ----> flight (in flight) ----> settled
//	    \                   ^       ^                  |  ^  |
//	     \ no room          | drawn |  changed again   |  |  | keys refused
//	      +--> stored ------+       +------------------+  |  +---------> hunt ----> parked
//	         (journal alone)                     repeated +
//
// A key is held with one verb at most: the last accepted one (I2). A key of the
// flight that changes again is held beside it and goes out in a later call, so
// that a call whose outcome is unknown is repeated unchanged (I4).
type batch struct {
	hidden[batch]
	adds, deletes audience.KeySet
	flight        *chunk
	hunt          *hunt          // for the keys that Split refuses; nil: none is on
	lone          []audience.Key // that were refused in a row, in chunks of one key
	backlog       backlog

	newest  journal.Version                  // that was handed in, or drawn, of this node
	foreign map[audience.Key]journal.Version // of keys that were drawn, with a change of another node

	deletesOnly bool // adds cannot go, the segment is full: no delete waits behind them

	maxChunk int           // keys of one call at most (I5)
	maxHeld  int           // keys held at most, before what is beyond stays in the journal alone
	last     audience.Verb // of the last chunk that was cut; the other one is next
}

// chunk is what one call carries. Its keys do not change while it is in flight.
type chunk struct {
	hidden[chunk]
	verb     audience.Verb
	keys     *audience.KeySet
	upTo     journal.Version // the batch's newest at the cut
	attempts int             // calls made with it so far
}

// apply takes an accepted change in.
func (b *batch) apply(verb audience.Verb, keys iter.Seq[audience.Key]) {
	for key := range keys {
		delete(b.foreign, key)
		if !b.hold(verb, key) {
			b.backlog.leave(verb, key)
		}
	}
}

// hold keeps the key in memory if it has to be or there is room, and reports
// whether it did. What has a backlog takes nothing new into memory: keys that
// came first are sent first, and a busy segment cannot starve its own backlog.
func (b *batch) hold(verb audience.Verb, key audience.Key) bool {
	into, from := b.set(verb), b.set(verb.Opposite())
	room := b.held() < b.maxHeld && !b.backlog.exists || b.deletesOnly && verb == audience.Delete && b.deletes.Len() < b.maxHeld
	hunted := b.hunt.drop(key)
	later := b.deletesOnly && verb == audience.Add && into.Len() >= b.maxHeld
	if room || (hunted || from.Has(key)) && !later || b.flight.has(key) {
		from.Remove(key)
		into.Add(key)
		return true
	}
	from.Remove(key)
	return into.Has(key)
}

func (b *batch) holds(key audience.Key) bool { return b.adds.Has(key) || b.deletes.Has(key) }

// held is the number of keys in the add and delete sets.
func (b *batch) held() int { return b.adds.Len() + b.deletes.Len() }

// pending is the number of keys that are not settled; an upper bound once the
// backlog is counted, because a stored key that changes again is counted twice
// until it is drawn in.
func (b *batch) pending() int { return b.held() + b.flight.len() + b.hunt.len() + b.backlog.stored }

// known is how many keys the batch knows to be in the journal: pending, but keys
// of the flight that are held as well are one there.
func (b *batch) known() int {
	n := b.pending()
	if b.flight != nil {
		for key := range b.flight.keys.All() {
			if b.holds(key) {
				n--
			}
		}
	}
	return n
}

// count is the number of keys in memory with that verb.
func (b *batch) count(verb audience.Verb) (n int) {
	n = b.set(verb).Len()
	if b.flight != nil && b.flight.verb == verb {
		n += b.flight.len()
	}
	if b.hunt != nil && b.hunt.verb == verb {
		n += b.hunt.len()
	}
	return n
}

// weight is how many numeric keys take about as much memory as those of the batch.
func (b *batch) weight() int {
	n := b.adds.Weight() + b.deletes.Weight()
	for part := range b.hunt.parts() {
		n += part.Weight()
	}
	if b.flight != nil {
		n += b.flight.keys.Weight()
	}
	return n
}

// full reports whether a whole call's worth of one verb is held: waiting for
// more would not make the call any larger.
func (b *batch) full() bool { return max(b.adds.Len(), b.deletes.Len()) >= b.maxChunk }

// wantsDraw reports whether stored keys should be drawn in: until there is a whole
// call's worth of one verb, so that a backlog goes out in full calls and none of
// them waits for the journal. Two calls' worth and a page are held at most.
func (b *batch) wantsDraw() bool {
	switch {
	case !b.backlog.exists || b.backlog.drawing:
		return false
	case b.deletesOnly:
		return !b.backlog.addsOnly && b.deletes.Len() < b.maxChunk
	}
	return !b.full()
}

// cut takes the next chunk of a verb, of which keys must be held, out of the sets
// and puts it in flight. Nothing may be in flight before (I4).
func (b *batch) cut(verb audience.Verb) *chunk {
	b.last = verb
	b.flight = &chunk{verb: verb, keys: take(b.set(verb), b.maxChunk), upTo: b.newest}
	return b.flight
}

// cutOne is cut for one key, the n-th of its verb in no particular order: what a
// refused segment is tried with must not be the same key each time.
func (b *batch) cutOne(verb audience.Verb, n int) *chunk {
	b.last = verb
	from, one := b.set(verb), audience.NewKeySet(1)
	for key := range from.All() {
		if n--; n < 0 {
			from.Remove(key)
			one.Add(key)
			break
		}
	}
	b.flight = &chunk{verb: verb, keys: one, upTo: b.newest}
	return b.flight
}

// set is the keys held with that verb.
func (b *batch) set(verb audience.Verb) *audience.KeySet {
	if verb == audience.Delete {
		return &b.deletes
	}
	return &b.adds
}

// next is the chunk in flight, which is to be repeated before anything newer (I4),
// or else a new one; nil when no key is held: a call is never empty (I5).
func (b *batch) next(choose func(*batch) audience.Verb) *chunk {
	if b.flight != nil {
		return b.flight
	}
	if verb := choose(b); verb != 0 {
		return b.cut(verb)
	}
	return nil
}

// nextVerb alternates between the verbs while there are keys of both, so that
// neither waits for the other to run dry. Their order is free: the sets are
// disjoint.
func (b *batch) nextVerb() audience.Verb {
	switch {
	case b.held() == 0:
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

// land ends the flight and returns the keys whose fate it settles.
func (b *batch) land() *audience.KeySet {
	keys := b.flight.keys
	b.flight = nil
	return b.settled(keys)
}

// settled leaves of the keys those that did not change since they were cut; the
// others are held, and stay in the journal with their newer verb. A page of the
// journal that is being read does not bring the settled ones back.
func (b *batch) settled(keys *audience.KeySet) *audience.KeySet {
	b.leaveChanged(keys)
	for key := range keys.All() {
		b.backlog.touch(key)
	}
	return keys
}

// ownNode is the number of the embedded store's node.
const ownNode = 0

// selection names keys for the journal: those that this process accepted as they were
// at a version of its own, those of another node as they were drawn.
func (b *batch) selection(keys *audience.KeySet, upTo journal.Version) journal.Selection {
	if len(b.foreign) == 0 {
		return journal.Selection{Keys: keys.All(), NotAfter: upTo}
	}
	own, drawn := audience.NewKeySet(keys.Len()), map[audience.Key]journal.Version{}
	for key := range keys.All() {
		if version, foreign := b.foreign[key]; foreign {
			drawn[key] = version
			delete(b.foreign, key)
		} else {
			own.Add(key)
		}
	}
	return journal.Selection{Keys: own.All(), NotAfter: upTo, Drawn: maps.All(drawn)}
}

func (c *chunk) len() int {
	if c == nil {
		return 0
	}
	return c.keys.Len()
}

func (c *chunk) has(key audience.Key) bool { return c != nil && c.keys.Has(key) }
