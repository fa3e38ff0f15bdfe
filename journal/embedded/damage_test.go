package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/wal"

	"audiences/audience"
	"audiences/journal"
	"audiences/journal/embedded/damage"
)

// sample makes a journal with several tables, a log and states, as a kill would
// leave it: a copy of the files of a journal that is still open. It returns what
// each segment has.
func sample(t *testing.T, dir string) map[audience.Segment]map[string]audience.Verb {
	t.Helper()
	from := filepath.Join(t.TempDir(), "j")
	j := open(t, Options{Dir: from})
	for s := range 20 {
		who := tenant(fmt.Sprint(s % 3))
		j.PutTenant(who)
		seg := segment(who, fmt.Sprint("s", s))
		add(t, j, seg, audience.Verb(1+s%2), numbers(s*1000, 300)...)
		park(t, j, seg, audience.Add, keys("p", "q")...)
		if s%6 == 5 && s < 18 {
			if err := j.db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := map[audience.Segment]map[string]audience.Verb{}
	listed, _ := collect(j.Segments(audience.AllSlots()))
	for _, l := range listed {
		want[l.Segment] = pending(t, j, l.Segment)
	}
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return want
}

// TestFlippedBytes flips one byte at many places of every file. Open refuses with
// the directory untouched, or sets the store aside, or works; and whatever is not
// as it was is reported. Nothing is wiped: every byte of the damaged file is still
// somewhere, except where the store noticed nothing. Never a panic (I8).
func TestFlippedBytes(t *testing.T) {
	base := filepath.Join(t.TempDir(), "base")
	want := sample(t, base)
	names := contents(t, base)
	sound := filepath.Join(t.TempDir(), "j")
	if err := os.CopyFS(sound, os.DirFS(base)); err != nil {
		t.Fatal(err)
	}
	if outcome := afterFlip(t, sound, want); outcome != "all there" {
		t.Fatalf("without damage: %s", outcome)
	}
	outcomes := map[string]int{}
	random := rand.New(rand.NewPCG(7, 7))
	for name, text := range names {
		for range min(len(text), 12) {
			at, bit := random.IntN(len(text)), byte(1)<<random.IntN(8)
			dir := filepath.Join(t.TempDir(), "j")
			if err := os.CopyFS(dir, os.DirFS(base)); err != nil {
				t.Fatal(err)
			}
			flipped := []byte(text)
			flipped[at] ^= bit
			if err := os.WriteFile(filepath.Join(dir, name), flipped, 0o600); err != nil {
				t.Fatal(err)
			}
			outcome := afterFlip(t, dir, want)
			outcomes[kind(name)+": "+outcome]++
			if strings.HasPrefix(outcome, "silent") {
				t.Logf("%s at %d of %d, bit %08b: %s", name, at, len(text), bit, outcome)
				if kind(name) != "log" || at < lastGroup(t, name, text) {
					t.Errorf("damage to %s goes unnoticed", name)
				}
			}
			if kind(name) == "OPTIONS" && outcome != "all there" {
				t.Errorf("%s, for a file that only describes: %s", outcome, name)
			}
			if outcome == "set aside" && !stillThere(t, dir, flipped) {
				t.Errorf("the bytes of %s are gone", name)
			}
		}
	}
	t.Logf("outcomes: %v", outcomes)
}

// lastGroup is where the last group of a log begins: the only place where a flipped
// byte passes for a torn end, and no more than that group is lost by it.
func lastGroup(t *testing.T, name, text string) int {
	t.Helper()
	number, _, ok := wal.ParseLogFilename(filepath.Base(name))
	if !ok {
		t.Fatal(name)
	}
	return lastRecord(damage.Log{Number: uint32(number), Content: []byte(text)})
}

// afterFlip opens the journal and compares it with what it held.
func afterFlip(t *testing.T, dir string, want map[audience.Segment]map[string]audience.Verb) string {
	t.Helper()
	before := contents(t, dir)
	j, err := Open(Options{Dir: dir})
	if err != nil {
		after := contents(t, dir)
		for name, text := range before {
			if after[name] != text {
				t.Errorf("refused with %v, but %s was changed", err, name)
			}
		}
		return "refused"
	}
	defer func() { _ = j.Close() }()
	listed, errs := collect(j.Segments(audience.AllSlots()))
	_, tenantErrs := collect(j.Tenants(audience.AllSlots()))
	reported := len(errs) + len(tenantErrs)
	lost := 0
	for seg, verbs := range want {
		page := load(j, journal.Load{Segment: seg, Limit: 1 << 30})
		counts := count(j, seg)
		if page.Err != nil || counts.Err != nil {
			reported++
			continue
		}
		if len(page.Entries) != len(verbs) || counts.Parked != 2 {
			lost++
		}
		for _, entry := range page.Entries {
			if verbs[entry.Key.Text()] != entry.Verb {
				t.Errorf("segment %s has a change that nobody made", seg.Name)
			}
		}
	}
	switch {
	case j.SetAside() != "":
		return "set aside"
	case reported > 0:
		return "reported when read"
	case lost > 0 || len(listed) != len(want):
		return fmt.Sprintf("silent: %d segments incomplete", lost)
	}
	return "all there"
}

func kind(name string) string {
	switch base := filepath.Base(name); {
	case strings.HasSuffix(base, ".log"):
		return "log"
	case strings.HasSuffix(base, ".sst"):
		return "table"
	default:
		return strings.TrimRight(base, "0123456789-")
	}
}

func stillThere(t *testing.T, dir string, content []byte) bool {
	t.Helper()
	found := false
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		found = found || bytes.Equal(text, content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestVanishedStore: a store that is gone is damage, not a new store; a second
// damage gets a place of its own.
func TestVanishedStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "j")
	written(t, Options{Dir: dir})
	var aside []string
	for range 3 {
		if err := os.RemoveAll(filepath.Join(dir, "store")); err != nil {
			t.Fatal(err)
		}
		j := open(t, Options{Dir: dir})
		aside = append(aside, j.SetAside())
		add(t, j, segment(tenant("a"), "s"), audience.Add, keys(1)...)
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(aside)
	if aside[0] == "" || len(slices.Compact(aside)) != 3 {
		t.Errorf("set aside: %q", aside)
	}
	if j := open(t, Options{Dir: dir}); j.SetAside() != "" || len(pending(t, j, segment(tenant("a"), "s"))) != 1 {
		t.Error("the new store does not last")
	}
}

// TestNoRightsIsNotDamage: what an operator can mend must not move the store.
func TestNoRightsIsNotDamage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "j")
	written(t, Options{Dir: dir})
	manifests, err := filepath.Glob(filepath.Join(dir, "store", "MANIFEST-*"))
	if err != nil || len(manifests) == 0 {
		t.Fatal(manifests, err)
	}
	for _, path := range manifests { // a file of the store that cannot be read, for root as well
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Base(path), path); err != nil {
			t.Fatal(err)
		}
	}
	if j, err := Open(Options{Dir: dir}); err == nil {
		_ = j.Close()
		t.Errorf("opened, set aside %q", j.SetAside())
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "damaged-*")); len(left) > 0 {
		t.Errorf("set aside: %v", left)
	}
}

// TestListingGoesOnBehindADamagedBlock: among many segments a bad block costs those
// in it and no others.
func TestListingGoesOnBehindADamagedBlock(t *testing.T) {
	dir, who, n := filepath.Join(t.TempDir(), "j"), tenant("a"), 2000
	j := open(t, Options{Dir: dir})
	fill(t, j, who, n, 0)
	if err := errors.Join(j.db.Flush(), j.Close()); err != nil {
		t.Fatal(err)
	}
	tables, err := filepath.Glob(filepath.Join(dir, "store", "*.sst"))
	if err != nil || len(tables) != 1 {
		t.Fatal(tables, err)
	}
	table, err := os.ReadFile(tables[0])
	if err != nil {
		t.Fatal(err)
	}
	table[len(table)/3] ^= 4
	if err := os.WriteFile(tables[0], table, 0o600); err != nil {
		t.Fatal(err)
	}
	listed, errs := collect(open(t, Options{Dir: dir}).Segments(audience.AllSlots()))
	if len(errs) != 1 || len(listed) < n*9/10 || len(listed) == n {
		t.Errorf("%d of %d segments, %v", len(listed), n, errs)
	}
}
