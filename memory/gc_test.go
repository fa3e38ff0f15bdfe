package memory

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

// TestPercentOf: a small heap may have 64 MiB of garbage, or what a memory limit
// makes of that, a large one half of what is in use.
func TestPercentOf(t *testing.T) {
	const mebi = 1 << 20
	for inUse, want := range map[uint64]int{0: 1600, 4 * mebi: 1600, 16 * mebi: 400, 64 * mebi: 100, 128 * mebi: 50, 1000 * mebi: 50} {
		if got := percentOf(inUse, usualGarbage); got != want {
			t.Errorf("%d MiB in use: %d %%, want %d %%", inUse/mebi, got, want)
		}
	}
	if got := percentOf(16*mebi, 12*mebi); got != 75 {
		t.Errorf("12 MiB of garbage on 16 MiB: %d %%", got)
	}
}

// TestGCPercentFollows: the percentage is set anew after each collection.
func TestGCPercentFollows(t *testing.T) {
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	tuneGC(usualGarbage)
	ballast := make([]byte, 300<<20)
	deadline := time.Now().Add(30 * time.Second)
	for now := -1; now != gcPercent; {
		runtime.GC()
		runtime.Gosched()
		now = debug.SetGCPercent(gcPercent + 1) // the one way to read it
		if time.Now().After(deadline) {
			t.Fatalf("%d %% with 300 MiB in use", now)
		}
	}
	runtime.KeepAlive(ballast)
}
