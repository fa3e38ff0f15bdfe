package pace

import (
	"audiences/audience"
	"audiences/splitclient"
)

// Turns is who gets the next slot of those that calls may take at once. A choice
// costs the same with ten tenants waiting and with a hundred thousand.
//
// Two rules keep some slots free for others, however many a tenant's hanging or
// slow calls would fill (I6). A tenant may take a slot only while it holds fewer
// slots than are free: one such tenant gets half of them, two a third each, and so
// on. A fixed share would either be all, with a few such tenants, or too little for
// one that is alone. And all tenants that are not proven hold half of the slots
// together, among themselves by the same rule.
//
// While a proven tenant waits, the others also get half of the turns at most: so the
// rate of our address is shared as well. They get half while their calls succeed,
// and less with each that fails, down to an eighth. Who waited longest is next,
// within a class.
type Turns struct {
	slots int // there are

	taken    int // of the slots
	unproven int // taken by tenants that are not proven
	tenants  Table[audience.TenantID, *turn]
	lines    [classes]line
	asked    uint64 // turns asked for so far

	provenRow, upperRow int // turns given since one of the others had one
	wary                int // calls of the others that failed in a row; up to mostWary

	drain *drain // nil: there is none
}

// turn is a tenant that waits for a slot, or holds some, or both.
type turn struct {
	id      audience.TenantID
	class   Class
	held    int
	waiting bool
	number  uint64 // the smallest has waited longest
	place   int
}

// line is the waiting tenants of a class, by the number of slots that they hold:
// all in one queue may take one more, or none of them. No more queues are in use
// than there are different numbers.
type line []*queue[turn]

const (
	// mostWary bounds how little the others get: each step halves it. Slots that go
	// to tenants that cannot use them delay the healthy ones; yet somebody new must
	// get through beside a crowd of busy ones.
	mostWary = 2
	// upperTurns is how many turns the others get before one of the failing, when
	// both wait: these are tried now and then however many newcomers there are.
	upperTurns = 7
)

// NewTurns makes turns for so many slots.
func NewTurns(slots int) *Turns { return &Turns{slots: slots} }

// Resize changes how many slots there are. Those beyond it that are taken come back by End.
func (t *Turns) Resize(slots int) { t.slots = slots }

// provenTurns is how many turns the proven get before one of the others, when both
// wait.
func (t *Turns) provenTurns() int { return 2<<t.wary - 1 }

// Note records how a call of a tenant ended; c is the class that it had before.
// How many turns the others get follows from it, and during a drain how many slots.
func (t *Turns) Note(c Class, o splitclient.Outcome) {
	if t.drain != nil {
		t.drain.note(c, o)
	}
	if c != Proven && o.Kind != 0 {
		t.trust(o.Kind == splitclient.Delivered)
	}
}

// trust records how a call of a tenant ended that was not proven.
func (t *Turns) trust(delivered bool) {
	if delivered {
		t.wary = 0
	} else {
		t.wary = min(t.wary+1, mostWary)
	}
}

// Drain begins a drain: from now on fewer slots are given, the more calls in a row
// get no answer.
func (t *Turns) Drain() { t.drain = &drain{} }

// Hopeless reports whether a tenant of this class holds no slot and will not get
// one any more, because nothing but failures was heard during a drain.
func (t *Turns) Hopeless(id audience.TenantID, c Class) bool {
	return t.drain.usable(c, t.slots) == 0 && t.Held(id) == 0
}

// Ask lines a tenant up for one slot.
func (t *Turns) Ask(id audience.TenantID, c Class) {
	w := t.tenants.Get(id)
	if w == nil {
		w = &turn{id: id, class: c}
		t.tenants.Put(id, w)
	}
	if w.waiting {
		return
	}
	t.SetClass(id, c)
	t.asked++
	w.waiting, w.number = true, t.asked
	t.queue(w).add(w)
}

// SetClass moves a tenant to another class, with what it holds and its place in time.
func (t *Turns) SetClass(id audience.TenantID, c Class) {
	w := t.tenants.Get(id)
	if w == nil || w.class == c {
		return
	}
	if w.waiting {
		t.queue(w).remove(w)
	}
	t.count(w, -w.held)
	w.class = c
	t.count(w, w.held)
	if w.waiting {
		t.queue(w).add(w)
	}
}

