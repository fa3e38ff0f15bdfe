package actors

import "container/heap"

// pile is a heap whose items know their place in it, so that one can be taken out
// of the middle. Every operation takes time that grows with the logarithm of its
// size. Its zero value, with before and place set, is empty.
type pile[T any] struct {
	items  []*T
	before func(a, b *T) bool
	place  func(*T) *int
}

func (p *pile[T]) add(item *T) { heap.Push((*pileHeap[T])(p), item) }

// first is the item before which there is none; nil: the pile is empty.
func (p *pile[T]) first() *T {
	if len(p.items) == 0 {
		return nil
	}
	return p.items[0]
}

// remove takes an item out, which has to be in the pile. One that runs dry lets go
// of the room that it once needed.
func (p *pile[T]) remove(item *T) {
	heap.Remove((*pileHeap[T])(p), *p.place(item))
	if len(p.items) == 0 {
		p.items = nil
	}
}

// pileHeap keeps the methods that container/heap wants out of sight.
type pileHeap[T any] pile[T]

func (h *pileHeap[T]) Len() int           { return len(h.items) }
func (h *pileHeap[T]) Less(i, j int) bool { return h.before(h.items[i], h.items[j]) }
func (h *pileHeap[T]) Swap(i, j int) {
	h.items[i], h.items[j] = h.items[j], h.items[i]
	*h.place(h.items[i]), *h.place(h.items[j]) = i, j
}
func (h *pileHeap[T]) Push(x any) {
	item := x.(*T)
	*h.place(item) = len(h.items)
	h.items = append(h.items, item)
}
func (h *pileHeap[T]) Pop() any {
	last := len(h.items) - 1
	item := h.items[last]
	h.items[last] = nil
	h.items = h.items[:last]
	return item
}
