package embedded

import (
	"iter"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"audiences/audience"
	"audiences/journal"
)

// Append never waits, though it puts many keys in order; the answer comes through Done.
func (j *Journal) Append(a journal.Append) {
	id, keys, room, done := idOf(a.Segment), inOrder(a.Keys), roomFor(a.Keys), answer(a.Done)
	j.submit(operation{
		tenants: tenantOnly(a.Segment.Tenant),
		durable: true,
		size:    int(room / 2),
		done: func(err error) {
			j.room.promises.release(room)
			done(err)
		},
		sees: func() bool { return a.Unpark && j.parked.mayHave(id) },
		stage: func(b *pebble.Batch) {
			if a.Describe {
				set(b, head(prefixDescriptor, id), encodeDescriptor(a.Segment))
			}
			verb, pending := []byte{byte(a.Verb)}, head(prefixPending, id)
			for key := range keys {
				pending = journal.AppendKey(pending[:headLength], key)
				set(b, pending, verb)
			}
			if a.Unpark && j.parked.mayHave(id) {
				j.tally.supersede(b, j.db, id, keys)
			}
		},
	})
}

// PutTenant keeps the tenant's token, encrypted. It becomes durable with the
// next durable write, at the latest: hand it in before the tenant's first Append.
func (j *Journal) PutTenant(tenant audience.Tenant) {
	record := j.vault.seal(tenant)
	j.submit(operation{
		tenants: tenantOnly(tenant.ID),
		done:    answer(nil),
		stage:   func(b *pebble.Batch) { set(b, head(prefixTenant, tenant.ID), record) },
	})
}

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
