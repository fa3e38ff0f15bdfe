package actors

import "audiences/audience"

// turns is who gets the next slot of those that calls may take at once. It is
// pure, and a choice costs the same with ten tenants waiting and with a hundred
// thousand.
//
// Two rules keep some slots free for others, however many a tenant's hanging or
// slow calls would fill (I6). A tenant holds no more slots than are free after it:
// one such tenant gets half of them, two a third each, and so on. A fixed share
// would either be all, with a few such tenants, or too little for one that is
// alone. And all tenants that are not proven hold half of the slots together, among
// themselves by the same rule.
//
// While a proven tenant waits, the others also get half of the turns at most: so the
// rate of our address is shared as well. They get half while their calls succeed,
// and less with each that fails, down to an eighth. Who waited longest is next,
// within a class.
type turns struct {
	slots int // there are

	taken    int // of the slots
	unproven int // taken by tenants that are not proven
	tenants  map[audience.TenantID]*turn
	most     int // tenants since the map was made
	lines    [classes]line
	asked    uint64 // turns asked for so far

	provenRow, upperRow int // turns given since one of the others had one
	wary                int // calls of the others that failed in a row; up to mostWary

	heldBackProven, heldBackOthers int // slots that are not given to the proven, and to the others
}

// turn is a tenant that waits for a slot, or holds some, or both.
type turn struct {
	id      audience.TenantID
	class   class
	held    int
	waiting bool
	number  uint64 // the smallest has waited longest
	place   int
}

// line is the waiting tenants of a class, by the number of slots that they hold:
// all of a pile may take one more, or none of them. No more piles are in use than
// there are different numbers.
type line []*pile[turn]

const (
	// mostWary bounds how little the others get: each step halves it. Slots that go
	// to tenants that cannot use them delay the healthy ones; yet somebody new must
	// get through beside a crowd of busy ones.
	mostWary = 2
	// upperTurns is how many turns the others get before one of the failing, when
	// both wait: these are tried now and then however many newcomers there are.
	upperTurns = 7
)

// provenTurns is how many turns the proven get before one of the others, when both
// wait.
func (t *turns) provenTurns() int { return 2<<t.wary - 1 }

// trust takes in how a call of a tenant ended that was not proven.
func (t *turns) trust(delivered bool) {
	if delivered {
		t.wary = 0
	} else {
		t.wary = min(t.wary+1, mostWary)
	}
}

// ask lines a tenant up for one slot.
func (t *turns) ask(id audience.TenantID, c class) {
	w := t.tenants[id]
	if w == nil {
		w = &turn{id: id, class: c}
		if t.tenants == nil {
			t.tenants = make(map[audience.TenantID]*turn)
		}
		t.tenants[id] = w
		t.most = max(t.most, len(t.tenants))
	}
	if w.waiting {
		return
	}
	t.file(id, c)
	t.asked++
	w.waiting, w.number = true, t.asked
	t.pile(w).add(w)
}

// file moves a tenant to another class, with what it holds and its place in time.
func (t *turns) file(id audience.TenantID, c class) {
	w := t.tenants[id]
	if w == nil || w.class == c {
		return
	}
	if w.waiting {
		t.pile(w).remove(w)
	}
	t.count(w, -w.held)
	w.class = c
	t.count(w, w.held)
	if w.waiting {
		t.pile(w).add(w)
	}
}

// count keeps the sums in step with what a tenant holds.
func (t *turns) count(w *turn, slots int) {
	t.taken += slots
	if w.class != classProven {
		t.unproven += slots
	}
}

// next is whose turn it is; ok is false when nobody who waits may have a slot.
func (t *turns) next() (id audience.TenantID, ok bool) {
	w := t.choose()
	if w == nil {
		return id, false
	}
	return w.id, true
}

func (t *turns) choose() *turn {
	proven, other := t.first(classProven), t.firstOther()
	switch {
	case other == nil:
		return proven
	case proven == nil, t.provenRow >= t.provenTurns():
		return other
	}
	return proven
}

func (t *turns) firstOther() *turn {
	upper := t.first(classFaltering)
	if upper == nil {
		upper = t.first(classNew)
	}
	if upper != nil && t.upperRow < upperTurns {
		return upper
	}
	if failing := t.first(classFailing); failing != nil {
		return failing
	}
	return upper
}

// first is who has waited longest of those of a class that may take a slot.
func (t *turns) first(c class) (first *turn) {
	room := t.slots - t.taken
	if c == classProven {
		room = min(room, t.slots-t.heldBackProven-(t.taken-t.unproven))
	} else {
		room = min(room, t.half()-t.unproven, t.slots-t.heldBackOthers-t.unproven)
	}
	piles := t.lines[c]
	for held := 0; held < min(room, len(piles)); held++ {
		if w := piles[held].first(); w != nil && (first == nil || w.number < first.number) {
			first = w
		}
	}
	return first
}

// half is how many slots the tenants that are not proven have at most. Where there
// is a single one it is theirs too, or nobody would ever be proven.
func (t *turns) half() int { return max(1, t.slots/2) }

// take gives the tenant whose turn it is its slot.
func (t *turns) take(id audience.TenantID) {
	w := t.tenants[id]
	t.leave(w)
	w.held++
	t.count(w, 1)
	switch {
	case w.class == classProven:
		t.provenRow++
		return
	case w.class == classFailing:
		t.upperRow = 0
	default:
		t.upperRow++
	}
	t.provenRow = 0
}

// end takes a slot back; a tenant that waits for the next one keeps its place in
// time.
func (t *turns) end(id audience.TenantID) {
	w := t.tenants[id]
	if w == nil || w.held == 0 {
		return
	}
	if w.waiting {
		t.pile(w).remove(w)
	}
	w.held--
	t.count(w, -1)
	if w.waiting {
		t.pile(w).add(w)
	}
	t.forget(w)
}

// cancel takes a tenant out of the line.
func (t *turns) cancel(id audience.TenantID) {
	if w := t.tenants[id]; w != nil {
		t.leave(w)
		t.forget(w)
	}
}

func (t *turns) leave(w *turn) {
	if w.waiting {
		t.pile(w).remove(w)
		w.waiting = false
	}
}

func (t *turns) forget(w *turn) {
	if !w.waiting && w.held == 0 {
		delete(t.tenants, w.id)
		t.tenants = fitted(t.tenants, &t.most)
	}
}

// busy reports whether a tenant waits for a slot or holds one.
func (t *turns) busy(id audience.TenantID) bool { return t.tenants[id] != nil }

// held is how many slots a tenant holds.
func (t *turns) held(id audience.TenantID) int {
	if w := t.tenants[id]; w != nil {
		return w.held
	}
	return 0
}

func (t *turns) pile(w *turn) *pile[turn] {
	line := &t.lines[w.class]
	for len(*line) <= w.held {
		*line = append(*line, &pile[turn]{
			before: func(a, b *turn) bool { return a.number < b.number },
			place:  func(w *turn) *int { return &w.place },
		})
	}
	return (*line)[w.held]
}
