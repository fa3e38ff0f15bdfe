package pace

import (
	"container/heap"
	"time"

	"audiences/audience"
)

// Waitlist holds the segments of a tenant that wait for a permit, each once, the
// one with the oldest unsent key first. The zero value is empty; an empty list keeps
// no room.
type Waitlist struct {
	order  waitOrder
	listed map[audience.Segment]*waiter
}

type waiter struct {
	segment audience.Segment
	since   time.Time
	at      int // its place in the order
}

// Push puts a segment on the list, unless it is there already; since is when its
// oldest key was due.
func (w *Waitlist) Push(segment audience.Segment, since time.Time) {
	if w.listed[segment] != nil {
		return
	}
	if w.listed == nil {
		w.listed = make(map[audience.Segment]*waiter)
	}
	listed := &waiter{segment: segment, since: since}
	w.listed[segment] = listed
	heap.Push(&w.order, listed)
}

// Remove takes a segment off the list, if it is there.
func (w *Waitlist) Remove(segment audience.Segment) {
	if listed := w.listed[segment]; listed != nil {
		heap.Remove(&w.order, listed.at)
		w.gone(segment)
	}
}

// Pop takes the segment that has waited longest off the list; the list must not
// be empty.
func (w *Waitlist) Pop() audience.Segment {
	first := heap.Pop(&w.order).(*waiter)
	w.gone(first.segment)
	return first.segment
}

func (w *Waitlist) gone(segment audience.Segment) {
	delete(w.listed, segment)
	if len(w.order) == 0 {
		*w = Waitlist{}
	}
}

// Len is the number of segments that wait.
func (w *Waitlist) Len() int { return len(w.order) }

type waitOrder []*waiter

func (o waitOrder) Len() int           { return len(o) }
func (o waitOrder) Less(i, j int) bool { return o[i].since.Before(o[j].since) }
func (o waitOrder) Swap(i, j int) {
	o[i], o[j] = o[j], o[i]
	o[i].at, o[j].at = i, j
}

func (o *waitOrder) Push(x any) {
	last := x.(*waiter)
	last.at = len(*o)
	*o = append(*o, last)
}

func (o *waitOrder) Pop() any {
	last := len(*o) - 1
	x := (*o)[last]
	(*o)[last] = nil
	*o = (*o)[:last]
	return x
}
