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
	listed map[audience.Segment]bool
}

type waiter struct {
	segment audience.Segment
	since   time.Time
}

// Push puts a segment on the list, unless it is there already; since is when its
// oldest key was due.
func (w *Waitlist) Push(segment audience.Segment, since time.Time) {
	if w.listed[segment] {
		return
	}
	if w.listed == nil {
		w.listed = make(map[audience.Segment]bool)
	}
	w.listed[segment] = true
	heap.Push(&w.order, waiter{segment, since})
}

// Pop takes the segment that has waited longest off the list; the list must not
// be empty.
func (w *Waitlist) Pop() audience.Segment {
	first := heap.Pop(&w.order).(waiter)
	delete(w.listed, first.segment)
	if len(w.order) == 0 {
		*w = Waitlist{}
	}
	return first.segment
}

// Len is the number of segments that wait.
func (w *Waitlist) Len() int { return len(w.order) }

type waitOrder []waiter

func (o waitOrder) Len() int           { return len(o) }
func (o waitOrder) Less(i, j int) bool { return o[i].since.Before(o[j].since) }
func (o waitOrder) Swap(i, j int)      { o[i], o[j] = o[j], o[i] }
func (o *waitOrder) Push(x any)        { *o = append(*o, x.(waiter)) }
func (o *waitOrder) Pop() any {
	last := len(*o) - 1
	x := (*o)[last]
	(*o)[last] = waiter{}
	*o = (*o)[:last]
	return x
}
