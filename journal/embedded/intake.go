package embedded

import (
	"iter"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"audiences/audience"
	"audiences/journal"
	"audiences/journal/ordered"
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
	record := j.vault.Seal(tenant)
	j.submit(operation{
		tenants: tenantOnly(tenant.ID),
		done:    ignore,
		stage:   func(b *pebble.Batch) { set(b, head(prefixTenant, tenant.ID), record) },
	})
}

// Prove keeps that Split took keys of a tenant: it is known not to be made up. It
// becomes durable with the next durable write. It never waits.
func (j *Journal) Prove(id audience.TenantID) {
	j.submit(operation{
		tenants: tenantOnly(id),
		done:    ignore,
		stage:   func(b *pebble.Batch) { set(b, head(prefixProven, id), nil) },
	})
}

// forgetIdleTenants removes, at Open, the tenants that have neither a segment nor
// a state: their tokens are of no more use. Where a record cannot be read it
// removes nobody.
func (j *Journal) forgetIdleTenants() error {
	used := map[audience.TenantID]bool{}
	for item, err := range records(j.db, prefixDescriptor) {
		if err != nil {
			return nil // reported by Segments
		}
		segment, err := decodeDescriptor(item.id, item.value)
		if err != nil {
			return nil
		}
		used[segment.Tenant] = true
	}
	for item, err := range records(j.db, prefixTenantState) {
		if err != nil {
			return nil
		}
		used[item.id] = true
	}
	batch := j.db.NewBatch()
	defer func() { _ = batch.Close() }()
	for item, err := range records(j.db, prefixTenant) {
		if err == nil && !used[item.id] {
			del(batch, head(prefixTenant, item.id))
		}
	}
	return j.db.Apply(batch, pebble.NoSync)
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
	return ordered.Of(keys.All()).All()
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
