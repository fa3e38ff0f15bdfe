package embedded

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"audiences/audience"
	"audiences/journal"
	"audiences/journal/embedded/disk"
)

// TestPatience: nobody waits for a caller who is alone, and the more share an fsync,
// the shorter the wait.
func TestPatience(t *testing.T) {
	for _, c := range []struct {
		callers int
		want    time.Duration
	}{{0, 0}, {1, 0}, {2, longPatience}, {many - 1, longPatience}, {many, shortPatience}, {1000, shortPatience}} {
		if got := patience(c.callers); got != c.want {
			t.Errorf("%d callers: %v, want %v", c.callers, got, c.want)
		}
	}
	now := time.Now()
	p := pace{}
	if p.answered(3, 2, now); p.want != 5 || p.until != now.Add(longPatience) {
		t.Errorf("%+v", p)
	}
	if p.answered(1, 0, now); p.until != now {
		t.Errorf("a lone caller: %+v", p)
	}
	p = pace{free: true}
	if p.answered(3, 2, now); p.want != 0 || !p.until.IsZero() {
		t.Errorf("in memory: %+v", p)
	}
}

// slowDisk is a disk whose fsyncs of the log take a millisecond of virtual time.
type slowDisk struct{ syncs, under, most atomic.Int32 }

const oneSync = time.Millisecond

func (d *slowDisk) MaybeError(op errorfs.Op) error {
	sync := op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData
	if sync && filepath.Ext(op.Path) == ".log" {
		d.syncs.Add(1)
		d.most.Store(max(d.most.Load(), d.under.Add(1)))
		time.Sleep(oneSync)
		d.under.Add(-1)
	}
	return nil
}

func (d *slowDisk) String() string { return "slow disk" }

// post has callers append one key after the other to a journal on a slow disk, each so
// long after its last answer as think says, and tells the longest wait for an answer.
func post(t *testing.T, callers, posts int, think func() time.Duration) (d *slowDisk, longest, all time.Duration) {
	d = &slowDisk{}
	j, err := Open(Options{Dir: "j", files: disk.Files{FS: errorfs.Wrap(vfs.NewMem(), d)}})
	if err != nil {
		t.Fatal(err)
	}
	d.syncs.Store(0)
	began := time.Now()
	var mu sync.Mutex
	var work sync.WaitGroup
	for c := range callers {
		seg, done := segment(tenant("a"), fmt.Sprint(c)), make(chan error, 1)
		work.Go(func() {
			for i := range posts {
				time.Sleep(think())
				asked := time.Now()
				j.Append(journal.Append{Tenant: seg.Tenant, Changes: []journal.Change{{Segment: seg, Verb: audience.Add, Keys: audience.KeysOf(numbers(i, 1)...)}}, Done: func(err error) { done <- err }})
				if err := <-done; err != nil {
					t.Error(err)
				}
				mu.Lock()
				longest = max(longest, time.Since(asked))
				mu.Unlock()
			}
		})
	}
	work.Wait()
	all = time.Since(began)
	if err := j.Close(); err != nil {
		t.Error(err)
	}
	return d, longest, all
}

// TestPace: who posts again at once shares each fsync with all others, and waits for
// nothing else; who is alone waits for his own fsync only.
func TestPace(t *testing.T) {
	const posts = 20
	for _, callers := range []int{1, 2, 5, many, 50} {
		t.Run(fmt.Sprint(callers, " callers"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				atOnce := func() time.Duration { return 0 }
				_, longest, all := post(t, callers, posts, atOnce)
				// The first group may lack some of them.
				if all > (posts+1)*oneSync+longPatience || longest > 2*oneSync+longPatience {
					t.Errorf("%d posts each took %v, the longest %v", posts, all, longest)
				}
			})
		})
	}
}

// TestPaceIsBounded: whenever callers come, one fsync is under way at most, and nobody
// waits longer than for the one under way, the patience and his own.
func TestPaceIsBounded(t *testing.T) {
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			callers, slow := 1+random.IntN(40), 1+random.IntN(5_000)
			var mu sync.Mutex
			d, longest, _ := post(t, callers, 30, func() time.Duration {
				mu.Lock()
				defer mu.Unlock()
				return time.Duration(random.IntN(slow)) * time.Microsecond
			})
			if most := d.most.Load(); most > 1 {
				t.Errorf("seed %d: %d fsyncs at once", seed, most)
			}
			if limit := 2*oneSync + longPatience; longest > limit {
				t.Errorf("seed %d: %d callers, one of them waited for %v", seed, callers, longest)
			}
			if callers == 1 && longest != oneSync {
				t.Errorf("seed %d: a lone caller waited for %v", seed, longest)
			}
		})
	}
}
