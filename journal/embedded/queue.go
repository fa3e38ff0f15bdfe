package embedded

import (
	"sync"
	"time"
)

// queue is a first-in first-out queue without bound: putting never waits, since
// those who put are actors.
type queue[T any] struct {
	mu      sync.Mutex
	changed sync.Cond
	emptied sync.Cond
	items   []T
	want    int // items that gather waits for; fewer wake nobody
	closed  bool
	length  func(int) // told the length at each change; for a gauge
}

func newQueue[T any](length func(int)) *queue[T] {
	q := &queue[T]{length: length}
	q.changed.L, q.emptied.L = &q.mu, &q.mu
	return q
}

// put reports false when the queue is closed.
func (q *queue[T]) put(item T) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.items = append(q.items, item)
	q.length(len(q.items))
	if len(q.items) >= q.want {
		q.changed.Signal()
	}
	return true
}

// gather waits until there are so many items, the queue is closed, or this long has passed.
func (q *queue[T]) gather(want int, within time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if within <= 0 || len(q.items) >= want || q.closed {
		return
	}
	q.want = want
	timeout := time.AfterFunc(within, q.enough)
	for len(q.items) < q.want && !q.closed {
		q.changed.Wait()
	}
	timeout.Stop()
	q.want = 0
}

// enough ends a gather.
func (q *queue[T]) enough() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.want = 0
	q.changed.Signal()
}

// all takes everything that waits. It waits for a first item only if told to;
// open is false when the queue is closed and there is nothing left.
func (q *queue[T]) all(wait bool) (items []T, open bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for wait && len(q.items) == 0 && !q.closed {
		q.changed.Wait()
	}
	items, q.items = q.items, nil
	q.length(0)
	return items, !q.closed || len(items) > 0
}

// next waits for one item; ok is false when the queue is closed and empty.
func (q *queue[T]) next() (item T, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.items) == 0 && !q.closed {
		q.changed.Wait()
	}
	if len(q.items) == 0 {
		return item, false
	}
	item, q.items = q.items[0], q.items[1:]
	q.length(len(q.items))
	if len(q.items) == 0 {
		q.emptied.Broadcast()
	}
	return item, true
}

func (q *queue[T]) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.items)
}

// idle waits until there is nothing in the queue; open is false when it is closed.
func (q *queue[T]) idle() (open bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.items) > 0 && !q.closed {
		q.emptied.Wait()
	}
	return !q.closed
}

// close lets what is in the queue be taken and nothing more be put.
func (q *queue[T]) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.changed.Broadcast()
	q.emptied.Broadcast()
}

// pace says how long the committer lets a group gather. An fsync costs as much
// processor time for one change as for a hundred. Made back to back, each has only
// what came in during the one before, which at some thousand changes a second is one
// or two, and then the fsync is most of what a change costs.
//
// So the committer waits until those are back who were just answered, and those who
// waited behind them, and no longer than patience. Callers who post again as soon as
// they have an answer share one fsync so; others come at their own pace, and find
// what has come by then in one group. A caller who is alone is never waited for.
type pace struct {
	free  bool      // an fsync costs nothing: the journal is in memory
	want  int       // how many operations are likely to come
	until time.Time // how long they are waited for
}

// Patience. A change waits for the fsync under way, for longPatience at most, and for
// its own fsync. The runtime's timers are no finer than a millisecond while the process
// has nothing to do: then longPatience is 1.1 ms, unless those who are waited for come.
const (
	longPatience  = 500 * time.Microsecond // about as long as an fsync takes
	shortPatience = 100 * time.Microsecond
	many          = 16 // operations that make the fsync a small part of what each of them costs
)

// patience is how long to wait, from the answers to a group on, where there are so many
// callers: not at all for one; long where few share an fsync, because a larger group
// saves most there; short where many do, because they are waiting.
func patience(callers int) time.Duration {
	switch {
	case callers < 2:
		return 0
	case callers < many:
		return longPatience
	}
	return shortPatience
}

// answered takes in that so many callers were answered now, after an fsync, while
// others waited already.
func (p *pace) answered(callers, waiting int, now time.Time) {
	if !p.free {
		p.want, p.until = callers+waiting, now.Add(patience(callers+waiting))
	}
}
