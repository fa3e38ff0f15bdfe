package embedded

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"audiences/audience"
	"audiences/journal"
)

// TestManyKeysAreAppendedInOrder: their records come as they lie in the store, and
// all of them do; few keys come as they are.
func TestManyKeysAreAppendedInOrder(t *testing.T) {
	for _, n := range []int{manyKeys - 1, manyKeys} {
		var packer audience.Packer
		for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(n) {
			text := fmt.Sprint((i - n/2) * 7919)
			if i%3 == 0 {
				text = "text " + text
			}
			if err := packer.Add([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		keys := packer.Keys()
		var records []string
		for key := range inOrder(keys) {
			records = append(records, string(journal.AppendKey(nil, key)))
		}
		if sorted := slices.IsSorted(records); sorted != (n >= manyKeys) {
			t.Errorf("%d keys: sorted: %v", n, sorted)
		}
		var want []string
		for key := range keys.All() {
			want = append(want, string(journal.AppendKey(nil, key)))
		}
		slices.Sort(want)
		if slices.Sort(records); !slices.Equal(records, want) {
			t.Errorf("%d keys: some are missing, or others came", n)
		}
		for range inOrder(keys) {
			break
		}
	}
}
