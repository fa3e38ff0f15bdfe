package batch

import (
	"audiences/audience"
	"audiences/journal"
)

// ages tells how old the keys of a batch are at most: for each verb the version of the
// oldest key that came in since no key of it was held. 0: not known, or none is held. A version
// stands for a time, which the journal knows also after a restart.
type ages struct{ adds, deletes journal.Version }

func (a *ages) of(verb audience.Verb) *journal.Version {
	if verb == audience.Delete {
		return &a.deletes
	}
	return &a.adds
}

// older is the older of two versions of which either may be 0, for none.
func older(a, b journal.Version) journal.Version {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// came notes that keys of a verb may have come with this version. It is called before them.
func (b *Batch) came(verb audience.Verb, version journal.Version) {
	oldest := b.ages.of(verb)
	if b.set(verb).Len() == 0 {
		*oldest = 0
	}
	*oldest = older(*oldest, version)
}

// Oldest is a version that no key in memory is older than; 0: there is none, or that is
// not known. Keys that are in the journal alone may be older.
func (b *Batch) Oldest() (oldest journal.Version) {
	for _, verb := range []audience.Verb{audience.Add, audience.Delete} {
		if b.set(verb).Len() > 0 {
			oldest = older(oldest, *b.ages.of(verb))
		}
	}
	if b.flight != nil {
		oldest = older(oldest, b.flight.Oldest)
	}
	if b.hunt != nil {
		oldest = older(oldest, b.hunt.oldest)
	}
	return oldest
}
