package batch

import (
	"maps"

	"audiences/audience"
	"audiences/journal"
)

// versions is how the journal recognises the keys of a batch. The batch knows every
// change of this process up to one version, so that version covers the keys that it
// holds because of them. A key that was drawn with another node's change, or with one of
// this process that Apply has not told of yet, is meant as it was drawn.
type versions struct {
	audience.Hidden[versions]
	accepted journal.Version                  // of the last Apply, or of New
	shown    journal.Version                  // the newest one of this node that a page has shown
	exact    map[audience.Key]journal.Version // of keys that were drawn so; few, where there is one node
}

// accept records the version of an Apply, and reports whether a page has shown a change
// that is as new: then it has shown this one as well, or what came after it.
func (v *versions) accept(version journal.Version) (late bool) {
	v.accepted = max(v.accepted, version)
	return version <= v.shown
}

// drawnSince reports whether a key was drawn with the change of that version or a later
// one: of this node, or of another node, which was on the disk later.
func (v *versions) drawnSince(key audience.Key, version journal.Version) bool {
	exact, ok := v.exact[key]
	return ok && exact >= version
}

// untold reports whether a key was drawn with a change that Apply has not told of yet.
func (v *versions) untold(key audience.Key) bool {
	exact, ok := v.exact[key]
	return ok && v.own(exact) && exact > v.accepted
}

// own reports whether this process gave the version: New was told of one that it gave.
func (v *versions) own(version journal.Version) bool { return version.Node() == v.accepted.Node() }

func (v *versions) show(version journal.Version) {
	if v.own(version) {
		v.shown = max(v.shown, version)
	}
}

// drawn records that an entry is held from now on.
func (v *versions) drawn(entry journal.Entry) {
	if v.accepted.Covers(entry.Version) {
		delete(v.exact, entry.Key)
		return
	}
	if v.exact == nil {
		v.exact = map[audience.Key]journal.Version{}
	}
	v.exact[entry.Key] = entry.Version
}

// Accepted is the version up to which the batch knows all changes of this process.
func (b *Batch) Accepted() journal.Version { return b.versions.accepted }

// Select names keys that leave the batch for the journal, and forgets their versions.
// notAfter is Chunk.NotAfter of their chunk, or Accepted.
func (b *Batch) Select(keys *audience.KeySet, notAfter journal.Version) journal.Selection {
	if len(b.versions.exact) == 0 {
		return journal.Selection{Keys: keys.All(), NotAfter: notAfter}
	}
	own, drawn := audience.NewKeySet(keys.Len()), map[audience.Key]journal.Version{}
	for key := range keys.All() {
		if version, ok := b.versions.exact[key]; ok {
			drawn[key] = version
			delete(b.versions.exact, key)
		} else {
			own.Add(key)
		}
	}
	return journal.Selection{Keys: own.All(), NotAfter: notAfter, Drawn: maps.All(drawn)}
}