// count keeps the sums in step with what a tenant holds.
func (t *Turns) count(w *turn, slots int) {
	t.taken += slots
	if w.class != Proven {
		t.unproven += slots
	}
}

// Next is whose turn it is; ok is false when nobody who waits may have a slot.
func (t *Turns) Next() (id audience.TenantID, ok bool) {
	w := t.choose()
	if w == nil {
		return id, false
	}
	return w.id, true
}

func (t *Turns) choose() *turn {
	proven, other := t.first(Proven), t.firstOther()
	if other != nil && (proven == nil || t.provenRow >= t.provenTurns()) {
		return other
	}
	return proven
}

func (t *Turns) firstOther() *turn {
	upper := t.first(Faltering)
	if upper == nil {
		upper = t.first(New)
	}
	if upper != nil && t.upperRow < upperTurns {
		return upper
	}
	if failing := t.first(Failing); failing != nil {
		return failing
	}
	return upper
}

// first is who has waited longest of those of a class that may take a slot.
func (t *Turns) first(c Class) (first *turn) {
	free, usable := t.slots-t.taken, t.drain.usable(c, t.slots)
	room := min(free, usable-(t.taken-t.unproven))
	if c != Proven {
		room = min(free, usable-t.unproven, t.MostUnproven()-t.unproven)
	}
	queues := t.lines[c]
	for held := 0; held < min(room, len(queues)); held++ {
		if w := queues[held].first(); w != nil && (first == nil || w.number < first.number) {
			first = w
		}
	}
	return first
}

// MostUnproven is how many slots the tenants that are not proven have at most,
// together. Where there is a single slot it is theirs too, or nobody would ever be
// proven.
func (t *Turns) MostUnproven() int { return max(1, t.slots/2) }

// Take gives the tenant whose turn it is its slot.
func (t *Turns) Take(id audience.TenantID) {
	w := t.tenants.Get(id)
	t.leave(w)
	w.held++
	t.count(w, 1)
	switch {
	case w.class == Proven:
		t.provenRow++
		return
	case w.class == Failing:
		t.upperRow = 0
	default:
		t.upperRow++
	}
	t.provenRow = 0
}

// End takes a slot back; a tenant that waits for the next one keeps its place in
// time.
func (t *Turns) End(id audience.TenantID) {
	w := t.tenants.Get(id)
	if w == nil || w.held == 0 {
		return
	}
	if w.waiting {
		t.queue(w).remove(w)
	}
	w.held--
	t.count(w, -1)
	if w.waiting {
		t.queue(w).add(w)
	}
	t.forget(w)
}

// Cancel takes a tenant out of the line.
func (t *Turns) Cancel(id audience.TenantID) {
	if w := t.tenants.Get(id); w != nil {
		t.leave(w)
		t.forget(w)
	}
}

func (t *Turns) leave(w *turn) {
	if w.waiting {
		t.queue(w).remove(w)
		w.waiting = false
	}
}

func (t *Turns) forget(w *turn) {
	if !w.waiting && w.held == 0 {
		t.tenants.Delete(w.id)
	}
}

// Busy reports whether a tenant waits for a slot or holds one.
func (t *Turns) Busy(id audience.TenantID) bool { return t.tenants.Get(id) != nil }

// Waiting is the number of tenants that wait for a slot.
func (t *Turns) Waiting() (n int) {
	for _, line := range t.lines {
		for _, q := range line {
			n += len(q.items)
		}
	}
	return n
}

// Held is how many slots a tenant holds.
func (t *Turns) Held(id audience.TenantID) int {
	if w := t.tenants.Get(id); w != nil {
		return w.held
	}
	return 0
}

func (t *Turns) queue(w *turn) *queue[turn] {
	line := &t.lines[w.class]
	for len(*line) <= w.held {
		*line = append(*line, &queue[turn]{
			before: func(a, b *turn) bool { return a.number < b.number },
			place:  func(w *turn) *int { return &w.place },
		})
	}
	return (*line)[w.held]
}
