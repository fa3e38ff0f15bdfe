// Package mover carries what one journal holds to another one: pending and parked keys,
// states, tenants with their tokens, which of them are proven, and events. It knows no
// engine; both journals are in nobody else's use meanwhile. Receipts stay where they are,
// and versions are the target's own.
//
//	mover.go   the order of things, on which it depends that nothing is delivered twice
//	copy.go    makes the target equal to the source, segment by segment
//	verify.go  compares the two, and counts
//	ask.go     the journal's door, for somebody who waits
//
// # What a kill may leave
//
// The target is marked before anything is written to it, and the source when everything
// has been found at the target. No relay starts on a journal with a mark. So at any moment
// a relay may be started on one of the two at most:
//
//	source       target      what was done
//	-            -           nothing
//	-            arriving    part is at the target; the source is as it was
//	moved        arriving    all is at the target
//	moved        -           the end
//
// From each of these the same move goes on. It compares before it copies, so what is there
// is not copied again, and a source that was used meanwhile is no reason to begin anew.
package mover

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync/atomic"

	"audiences/audience"
	"audiences/journal"
)

// Journal is a journal that is in nobody else's use.
type Journal interface {
	journal.Intake
	journal.Keeper

	// Admit is asked before each change of these keys.
	Admit(audience.Keys) error
	// Flush returns when all that was handed in before is durable.
	Flush() error
	// ID tells the journal from all others.
	ID() string
	// Mark is what SetMark kept; nil: nothing.
	Mark() *journal.Mark
	// SetMark keeps a mark, durably, or takes it away. It fails where somebody else may have
	// used the journal since it was opened.
	SetMark(context.Context, *journal.Mark) error
	// Held is nil while nobody else can use the journal.
	Held() error
}

// Side is a journal, and where it is, for people.
type Side struct {
	Journal
	Place string

	page int // keys in hand at once, for each of the workers
}

var (
	// ErrDone is why there is nothing to do.
	ErrDone = errors.New("it was moved there already")
	// ErrDiffers is why a move does not end: the target is not as the source is.
	ErrDiffers = errors.New("the two journals differ")
)

// pageKeys is how many keys are read at once, and written with one change.
const pageKeys = 10_000

// Move is one move.
type Move struct {
	from, to Side
	salt     []byte // of digests, which are printed: nobody is to try keys out on them

	stage atomic.Pointer[string]
	keys  atomic.Int64
}

// New makes a move, which Run carries out.
func New(from, to Side) *Move {
	from.page, to.page = pageKeys, pageKeys
	m := &Move{from: from, to: to, salt: make([]byte, 32)}
	_, _ = rand.Read(m.salt) // never fails, by its contract
	m.begin("Reading")
	return m
}

// Progress is what is being done, and with how many keys that was done so far.
func (m *Move) Progress() (stage string, keys int64) { return *m.stage.Load(), m.keys.Load() }

func (m *Move) begin(stage string) {
	m.keys.Store(0)
	m.stage.Store(&stage)
}

// Run moves what is to be moved. After an error the source is as it was, unless all of it
// was found at the target before.
func (m *Move) Run(ctx context.Context) (Report, error) {
	ended, err := m.check()
	if err != nil {
		return Report{}, err
	}
	if !ended {
		if err := m.to.SetMark(ctx, &journal.Mark{Other: m.from.ID(), Place: m.from.Place}); err != nil {
			return Report{}, fmt.Errorf("mark the target: %w", err)
		}
	}
	if err := m.copy(ctx); err != nil { // of one that has ended what the target forgets by itself: tenants without anything
		return Report{}, err
	}
	report, err := m.verify(ctx)
	if err != nil {
		return report, err
	}
	if !ended {
		if err := m.from.SetMark(ctx, &journal.Mark{Moved: true, Other: m.to.ID(), Place: m.to.Place}); err != nil {
			return report, fmt.Errorf("mark the source: %w", err)
		}
	}
	if err := m.to.SetMark(ctx, nil); err != nil {
		return report, fmt.Errorf("take the mark off the target: %w", err)
	}
	return report, nil
}

// check looks at the marks. ended is true where all is at the target and its mark is left.
func (m *Move) check() (ended bool, err error) {
	from, to := m.from.Mark(), m.to.Mark()
	arriving := to != nil && !to.Moved && to.Other == m.from.ID()
	back := to != nil && to.Moved && to.Other == m.from.ID() // it has what was moved to the source, and was not used since
	switch {
	case m.from.ID() == m.to.ID():
		return false, errors.New("source and target are the same journal")
	case from != nil && from.Moved && from.Other == m.to.ID() && arriving:
		return true, nil
	case from != nil && from.Moved && from.Other == m.to.ID() && to == nil:
		return false, ErrDone
	case from != nil:
		return false, fmt.Errorf("the source cannot be moved: %w", from.Refusal())
	case to != nil && !arriving && !back:
		return false, fmt.Errorf("the target cannot take it: %w", to.Refusal())
	case to == nil:
		return false, m.empty()
	}
	return false, nil
}

// empty is nil where a target that was no part of a move holds nothing.
func (m *Move) empty() error {
	for listed, err := range m.to.Segments(audience.AllSlots()) {
		switch {
		case err != nil:
			return fmt.Errorf("look at the target: %w", err)
		case holds(listed):
			return errors.New("the target is not empty: it has keys or states of segments of its own; take another one, or have a relay deliver them first")
		}
	}
	for known, err := range m.to.Tenants(audience.AllSlots()) {
		switch {
		case err != nil:
			return fmt.Errorf("look at the target: %w", err)
		case known.State != journal.TenantState{}:
			return errors.New("the target is not empty: it has tenants that are paused; take another one, or resume them first")
		}
	}
	return nil
}

// holds reports whether there is anything to carry of a segment.
func holds(l journal.Listed) bool {
	return l.Pending || l.Parked || l.State != journal.SegmentState{}
}
