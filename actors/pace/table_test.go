package pace

import "testing"

// TestTableShrinks: a map that has become much too large is replaced, and not by
// each entry that leaves it.
func TestTableShrinks(t *testing.T) {
	const entries = 100_000
	var table Table[int, int]
	for i := range entries {
		table.Put(i, i)
	}
	replaced := 0
	for i := range entries {
		before := table.most
		if table.Delete(i); table.most != before {
			replaced++
			if table.most != table.Len() {
				t.Fatalf("%d entries at most in a map that begins with %d", table.most, table.Len())
			}
		}
		if table.Len() != entries-i-1 || table.Len() > 0 && table.Get(entries-1) != entries-1 {
			t.Fatalf("%d entries after %d have left", table.Len(), i+1)
		}
	}
	if replaced < 3 || replaced > 6 {
		t.Errorf("the map was replaced %d times", replaced)
	}
}
