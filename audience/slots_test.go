package audience

import (
	"slices"
	"testing"
)

// TestSlots is the arithmetic of the sets.
func TestSlots(t *testing.T) {
	var some, other Slots
	for _, slot := range []Slot{0, 63, 64, 255} {
		some.Add(slot)
	}
	other.Add(64)
	other.Add(65)
	if got := slices.Collect(some.All()); !slices.Equal(got, []Slot{0, 63, 64, 255}) || some.Len() != 4 {
		t.Errorf("%v, %d", got, some.Len())
	}
	if got := slices.Collect(some.Without(other).All()); !slices.Equal(got, []Slot{0, 63, 255}) {
		t.Errorf("without: %v", got)
	}
	if got := slices.Collect(some.And(other).All()); !slices.Equal(got, []Slot{64}) {
		t.Errorf("and: %v", got)
	}
	if some.Or(other).Len() != 5 || AllSlots().Len() != SlotCount || AllSlots().Not() != (Slots{}) || some.Not().Len() != SlotCount-4 {
		t.Error("or, all, or not is wrong")
	}
}

// TestEverySlotIsSomebodys: tenants are spread over all slots.
func TestEverySlotIsSomebodys(t *testing.T) {
	var used Slots
	for id := range 256 {
		used.Add(TenantID{byte(id)}.Slot())
	}
	if used != AllSlots() {
		t.Errorf("%d slots are used", used.Len())
	}
}
