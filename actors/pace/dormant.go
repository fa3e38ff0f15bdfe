package pace

import (
	"iter"
	"time"

	"audiences/audience"
)

// Dormant is an unproven tenant that has something to deliver and no actor. The
// caller keeps in What all that is needed to make its actor again.
type Dormant[T any] struct {
	audience.Hidden[Dormant[T]]
	ID     audience.TenantID
	Due    time.Time // when it wants to call; zero: it will not by itself
	Record Record
	What   T

	place int
	in    *queue[Dormant[T]] // nil: none, it has no due time
}

// DormantQueue is the dormant tenants, in the order in which they get their turns.
// The new go before the failing, and who was due first before who was due later. An
// operation costs about the same whatever their number. A tenant does not change
// while it is in the queue.
type DormantQueue[T any] struct {
	tenants Table[audience.TenantID, *Dormant[T]]
	later   queue[Dormant[T]]
	due     [classes]queue[Dormant[T]]
	row     int // turns since the failing had one
}

// NewDormantQueue makes an empty queue.
func NewDormantQueue[T any]() *DormantQueue[T] {
	sorted := queue[Dormant[T]]{
		before: func(a, b *Dormant[T]) bool { return a.Due.Before(b.Due) },
		place:  func(d *Dormant[T]) *int { return &d.place },
	}
	q := &DormantQueue[T]{later: sorted}
	for c := range q.due {
		q.due[c] = sorted
	}
	return q
}

// Len is the number of dormant tenants.
func (q *DormantQueue[T]) Len() int { return q.tenants.Len() }

// Has reports whether a tenant is in the queue.
func (q *DormantQueue[T]) Has(id audience.TenantID) bool { return q.tenants.Get(id) != nil }

// All iterates over the dormant tenants in no order.
func (q *DormantQueue[T]) All() iter.Seq2[audience.TenantID, *Dormant[T]] { return q.tenants.All() }

// Add takes a tenant in, which must not be in the queue.
func (q *DormantQueue[T]) Add(d *Dormant[T]) {
	q.tenants.Put(d.ID, d)
	if !d.Due.IsZero() {
		d.enter(&q.later)
	}
}

// Remove takes a tenant out; nil: it is not in the queue.
func (q *DormantQueue[T]) Remove(id audience.TenantID) *Dormant[T] {
	d := q.tenants.Get(id)
	if d == nil {
		return nil
	}
	d.leave()
	q.tenants.Delete(id)
	return d
}

// Next takes the tenant out whose turn it is; nil: none is due. As among the turns,
// the failing are not forgotten for newcomers.
func (q *DormantQueue[T]) Next(now time.Time) *Dormant[T] {
	for d := q.later.first(); d != nil && !d.Due.After(now); d = q.later.first() {
		d.leave()
		d.enter(&q.due[d.Record.Class()])
	}
	failing := q.due[Failing].first()
	for c := range Failing {
		if d := q.due[c].first(); d != nil && (failing == nil || q.row < upperTurns) {
			q.row++
			return q.Remove(d.ID)
		}
	}
	if failing == nil {
		return nil
	}
	q.row = 0
	return q.Remove(failing.ID)
}

// NextDue is when the next tenant becomes due that was not due at the last call of
// Next; zero: none will.
func (q *DormantQueue[T]) NextDue() time.Time {
	if d := q.later.first(); d != nil {
		return d.Due
	}
	return time.Time{}
}

func (d *Dormant[T]) enter(q *queue[Dormant[T]]) {
	d.in = q
	q.add(d)
}

func (d *Dormant[T]) leave() {
	if d.in != nil {
		d.in.remove(d)
		d.in = nil
	}
}
