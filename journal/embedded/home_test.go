package embedded

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"audiences/audience"
	"audiences/journal"
)

// TestMovedDirectory: what is durable in files that the next start would not find is not
// answered (I1). What is there is still read and settled, and where the directory comes
// back, so do the answers.
func TestMovedDirectory(t *testing.T) {
	for name, c := range map[string]struct {
		move func(dir string) error
		back func(dir string) error // nil: there is no way back
	}{
		"renamed": {
			move: func(dir string) error { return os.Rename(dir, dir+"-old") },
			back: func(dir string) error { return os.Rename(dir+"-old", dir) },
		},
		"replaced by an empty one": {
			move: func(dir string) error {
				return errors.Join(os.Rename(dir, dir+"-old"), os.MkdirAll(filepath.Join(dir, "store"), 0o700))
			},
			back: func(dir string) error {
				return errors.Join(os.RemoveAll(dir), os.Rename(dir+"-old", dir))
			},
		},
		"replaced by a copy": {
			move: func(dir string) error {
				return errors.Join(os.Rename(dir, dir+"-old"), os.CopyFS(dir, os.DirFS(dir+"-old")))
			},
		},
		"store renamed": {
			move: func(dir string) error {
				return os.Rename(filepath.Join(dir, "store"), filepath.Join(dir, "damaged-by-hand"))
			},
			back: func(dir string) error {
				return os.Rename(filepath.Join(dir, "damaged-by-hand"), filepath.Join(dir, "store"))
			},
		},
		"removed": {move: os.RemoveAll},
		"logs removed": {move: func(dir string) error {
			logs, err := filepath.Glob(filepath.Join(dir, "store", "*.log"))
			for _, log := range logs {
				err = errors.Join(err, os.Remove(log))
			}
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "j")
			j, seg, done := open(t, Options{Dir: dir}), segment(tenant("a"), "s"), make(chan error, 1)
			add(t, j, seg, audience.Add, keys(1, 2)...)
			if err := c.move(dir); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				j.Append(appendOf(seg, audience.Add, audience.KeysOf(keys(3)...), false, done))
				if err := <-done; !errors.Is(err, journal.ErrMoved) {
					t.Fatalf("an append: %v", err)
				}
			}
			if err := j.Refuse(); !errors.Is(err, journal.ErrMoved) {
				t.Errorf("refuse: %v", err)
			}
			if err := j.Admit(audience.KeysOf(keys(3)...)); !errors.Is(err, journal.ErrMoved) {
				t.Errorf("admit: %v", err)
			}
			settle(t, j, seg, keys(1)...)
			if got := pending(t, j, seg); got["2"] != audience.Add || got["1"] != 0 {
				t.Errorf("pending: %v", got)
			}
			if c.back == nil {
				return
			}
			if err := c.back(dir); err != nil {
				t.Fatal(err)
			}
			add(t, j, seg, audience.Add, keys(4)...)
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			if got := pending(t, open(t, Options{Dir: dir}), seg); got["2"] == 0 || got["4"] == 0 {
				t.Errorf("pending at the next start: %v", got)
			}
		})
	}
}

// BenchmarkHome is what the look at the directory adds to each group.
func BenchmarkHome(b *testing.B) {
	j := open(b, Options{Dir: b.TempDir()})
	for b.Loop() {
		if err := j.home.Check(); err != nil {
			b.Fatal(err)
		}
	}
}
