package embedded

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"audiences/audience"
	"audiences/journal"
	"audiences/journal/embedded/disk"
)

// TestStoreShowsNoKey covers I7: Pebble's own messages name records, and show of
// theirs the kind and the segment, not the key.
func TestStoreShowsNoKey(t *testing.T) {
	id := idOf(audience.Segment{Environment: "env", Name: "s"})
	number := audience.NumericKey(987654321012345678)
	text, err := audience.ParseKey("sekrit")
	if err != nil {
		t.Fatal(err)
	}
	shows := open(t, inMemory()).storeOptions(true).Comparer.FormatKey
	for _, key := range []audience.Key{number, text} {
		encoded := journal.AppendKey(nil, key)
		record := append(head(prefixPending, id), encoded...)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			shown := fmt.Sprintf(verb, shows(record))
			if shown != hex.EncodeToString(head(prefixPending, id)) {
				t.Errorf("%s of a record shows %s", verb, shown)
			}
			for _, secret := range []string{key.Text(), hex.EncodeToString(encoded)} {
				if strings.Contains(shown, secret) {
					t.Errorf("%s of a record shows its key: %s", verb, shown)
				}
			}
		}
	}
}

// heldUp is a file system on which no compaction gets its first table written
// before release is closed.
type heldUp struct {
	vfs.FS
	release chan struct{}
}

func (h heldUp) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if category == "pebble-compaction" {
		<-h.release
	}
	return h.FS.Create(name, category)
}

// TestOpenWaitsForNoCompaction: the start after a kill sets one off, and that
// takes seconds where there are many keys. It runs a while later.
func TestOpenWaitsForNoCompaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory, release := NewMemory(), make(chan struct{})
		j := open(t, Options{Dir: "j", Memory: memory})
		seg, tables := segment(tenant("a"), "s"), 10 // as many as make the store compact
		for i := range tables {
			add(t, j, seg, audience.Add, numbers(i, 100)...)
			if err := j.db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		add(t, j, seg, audience.Add, numbers(tables, 100)...)

		held := heldUp{memory.CrashClone(nil).fs, release}
		again := open(t, Options{Dir: "j", files: disk.Files{FS: held}}) // never returns if it waits
		time.Sleep(compactAfter - 1)
		synctest.Wait()
		if n := again.db.Metrics().Compact.NumInProgress; n != 0 {
			t.Errorf("%d compactions are under way", n)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if n := again.db.Metrics().Compact.NumInProgress; n != 1 {
			t.Errorf("%d compactions are under way, want 1", n)
		}
		close(release)
		if n := len(pending(t, again, seg)); n != tables+100 {
			t.Errorf("%d keys, want %d", n, tables+100)
		}
	})
}

// waitingStore is a store with compactions that wait to be run.
type waitingStore struct {
	c         *compactions
	waiting   int
	unwilling int // how often it does not want any more what it said waits
	running   int
	diary     []string
}

func (s *waitingStore) GetAllowedWithoutPermission() int { return 1 }

func (s *waitingStore) GetWaitingCompaction() (bool, pebble.WaitingCompaction) {
	return s.waiting > 0, pebble.WaitingCompaction{}
}

func (s *waitingStore) Schedule(pebble.CompactionGrantHandle) bool {
	if s.unwilling > 0 {
		s.unwilling--
		s.try() // meanwhile it wants another one
		return false
	}
	s.waiting--
	s.running++
	s.diary = append(s.diary, fmt.Sprint("granted, ", s.waiting, " wait"))
	return true
}

func (s *waitingStore) try() {
	if ok, _ := s.c.TrySchedule(); ok {
		s.running++
		s.diary = append(s.diary, "let in")
		return
	}
	s.waiting++
	s.diary = append(s.diary, "refused")
}

func (s *waitingStore) done() {
	s.running--
	s.c.Done()
}

func (s *waitingStore) expect(t *testing.T, running int, diary ...string) {
	t.Helper()
	if s.running != running || fmt.Sprint(s.diary) != fmt.Sprint(diary) {
		t.Errorf("%d under way, %q; want %d, %q", s.running, s.diary, running, diary)
	}
	s.diary = nil
}

// TestCompactionsRunOneAtATime, none before the beginning and after the end, and
// none of those that were refused is forgotten.
func TestCompactionsRunOneAtATime(t *testing.T) {
	s := &waitingStore{c: newCompactions()}
	s.c.Register(1, s)
	s.try()
	s.expect(t, 0, "refused")
	s.c.begin()
	s.expect(t, 1, "granted, 0 wait")
	s.try()
	s.expect(t, 1, "refused")
	s.unwilling = 1
	s.done()
	s.expect(t, 1, "refused", "granted, 1 wait")
	s.done()
	s.expect(t, 1, "granted, 0 wait")
	s.done()
	s.expect(t, 0)
	s.try()
	s.expect(t, 1, "let in")
	s.c.Unregister()
	s.try()
	s.done()
	s.expect(t, 0, "refused")
}
