package pace

import "container/heap"

// queue is a heap whose items know their place in it, so that one can be taken out
// of the middle. Every operation takes time that grows with the logarithm of its
// size. Its zero value, with before and place set, is empty.
type queue[T any] struct {
	items  []*T
	before func(a, b *T) bool
	place  func(*T) *int
}

func (q *queue[T]) add(item *T) { heap.Push((*itemHeap[T])(q), item) }

// first is the item before which there is none; nil: the queue is empty.
func (q *queue[T]) first() *T {
	if len(q.items) == 0 {
		return nil
	}
	return q.items[0]
}

// remove takes an item out, which has to be in the queue. An empty queue keeps no
// room.
func (q *queue[T]) remove(item *T) {
	heap.Remove((*itemHeap[T])(q), *q.place(item))
	if len(q.items) == 0 {
		q.items = nil
	}
}

// itemHeap keeps the methods that container/heap wants out of sight.
type itemHeap[T any] queue[T]

func (h *itemHeap[T]) Len() int           { return len(h.items) }
func (h *itemHeap[T]) Less(i, j int) bool { return h.before(h.items[i], h.items[j]) }
func (h *itemHeap[T]) Swap(i, j int) {
	h.items[i], h.items[j] = h.items[j], h.items[i]
	*h.place(h.items[i]), *h.place(h.items[j]) = i, j
}
func (h *itemHeap[T]) Push(x any) {
	item := x.(*T)
	*h.place(item) = len(h.items)
	h.items = append(h.items, item)
}
func (h *itemHeap[T]) Pop() any {
	last := len(h.items) - 1
	item := h.items[last]
	h.items[last] = nil
	h.items = h.items[:last]
	return item
}
