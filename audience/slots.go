package audience

import (
	"iter"
	"math/bits"
)

// SlotCount is how many slots the tenants are divided into.
const SlotCount = 256

// Slot is the part of all tenants that one belongs to. Where several nodes share a
// journal, a slot has one owner, which delivers what its tenants' segments hold.
type Slot uint8

// Slot is the tenant's slot. A TenantID is a hash, so that all slots are about as large.
func (id TenantID) Slot() Slot { return Slot(id[0]) }

// Slots is a set of slots. The zero value is empty, and sets can be compared.
type Slots [SlotCount / 64]uint64

// AllSlots is the set of all slots.
func AllSlots() (all Slots) { return all.Not() }

// Has reports whether the slot is in the set.
func (s Slots) Has(slot Slot) bool { return s[slot/64]>>(slot%64)&1 == 1 }

// Add puts a slot into the set.
func (s *Slots) Add(slot Slot) { s[slot/64] |= 1 << (slot % 64) }

// Not is the slots that are not in the set.
func (s Slots) Not() Slots {
	for i := range s {
		s[i] = ^s[i]
	}
	return s
}

// And is the slots that are in both sets.
func (s Slots) And(other Slots) Slots {
	for i := range s {
		s[i] &= other[i]
	}
	return s
}

// Or is the slots that are in either set.
func (s Slots) Or(other Slots) Slots {
	for i := range s {
		s[i] |= other[i]
	}
	return s
}

// Without is the slots that are in the set and not in the other one.
func (s Slots) Without(other Slots) Slots { return s.And(other.Not()) }

// Len is the number of slots in the set.
func (s Slots) Len() (n int) {
	for _, word := range s {
		n += bits.OnesCount64(word)
	}
	return n
}

// All lists the slots in ascending order.
func (s Slots) All() iter.Seq[Slot] {
	return func(yield func(Slot) bool) {
		for slot := range SlotCount {
			if s.Has(Slot(slot)) && !yield(Slot(slot)) {
				return
			}
		}
	}
}
