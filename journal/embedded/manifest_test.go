package embedded

import (
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"audiences/journal/embedded/damage"
)

// TestManifestDamage flips every byte of a real MANIFEST: each flip is seen (I8).
// Cut at any length, as by a power loss, it is not taken for damage.
func TestManifestDamage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "j")
	sample(t, dir)
	random, checked := rand.New(rand.NewPCG(1, 1)), 0
	for name, content := range contents(t, dir) {
		if !strings.HasPrefix(filepath.Base(name), "MANIFEST-") {
			continue
		}
		checked++
		if err := damage.CheckManifest([]byte(content)); err != nil {
			t.Fatal(err)
		}
		for i := range len(content) {
			flipped := []byte(content)
			flipped[i] ^= byte(1 + random.IntN(255))
			if damage.CheckManifest(flipped) == nil {
				t.Errorf("a flip at %d of %d is not seen", i, len(content))
			}
			if i%5 > 0 {
				continue
			}
			if err := damage.CheckManifest([]byte(content[:i])); err != nil {
				t.Errorf("cut at %d: %v", i, err)
			}
			zeroed := []byte(content[:i] + strings.Repeat("\x00", len(content)-i))
			if err := damage.CheckManifest(zeroed); err != nil && len(content)-i > 8 {
				t.Errorf("zero from %d: %v", i, err)
			}
		}
	}
	if checked == 0 {
		t.Error("no MANIFEST found")
	}
}
