package journal

import (
	"iter"
	"slices"
	"strings"

	"audiences/audience"
)

// manyKeys is how many keys of one append are put in order first. The store sorts
// what is larger than half a memtable while everybody waits for the committer, and
// takes ten times as long for a million keys without an order as for those with one.
const manyKeys = 10_000

// inOrder yields the keys, and where there are many of them in the order that their
// records have in the store: numbers by value, then texts by their bytes. It sorts
// when it is called, so that the committer does not have to.
func inOrder(keys audience.Keys) iter.Seq[audience.Key] {
	if keys.Len() < manyKeys {
		return keys.All()
	}
	numbers, texts := make([]int64, 0, keys.Len()), []audience.Key(nil)
	for key := range keys.All() {
		if n, ok := key.Numeric(); ok {
			numbers = append(numbers, n)
		} else {
			texts = append(texts, key)
		}
	}
	slices.Sort(numbers)
	slices.SortFunc(texts, func(a, b audience.Key) int { return strings.Compare(a.Text(), b.Text()) })
	return func(yield func(audience.Key) bool) {
		for _, n := range numbers {
			if !yield(audience.NumericKey(n)) {
				return
			}
		}
		for _, text := range texts {
			if !yield(text) {
				return
			}
		}
	}
}
