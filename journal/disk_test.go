package journal

import (
	"math"
	"testing"
)

// TestFree: a journal on disk tells what its file system has left, also after it
// was closed; one in memory has no limit.
func TestFree(t *testing.T) {
	onDisk := open(t, Options{Dir: t.TempDir()})
	for _, when := range []string{"open", "closed"} {
		if free, err := onDisk.Free(); err != nil || free == 0 || free == math.MaxUint64 {
			t.Errorf("on disk, %s: %d bytes, %v", when, free, err)
		}
		if err := onDisk.Close(); err != nil {
			t.Fatal(err)
		}
	}
	inMemory := open(t, Options{Dir: "journal", Memory: NewMemory()})
	if free, err := inMemory.Free(); err != nil || free != math.MaxUint64 {
		t.Errorf("in memory: %d bytes, %v", free, err)
	}
}
