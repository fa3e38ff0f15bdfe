package embedded

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"audiences/audience"
)

// TestWorksInABubble proves that a journal in memory can be used under virtual
// time: an operation takes none, days pass at once, a power loss in the middle is
// survived, and no goroutine stays behind (synctest.Test fails when one does).
// It runs more than once, because the store pools objects across bubbles.
func TestWorksInABubble(t *testing.T) {
	for range 3 {
		synctest.Test(t, func(t *testing.T) {
			memory, seg := NewMemory(), segment(tenant("a"), "s")
			j := open(t, Options{Dir: "j", Memory: memory})
			start := time.Now()
			add(t, j, seg, audience.Add, numbers(0, 1000)...)
			settle(t, j, seg, numbers(0, 500)...)
			synctest.Wait()
			if took := time.Since(start); took != 0 {
				t.Errorf("writing took %v of virtual time", took)
			}
			time.Sleep(72 * time.Hour)
			again := open(t, Options{Dir: "j", Memory: memory.CrashClone(rand.New(rand.NewPCG(1, 2)))})
			if got := len(pending(t, again, seg)); got < 500 {
				t.Errorf("%d keys after a power loss", got)
			}
			if again.SetAside() != "" {
				t.Error("a power loss was taken for damage")
			}
		})
	}
}
