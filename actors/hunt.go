package actors

import (
	"iter"

	"audiences/audience"
	"audiences/journal"
)

// hunt looks for the keys that make Split refuse a chunk: the chunk is halved,
// and so is every part of it that is refused again. One bad key among 10,000
// costs 29 calls and is found; the other 9,999 are delivered on the way.
//
// Where both halves are refused alike it may not be the keys at all. Then one
// single key is tried, and if that is refused too, the segment is at fault and
// the hunt is hopeless: four calls, not thousands.
//
// A part that was refused was not applied. So a key of it that changes again
// simply leaves the hunt, and its newer change goes the usual way (I2).
type hunt struct {
	hidden[hunt]
	verb    audience.Verb
	upTo    journal.Version    // of the chunk that was refused
	untried []*audience.KeySet // parts that no call has carried yet
	refused []*refusedPart     // parts that are to be halved, or parked when they are one key
	calls   int
	cleared bool         // a part was delivered: the segment takes keys
	looking *refusedPart // the single key of this part is being tried
}

// refusedPart remembers how many keys were refused together: a part that has
// lost some since, because they changed, may be sound now and is tried again.
type refusedPart struct {
	*audience.KeySet
	size int
}

const (
	// huntCalls bounds one hunt. What it has not found by then is parked with its
	// neighbours: the operator can have them all tried again.
	huntCalls = 200
	// loneRefusals is how many chunks of one key, where there is nothing to halve,
	// are refused in a row before the segment is held to be at fault.
	loneRefusals = 3
)

// refuse takes in that the keys of the flight were refused; tooLarge: because
// there were too many of them. It returns the keys that are refused for good, if
// any, and whether it is the segment that is refused: then all keys are held
// again, and found are those that were returned before and turn out to be sound.
// Otherwise the next part of the hunt is in flight, if any is left, unless smaller
// chunks are all that is needed.
func (b *batch) refuse(tooLarge bool) (found *audience.KeySet, hopeless bool) {
	c, size := b.flight, b.flight.len()
	b.flight = nil
	b.leaveChanged(c.keys)
	if tooLarge && size > 1 {
		b.shrink(c, size)
		return nil, false
	}
	if b.hunt == nil {
		if size == 1 {
			return b.refuseLone(c)
		}
		b.hunt = &hunt{verb: c.verb, upTo: c.upTo}
	}
	h := b.hunt
	h.calls++
	part := &refusedPart{c.keys, size}
	h.refused = append(h.refused, part)
	switch {
	case size > c.len():
		h.looking = nil // what was refused is not what is left
	case h.looking != nil:
		return nil, b.giveUp()
	case h.cleared || len(h.untried) > 0 || h.calls < 3:
	case c.len() == 1:
		return nil, b.giveUp() // both halves of two keys
	default:
		h.looking = part
		h.untried = append(h.untried, take(c.keys, 1))
	}
	return b.nextPart(), false
}

// shrink takes in that the flight had too many keys: no key is at fault, so the
// next chunks are smaller. A hunt, if one is on, begins anew with these.
func (b *batch) shrink(c *chunk, size int) {
	b.maxChunk = min(b.maxChunk, size/2) // all that is known of Split's limit
	b.takeBack(c.verb, c.keys)
	if b.hunt != nil {
		b.giveUp()
	}
}

// refuseLone is for a chunk of one key, of which nobody can say whether the key
// or the segment is refused. Only when it goes on like that is it the segment, and
// the keys that were found before are not at fault.
func (b *batch) refuseLone(c *chunk) (found *audience.KeySet, hopeless bool) {
	if c.len() == 0 {
		return nil, false // it changed meanwhile
	}
	if len(b.lone) < loneRefusals-1 {
		for key := range c.keys.All() {
			b.lone = append(b.lone, key)
		}
		return c.keys, false
	}
	sound := &audience.KeySet{}
	for _, key := range b.lone {
		sound.Add(key)
	}
	b.lone = nil
	b.takeBack(c.verb, c.keys)
	return sound, true
}

