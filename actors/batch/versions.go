package batch

import (
	"maps"

	"audiences/audience"
	"audiences/journal"
)

// ownNode is the number of the embedded store's node (journal.Version).
const ownNode = 0

// versions is how the journal recognises the keys of a batch. Of those that this
// process accepted it knows every change, so one version covers them all. A key that
// was drawn with a change of another node has the version that it was drawn with.
type versions struct {
	audience.Hidden[versions]
	newest  journal.Version                  // of this node: that was accepted, or drawn
	foreign map[audience.Key]journal.Version // of keys that were drawn; few, and none where there is one node
}

// drawn records that an entry is held from now on.
func (v *versions) drawn(entry journal.Entry) {
	if entry.Version.Node() == ownNode {
		delete(v.foreign, entry.Key)
		return
	}
	if v.foreign == nil {
		v.foreign = map[audience.Key]journal.Version{}
	}
	v.foreign[entry.Key] = entry.Version
}

// Newest is the newest version that this process is known to have given a key of the
// segment.
func (b *Batch) Newest() journal.Version { return b.versions.newest }

// Select names keys that leave the batch for the journal, and forgets their versions.
// notAfter is Chunk.NotAfter of their chunk, or Newest.
func (b *Batch) Select(keys *audience.KeySet, notAfter journal.Version) journal.Selection {
	if len(b.versions.foreign) == 0 {
		return journal.Selection{Keys: keys.All(), NotAfter: notAfter}
	}
	own, drawn := audience.NewKeySet(keys.Len()), map[audience.Key]journal.Version{}
	for key := range keys.All() {
		if version, foreign := b.versions.foreign[key]; foreign {
			drawn[key] = version
			delete(b.versions.foreign, key)
		} else {
			own.Add(key)
		}
	}
	return journal.Selection{Keys: own.All(), NotAfter: notAfter, Drawn: maps.All(drawn)}
}
