package embedded

import (
	"cmp"
	"iter"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"audiences/audience"
	"audiences/journal"
)

// Append gives the version and hands the changes to the committer. It never waits,
// though it puts many keys in order.
func (j *Journal) Append(a journal.Append) journal.Version {
	version := j.versions.give()
	j.append(a, version)
	return version
}

// Newest is the version that was given last.
func (j *Journal) Newest() journal.Version {
	return journal.MakeVersion(thisNode, j.versions.next.Load())
}

func (j *Journal) append(a journal.Append, version journal.Version) {
	work := appending{j: j, version: version, changes: make([]change, len(a.Changes))}
	var room int64
	for i, c := range a.Changes {
		work.changes[i] = change{Change: c, id: idOf(c.Segment), keys: inOrder(c.Keys)}
		room += roomFor(c.Keys)
	}
	j.submit(operation{
		tenants: tenantOnly(a.Tenant),
		durable: true,
		size:    int(room / 2),
		done: func(err error) {
			j.room.Release(room)
			if a.Done != nil {
				a.Done(err)
			}
		},
		sees:  work.supersedes,
		stage: work.stage,
	})
}

// appending is an Append under way.
type appending struct {
	j       *Journal
	version journal.Version
	changes []change
}

type change struct {
	journal.Change
	id   segmentID
	keys iter.Seq[audience.Key]
}

// supersedes: some of its keys may be parked.
func (w *appending) supersedes() bool {
	return slices.ContainsFunc(w.changes, func(c change) bool { return w.j.parked.mayHave(c.id) })
}

func (w *appending) stage(b *pebble.Batch) {
	w.j.versions.stamp(b, w.version)
	for _, c := range w.changes {
		if c.Describe {
			set(b, head(prefixDescriptor, c.id), encodeDescriptor(c.Segment))
		}
		if c.Keys.Len() == 0 {
			continue
		}
		w.j.newest.wrote(c.id, w.version)
		record, pending := encodePending(c.Verb, w.version), head(prefixPending, c.id)
		for key := range c.keys {
			pending = journal.AppendKey(pending[:headLength], key)
			set(b, pending, record)
		}
	}
	if w.supersedes() {
		for id, keys := range w.each() {
			w.j.tally.supersede(b, w.j.db, id, keys.All())
		}
	}
}

// each is the keys of each segment that may have parked ones, every key once: a parked
// record is counted out by the first change of its key.
func (w *appending) each() map[segmentID]*audience.KeySet {
	sets := map[segmentID]*audience.KeySet{}
	for _, c := range w.changes {
		if !w.j.parked.mayHave(c.id) {
			continue
		}
		if sets[c.id] == nil {
			sets[c.id] = audience.NewKeySet(c.Keys.Len())
		}
		for key := range c.keys {
			sets[c.id].Add(key)
		}
	}
	return sets
}

// PutTenant keeps the tenant's token, encrypted. It becomes durable with the
// next durable write, at the latest: hand it in before the tenant's first Append.
func (j *Journal) PutTenant(tenant audience.Tenant) {
	record := j.vault.seal(tenant)
	j.submit(operation{
		tenants: tenantOnly(tenant.ID),
		done:    ignore,
		stage:   func(b *pebble.Batch) { set(b, head(prefixTenant, tenant.ID), record) },
	})
}

// manyKeys is how many keys of one append are put in order first. The store sorts
// what is larger than half a memtable while everybody waits for the committer, and
// takes ten times as long for a million keys without an order as for those with one.
const manyKeys = 10_000

// inOrder yields the keys, and where there are many of them in order. It sorts when it
// is called, so that the committer does not have to.
func inOrder(keys audience.Keys) iter.Seq[audience.Key] {
	if keys.Len() < manyKeys {
		return keys.All()
	}
	return order(keys.All()).all()
}

// ordered is keys in the order that their records have in the store: numbers by value,
// then texts by their bytes.
type ordered struct {
	numbers []int64
	texts   []audience.Key
}

func order(keys iter.Seq[audience.Key]) (o ordered) {
	for key := range keys {
		if n, ok := key.Numeric(); ok {
			o.numbers = append(o.numbers, n)
		} else {
			o.texts = append(o.texts, key)
		}
	}
	slices.Sort(o.numbers)
	slices.SortFunc(o.texts, compareKeys)
	return o
}

// compareKeys puts keys in the order of their records.
func compareKeys(a, b audience.Key) int {
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

func (o ordered) len() int { return len(o.numbers) + len(o.texts) }

func (o ordered) all() iter.Seq[audience.Key] {
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

// roomFor is what a change takes of the disk: its records in the log, and as much
// again for the table that they come into and that has to be compacted.
func roomFor(keys audience.Keys) (size int64) {
	for key := range keys.All() {
		encoded := 9
		if _, numeric := key.Numeric(); !numeric {
			encoded = 1 + len(key.Text())
		}
		size += int64(2 * (headLength + encoded + 12)) // kind, two lengths, verb, version
	}
	return size
}
