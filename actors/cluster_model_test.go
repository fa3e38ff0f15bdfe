package actors

import (
	"testing"

	"pgregory.net/rapid"
)

// TestModelOfACluster is TestModel of two or three nodes that share a journal (I2, I3, I4):
// random histories of changes at any node, of nodes that stand still, crash, leave and come
// back, of links to the database that are slow, silent or cut, and of Split's faults. At
// rest Split has what the answered changes make; and no call is made by a node whose
// lease is over.
func TestModelOfACluster(t *testing.T) {
	defer fewer(t)()
	rapid.Check(t, func(t *rapid.T) {
		draw := func(n int, what string) int { return rapid.IntRange(0, n-1).Draw(t, what) }
		h := drawHistory(draw, rapid.IntRange(1, 40).Draw(t, "steps"), clusterWhats)
		rapid.SyncTest(t, func(t *rapid.T) {
			if findings, story := h.play(t, without{}); len(findings) > 0 {
				t.Fatalf("%d things are wrong, the first: %s\nthe history: %v\nthe story: %s", len(findings), findings[0], h, story())
			}
		})
	})
}
