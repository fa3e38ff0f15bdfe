package batch

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
// single key is tried, and if that is refused too, the segment is at fault: four
// calls, not thousands.
//
// A part that was refused was not applied. So a key of it that changes again
// simply leaves the hunt, and its newer change goes the usual way (I2).
type hunt struct {
	audience.Hidden[hunt]
	verb     audience.Verb
	notAfter journal.Version    // of the chunk that was refused
	oldest   journal.Version    // the same
	untried  []*audience.KeySet // parts that no call has carried yet
	refused  []*refusedPart     // parts that are to be halved, or parked when they are one key
	calls    int
	cleared  bool         // a part was delivered: the segment takes keys
	probing  *refusedPart // a single key of this part is being tried
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
	// singleRefusals is how many chunks of one key, where there is nothing to halve,
	// are refused in a row before the segment is held to be at fault.
	singleRefusals = 3
)

// Refusal says what follows from a call that Split refused because of its keys. The
// sets are nil or empty where there is nothing to do.
type Refusal struct {
	audience.Hidden[Refusal]
	Park           *audience.KeySet // keys that are refused for good
	Release        *audience.KeySet // keys that were to be parked before and turn out to be sound
	SegmentRefused bool             // it is not the keys but the segment: all of them are held again
}

// Refused ends the flight, whose keys Split refused for that reason; tooLarge: because
// there were too many of them. The next part of the hunt is in flight then, if there is one. What is
// to be parked has the verb of the flight.
func (b *Batch) Refused(why journal.Refusal, tooLarge bool) Refusal {
	b.refusal = why
	c, size := b.flight, b.flight.len()
	b.flight = nil
	b.leaveChanged(c.Keys)
	switch {
	case tooLarge && size > 1:
		b.shrink(c, size)
		return Refusal{}
	case b.hunt == nil && size == 1:
		return b.refusedSingle(c)
	case b.hunt == nil:
		b.hunt = &hunt{verb: c.Verb, notAfter: c.NotAfter, oldest: c.Oldest}
	}
	if b.hunt.refuse(&refusedPart{c.Keys, size}) {
		b.giveUp()
		return Refusal{SegmentRefused: true}
	}
	return Refusal{Park: b.nextPart()}
}

// refuse records that a part was refused, and reports whether that shows the segment
// to be at fault.
func (h *hunt) refuse(part *refusedPart) (segmentRefused bool) {
	h.calls++
	h.refused = append(h.refused, part)
	switch {
	case part.size > part.Len():
		h.probing = nil // what was refused is not what is left
	case h.probing != nil:
		return true
	case h.cleared || len(h.untried) > 0 || h.calls < 3:
	case part.Len() == 1:
		return true // both halves of two keys
	default:
		h.probing = part
		h.untried = append(h.untried, take(part.KeySet, 1))
	}
	return false
}

// shrink is for a flight that had too many keys: no key is at fault, so the
// next chunks are smaller. A hunt, if one is on, begins anew with these.
func (b *Batch) shrink(c *Chunk, size int) {
	b.maxChunk = min(b.maxChunk, size/2) // all that is known of Split's limit
	b.takeBack(c.Verb, c.Keys, c.Oldest)
	b.giveUp()
}

// refusedSingle is for a chunk of one key, of which nobody can say whether the key
// or the segment is refused. Only when it goes on like that is it the segment, and
// the keys that were found before are not at fault.
func (b *Batch) refusedSingle(c *Chunk) Refusal {
	if c.len() == 0 {
		return Refusal{} // it changed meanwhile
	}
	if len(b.singles) < singleRefusals-1 {
		for key := range c.Keys.All() {
			b.singles = append(b.singles, key)
		}
		return Refusal{Park: b.settle(c.Keys)}
	}
	sound := audience.NewKeySet(len(b.singles))
	for _, key := range b.singles {
		sound.Add(key)
	}
	b.singles = nil
	b.takeBack(c.Verb, c.Keys, c.Oldest)
	return Refusal{Release: sound, SegmentRefused: true}
}

// leaveChanged takes those keys out that changed since they were cut: they are
// held with their newer verb, and the older one was not applied.
func (b *Batch) leaveChanged(keys *audience.KeySet) {
	for key := range keys.All() {
		if b.holds(key) {
			keys.Remove(key)
		}
	}
}

// clear goes on with the hunt after a part was delivered, and returns the keys that
// are to be parked.
func (b *Batch) clear() (park *audience.KeySet) {
	b.singles = nil
	if b.hunt == nil {
		return nil
	}
	if b.hunt.probing != nil {
		b.hunt.probing.size-- // what is wrong with it is in the rest
	}
	b.hunt.cleared, b.hunt.probing = true, nil
	return b.nextPart()
}

// nextPart puts the next part of the hunt in flight and returns the keys that
// are to be parked. When no part is left, the hunt is over.
func (b *Batch) nextPart() *audience.KeySet {
	h, found := b.hunt, &audience.KeySet{}
	for b.flight == nil && b.hunt != nil {
		if part := pop(&h.untried); part != nil {
			if part.Len() > 0 {
				b.flight = &Chunk{Verb: h.verb, Keys: part, NotAfter: h.notAfter, Oldest: h.oldest}
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
	return b.settle(found)
}

// giveUp ends the hunt, if one is on; all its keys are held again.
func (b *Batch) giveUp() {
	h := b.hunt
	b.hunt = nil
	for part := range h.parts() {
		b.takeBack(h.verb, part, h.oldest)
	}
}

// Ground ends the flight without an outcome that concerns its keys, and any hunt
// with it: they are held again, but for those that changed meanwhile.
func (b *Batch) Ground() {
	if c := b.flight; c != nil {
		b.flight = nil
		b.takeBack(c.Verb, c.Keys, c.Oldest)
	}
	b.giveUp()
}

// Shelve is Ground for a segment that is parked: what was tried in vain goes behind
// the keys that are in the journal alone, if there are any, so that all of them
// get their turn.
func (b *Batch) Shelve() {
	if c := b.flight; c != nil && b.hunt == nil && b.backlog.exists {
		b.flight = nil
		b.leaveChanged(c.Keys)
		for key := range c.Keys.All() {
			b.backlog.leave(c.Verb, key)
		}
	}
	b.Ground()
}

// takeBack holds keys again, none of which is older than that.
func (b *Batch) takeBack(verb audience.Verb, keys *audience.KeySet, oldest journal.Version) {
	into := b.set(verb)
	b.came(verb, oldest)
	for key := range keys.All() {
		if !b.holds(key) {
			into.Add(key)
		}
	}
}

// LastRefusal is why keys were refused last; those that are to be parked by now are
// parked for that.
func (b *Batch) LastRefusal() journal.Refusal { return b.refusal }

// Hunting reports whether keys are being looked for that make Split refuse a call.
func (b *Batch) Hunting() bool { return b.hunt != nil }

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
