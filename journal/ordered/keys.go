// Package ordered has keys in the order of the journal (see journal.AppendKey), and packs
// them into few bytes for receipts.
package ordered

import (
	"cmp"
	"iter"
	"slices"
	"strings"

	"audiences/audience"
)

// Keys are keys in order: numbers by value, then texts by their bytes. A key that was given
// twice is there twice.
type Keys struct {
	numbers []int64
	texts   []audience.Key
}

func Of(keys iter.Seq[audience.Key]) (o Keys) {
	for key := range keys {
		if n, ok := key.Numeric(); ok {
			o.numbers = append(o.numbers, n)
		} else {
			o.texts = append(o.texts, key)
		}
	}
	slices.Sort(o.numbers)
	slices.SortFunc(o.texts, Compare)
	return o
}

// Compare puts keys in the order of their records.
func Compare(a, b audience.Key) int {
	n, aNumeric := a.Numeric()
	m, bNumeric := b.Numeric()
	switch {
	case aNumeric && bNumeric:
		return cmp.Compare(n, m)
	case aNumeric != bNumeric && aNumeric:
		return -1
	case aNumeric != bNumeric:
		return 1
	}
	return strings.Compare(a.Text(), b.Text())
}

func (o Keys) Len() int { return len(o.numbers) + len(o.texts) }

func (o Keys) All() iter.Seq[audience.Key] {
	return func(yield func(audience.Key) bool) {
		for _, n := range o.numbers {
			if !yield(audience.NumericKey(n)) {
				return
			}
		}
		for _, text := range o.texts {
			if !yield(text) {
				return
			}
		}
	}
}

// Cut takes the first n keys.
func (o Keys) Cut(n int) (first, rest Keys) {
	numbers := min(n, len(o.numbers))
	texts := min(n-numbers, len(o.texts))
	return Keys{o.numbers[:numbers], o.texts[:texts]}, Keys{o.numbers[numbers:], o.texts[texts:]}
}
