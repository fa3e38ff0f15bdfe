package actors

import "testing"

// TestFitted: a map that has become much too large is replaced, and not by each
// entry that leaves it.
func TestFitted(t *testing.T) {
	const entries = 100_000
	m, most, replaced := make(map[int]int), entries, 0
	for i := range entries {
		m[i] = i
	}
	for i := range entries {
		before := most
		delete(m, i)
		if m = fitted(m, &most); most != before {
			replaced++
			if most != len(m) {
				t.Fatalf("%d entries at most in a map that begins with %d", most, len(m))
			}
		}
		if len(m) != entries-i-1 || len(m) > 0 && m[entries-1] != entries-1 {
			t.Fatalf("%d entries after %d have left", len(m), i+1)
		}
	}
	if replaced < 3 || replaced > 6 {
		t.Errorf("the map was replaced %d times", replaced)
	}
}
