package batch

import "audiences/audience"

// Planned is what the keys in memory with one verb make: so many calls, once they are due
// and nothing keeps them.
type Planned struct {
	audience.Hidden[Planned]
	Verb  audience.Verb
	Keys  int
	Calls int
	Some  []audience.Key // of them, in no order
}

// Planned is what the next calls are, and at most so many keys of each verb. A call under
// way counts as one to come. Keys that are in the journal alone are not among them: their
// verbs are not known.
func (b *Batch) Planned(some int) (all []Planned) {
	for _, verb := range []audience.Verb{audience.Add, audience.Delete} {
		keys := b.InMemory(verb)
		if keys == 0 {
			continue
		}
		p := Planned{Verb: verb, Keys: keys, Calls: (keys + b.maxChunk - 1) / b.maxChunk}
		for key := range b.set(verb).All() {
			if len(p.Some) == some {
				break
			}
			p.Some = append(p.Some, key)
		}
		all = append(all, p)
	}
	return all
}
