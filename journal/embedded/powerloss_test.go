package embedded

import (
	"flag"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"audiences/audience"
	"audiences/journal/embedded/disk"
)

var powerLossSeeds = flag.Int("powerloss.seeds", 8, "histories in which the power is lost, with up to 60 losses each")

// TestPowerLossIsNotDamage takes the power away at random calls that the log makes
// while groups of all sizes are written, synced or not. Of what was not synced,
// pages are there, are zero or are missing, in any order. That is never taken for damage,
// and never costs what was answered (I1, I3, I8).
func TestPowerLossIsNotDamage(t *testing.T) {
	losses := 0
	for seed := range uint64(*powerLossSeeds) {
		losses += losePower(t, seed, 60)
	}
	if losses < 50**powerLossSeeds {
		t.Errorf("%d power losses only", losses)
	}
}

// opened is the share of the losses after which the journal is opened: Pebble looks for
// a flipped bit in each torn chunk, which takes up to 0.1 s.
const opened = 20

// found is what one power loss left, and how many appends were answered before it.
type found struct {
	memory   *Memory
	answered int64
}

func losePower(t *testing.T, seed uint64, most int) (losses int) {
	t.Helper()
	random, memory, seg := rand.New(rand.NewPCG(seed, 9)), NewMemory(), segment(tenant("a"), "s")
	if seed%2 == 0 {
		written(t, Options{Dir: "j", Memory: memory}) // then it is not the first log of the store
	}
	var answered atomic.Int64
	var mu sync.Mutex // logs are written by one goroutine and removed by another
	var cuts []found
	cutter := rand.New(rand.NewPCG(seed, 10))
	injector := errorfs.InjectorFunc(func(op errorfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		n := answered.Load() // before the power goes; 0: there may be no store yet
		if strings.HasSuffix(op.Path, ".log") && op.Kind.ReadOrWrite() == errorfs.OpIsWrite && n > 0 && len(cuts) < most && cutter.IntN(2) == 0 {
			cuts = append(cuts, found{memory.CrashClone(cutter), n})
		}
		return nil
	})
	j := open(t, Options{Dir: "j", files: disk.Files{FS: errorfs.Wrap(memory.fs, injector)}})
	for n := int64(1); n <= 60; n++ {
		add(t, j, seg, audience.Add, numbers(int(n)*10_000, groupSize(random))...)
		answered.Store(n)
		for range random.IntN(3) { // not synced
			settle(t, j, segment(tenant("a"), "other"), numbers(0, groupSize(random))...)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	for i, cut := range cuts {
		if _, log := newestLog(t, cut.memory); checkLog(log) != nil {
			t.Fatalf("seed %d, cut %d: %v", seed, i, checkLog(log))
		}
		if i%opened > 0 {
			continue
		}
		again, err := Open(Options{Dir: "j", Memory: cut.memory})
		if err != nil {
			t.Fatal(err)
		}
		if again.SetAside() != "" {
			t.Fatalf("seed %d, cut %d: a power loss was taken for damage", seed, i)
		}
		got := pending(t, again, seg)
		for n := int64(1); n <= cut.answered; n++ {
			if got[numbers(int(n)*10_000, 1)[0].Text()] == 0 {
				t.Fatalf("seed %d, cut %d: append %d of %d answered ones is lost", seed, i, n, cut.answered)
			}
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return len(cuts)
}

// groupSize is mostly a few keys, at times pages or blocks of the log full.
func groupSize(random *rand.Rand) int {
	return 1 + random.IntN([]int{3, 3, 200, 3000}[random.IntN(4)])
}