// leaveChanged takes those keys out that changed since they were cut: they are
// held with their newer verb, and the older one was not applied.
func (b *batch) leaveChanged(keys *audience.KeySet) {
	for key := range keys.All() {
		if b.holds(key) {
			keys.Remove(key)
		}
	}
}

// clear takes in that a part was delivered, and goes on with the next.
func (b *batch) clear() (found *audience.KeySet) {
	b.lone = nil
	if b.hunt == nil {
		return nil
	}
	if b.hunt.looking != nil {
		b.hunt.looking.size-- // what is wrong with it is in the rest
	}
	b.hunt.cleared, b.hunt.looking = true, nil
	return b.nextPart()
}

// nextPart puts the next part of the hunt in flight and returns the keys that
// are found. When no part is left, the hunt is over.
func (b *batch) nextPart() *audience.KeySet {
	h, found := b.hunt, &audience.KeySet{}
	for b.flight == nil && b.hunt != nil {
		if part := pop(&h.untried); part != nil {
			if part.Len() > 0 {
				b.flight = &chunk{verb: h.verb, keys: part, upTo: h.upTo}
			}
			continue
		}
		part := pop(&h.refused)
		switch {
		case part == nil:
			b.hunt = nil
		case part.Len() < part.size:
			h.untried = append(h.untried, part.KeySet)
		case part.Len() <= 1 || h.calls >= huntCalls:
			for key := range part.All() {
				found.Add(key)
			}
		default:
			half := take(part.KeySet, (part.Len()+1)/2)
			h.untried = append(h.untried, part.KeySet, half)
		}
	}
	return found
}

// giveUp ends a hunt that is hopeless; all its keys are held again.
func (b *batch) giveUp() (hopeless bool) {
	h := b.hunt
	b.hunt = nil
	for part := range h.parts() {
		b.takeBack(h.verb, part)
	}
	return true
}

// ground ends the flight without an outcome that concerns its keys, and any hunt
// with it: they are held again, but for those that changed meanwhile.
func (b *batch) ground() {
	if c := b.flight; c != nil {
		b.flight = nil
		b.takeBack(c.verb, c.keys)
	}
	if b.hunt != nil {
		b.giveUp()
	}
}

// shelve is ground for a segment that is parked: what was tried in vain goes behind
// the keys that are in the journal alone, if there are any, so that all of them
// get their turn.
func (b *batch) shelve() {
	if c := b.flight; c != nil && b.hunt == nil && b.backlog.exists {
		b.flight = nil
		b.leaveChanged(c.keys)
		for key := range c.keys.All() {
			b.backlog.leave(c.verb, key)
		}
	}
	b.ground()
}

func (b *batch) takeBack(verb audience.Verb, keys *audience.KeySet) {
	into := b.set(verb)
	for key := range keys.All() {
		if !b.holds(key) {
			into.Add(key)
		}
	}
}

// drop takes a key out of the hunt, because it changed again.
func (h *hunt) drop(key audience.Key) bool {
	for part := range h.parts() {
		if part.Remove(key) {
			return true
		}
	}
	return false
}

func (h *hunt) has(key audience.Key) bool {
	for part := range h.parts() {
		if part.Has(key) {
			return true
		}
	}
	return false
}

func (h *hunt) len() (n int) {
	for part := range h.parts() {
		n += part.Len()
	}
	return n
}

// parts yields all parts but the one in flight.
func (h *hunt) parts() iter.Seq[*audience.KeySet] {
	return func(yield func(*audience.KeySet) bool) {
		if h == nil {
			return
		}
		for _, part := range h.untried {
			if !yield(part) {
				return
			}
		}
		for _, part := range h.refused {
			if !yield(part.KeySet) {
				return
			}
		}
	}
}

func pop[T any](stack *[]*T) *T {
	last := len(*stack) - 1
	if last < 0 {
		return nil
	}
	top := (*stack)[last]
	*stack = (*stack)[:last]
	return top
}
