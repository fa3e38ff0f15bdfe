package actors

import (
	"audiences/audience"
)

// batch is a segment's unsettled changes: which keys to add, which to delete,
// which call carries some of them now, and what more the journal holds. It is
// pure: no time, no disk, no actor.
//
//	             apply                       cut                    delivered
//	accepted ------------> held (adds|deletes) ----> flight (in flight) ----> settled
//	    \                   ^       ^                  |  ^
//	     \ no room          | drawn |  changed again   |  | outcome unknown or
//	      +--> stored ------+       +------------------+  +-- refused for now: repeat
//	         (journal alone)
//
// A key is held with one verb at most: the last accepted one (I2). A key of the
// flight that changes again is held beside it and goes out in a later call, so
// that a call whose outcome is unknown is repeated unchanged (I4).
type batch struct {
	adds, deletes audience.KeySet
	flight        *chunk
	backlog       backlog

	maxChunk int           // keys of one call at most (I5)
	maxHeld  int           // keys held at most, before what is beyond stays in the journal alone
	last     audience.Verb // of the last chunk that was cut; the other one is next
}

// chunk is what one call carries. Its keys do not change while it is in flight.
type chunk struct {
	verb     audience.Verb
	keys     *audience.KeySet
	attempts int // calls made with it so far
}

// apply takes an accepted change in.
func (b *batch) apply(verb audience.Verb, keys []audience.Key) {
	for _, key := range keys {
		if !b.hold(verb, key) {
			b.backlog.leave(key)
		}
	}
}

// hold keeps the key in memory if it has to be or there is room, and reports
// whether it did. What has a backlog takes nothing new into memory: keys that
// came first are sent first, and a busy segment cannot starve its own backlog.
func (b *batch) hold(verb audience.Verb, key audience.Key) bool {
	into, from := &b.adds, &b.deletes
	if verb == audience.Delete {
		into, from = from, into
	}
	room := b.held() < b.maxHeld && !b.backlog.exists
	if room || from.Has(key) || b.flight.has(key) {
		from.Remove(key)
		into.Add(key)
		return true
	}
	return into.Has(key)
}

func (b *batch) holds(key audience.Key) bool { return b.adds.Has(key) || b.deletes.Has(key) }

// held is the number of keys in the add and delete sets.
func (b *batch) held() int { return b.adds.Len() + b.deletes.Len() }

// pending is the number of keys that are not settled; an upper bound, because
// a stored key that changes again is counted twice until it is drawn in.
func (b *batch) pending() int { return b.held() + b.flight.len() + b.backlog.stored }

// full reports whether a whole call's worth of one verb is held: waiting for
// more would not make the call any larger.
func (b *batch) full() bool { return max(b.adds.Len(), b.deletes.Len()) >= b.maxChunk }

// wantsDraw reports whether stored keys should be drawn in: early enough that a
// call need not wait for the journal, late enough that memory stays bounded.
func (b *batch) wantsDraw() bool {
	return b.backlog.exists && !b.backlog.drawing && b.held() < b.maxChunk
}

// cut takes the next chunk out of the sets and puts it in flight. A chunk that
// is in flight already is to be repeated first (I4). It returns nil when no key
// is held: a call is never empty (I5).
func (b *batch) cut() *chunk {
	if b.flight != nil {
		return b.flight
	}
	verb := b.nextVerb()
	if verb == 0 {
		return nil
	}
	b.last = verb
	from := &b.adds
	if verb == audience.Delete {
		from = &b.deletes
	}
	b.flight = &chunk{verb: verb, keys: take(from, b.maxChunk)}
	return b.flight
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

// land ends the flight and returns the keys whose fate it settles: all of the
// chunk but those that changed since it was cut; these are held and stay in the
// journal with their newer verb.
func (b *batch) land() *audience.KeySet {
	keys := b.flight.keys
	b.flight = nil
	for key := range keys.All() {
		if b.holds(key) {
			keys.Remove(key)
			continue
		}
		b.backlog.touch(key)
	}
	return keys
}

func (c *chunk) len() int {
	if c == nil {
		return 0
	}
	return c.keys.Len()
}

func (c *chunk) has(key audience.Key) bool { return c != nil && c.keys.Has(key) }
