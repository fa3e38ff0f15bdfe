package pace

import (
	"iter"
	"maps"
)

// Table is a map whose memory follows its size in both directions. A map of Go
// keeps the room that it once needed; a table that has lost most of its entries
// moves to a smaller one. The zero value is empty.
type Table[K comparable, V any] struct {
	entries map[K]V
	most    int // entries at most since the map was made
}

// worthShrinking is the size below which a map's room does not matter.
const worthShrinking = 64

// Get returns the value of the key, or the zero value.
func (t *Table[K, V]) Get(key K) V { return t.entries[key] }

// Has reports whether there is a value for the key.
func (t *Table[K, V]) Has(key K) bool {
	_, ok := t.entries[key]
	return ok
}

// Put sets the value of the key.
func (t *Table[K, V]) Put(key K, value V) {
	if t.entries == nil {
		t.entries = make(map[K]V)
	}
	t.entries[key] = value
	t.most = max(t.most, len(t.entries))
}

// Delete removes the key. Over many calls the cost of moving is constant per call.
func (t *Table[K, V]) Delete(key K) {
	delete(t.entries, key)
	if t.most < worthShrinking || len(t.entries) > t.most/8 {
		return
	}
	t.most = len(t.entries)
	smaller := make(map[K]V, len(t.entries))
	maps.Copy(smaller, t.entries)
	t.entries = smaller
}

// Len is the number of entries.
func (t *Table[K, V]) Len() int { return len(t.entries) }

// All iterates over the entries in no order. Delete must not be called meanwhile.
func (t *Table[K, V]) All() iter.Seq2[K, V] { return maps.All(t.entries) }
