package journal

import "testing"

// TestCovers: a version covers those of its own node that are not newer.
func TestCovers(t *testing.T) {
	at := MakeVersion(2, 7)
	if most := MakeVersion(3, 1<<counterBits-1); most.Node() != 3 || most.Counter() != 1<<counterBits-1 {
		t.Errorf("node %d, counter %d", most.Node(), most.Counter())
	}
	if at.Node() != 2 || at.Counter() != 7 {
		t.Errorf("node %d, counter %d", at.Node(), at.Counter())
	}
	for other, want := range map[Version]bool{
		MakeVersion(2, 7): true, MakeVersion(2, 6): true, MakeVersion(2, 0): true,
		MakeVersion(2, 8): false, MakeVersion(1, 7): false, MakeVersion(1, 1): false, MakeVersion(3, 1): false, 0: false,
	} {
		if at.Covers(other) != want {
			t.Errorf("covers %d of node %d: %v", other.Counter(), other.Node(), !want)
		}
	}
	if !Version(0).Covers(0) || !MakeVersion(0, 1).Covers(0) {
		t.Error("keys without a version are of node 0, and the oldest")
	}
}
