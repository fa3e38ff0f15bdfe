package embedded

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"audiences/audience"
)

// foretold compares what Inspect says with what Open then does, and sees to it that
// Inspect changes nothing.
func foretold(t *testing.T, what string, options Options) (found Inspection, j *Journal) {
	t.Helper()
	before := looks(t, options.Dir)
	found = Inspect(options)
	if after := looks(t, options.Dir); !maps.Equal(before, after) {
		t.Errorf("%s: a look changed files:\n%v\n%v", what, before, after)
	}
	j, err := Open(options)
	if (err != nil) != (len(found.Faults) > 0) {
		t.Errorf("%s: Open says %v, but Inspect %v", what, err, found.Faults)
	}
	if err != nil {
		return found, nil
	}
	if (j.SetAside() != "") != (found.Damage != nil) {
		t.Errorf("%s: Open set aside %q, but Inspect says %v", what, j.SetAside(), found.Damage)
	}
	return found, j
}

// looks is each file below a directory with its content and times.
func looks(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	if _, err := os.Stat(dir); err != nil {
		return files
	}
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		files[path] = info.ModTime().String()
		if info.Mode().IsRegular() {
			text, err := os.ReadFile(path)
			files[path] += string(text)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestInspectForetellsOpen over damage to every file: Open refuses exactly where
// Inspect has a fault, and sets the store aside exactly where it says so.
func TestInspectForetellsOpen(t *testing.T) {
	base := filepath.Join(t.TempDir(), "base")
	sample(t, base)
	random, outcomes := rand.New(rand.NewPCG(9, 9)), map[string]int{}
	sound := contents(t, base)
	for _, name := range slices.Sorted(maps.Keys(sound)) {
		text := sound[name]
		for n := range min(len(text), 3) + 1 {
			damaged := []byte(text)
			switch {
			case n > 0:
				damaged[random.IntN(len(text))] ^= byte(1) << random.IntN(8)
			case len(text) > 0: // a file that was cut
				damaged = damaged[:random.IntN(len(text))]
			}
			dir := filepath.Join(t.TempDir(), "j")
			if err := os.CopyFS(dir, os.DirFS(base)); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name), damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			found, j := foretold(t, name, Options{Dir: dir})
			switch {
			case j == nil:
				outcomes["refused"]++
				continue
			case found.Damage != nil:
				outcomes["set aside"]++
			case found.Lesser != nil:
				outcomes["lesser"]++
			default:
				outcomes["opened"]++
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "damaged-*")); (len(left) > 0) != (found.Damage != nil || found.Lesser != nil) {
				t.Errorf("%s: set aside %v, but Inspect says %v, %v", name, left, found.Damage, found.Lesser)
			}
			if err := j.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	for _, outcome := range []string{"refused", "set aside", "opened"} {
		if outcomes[outcome] == 0 {
			t.Errorf("nothing was %s: %v", outcome, outcomes)
		}
	}
	t.Logf("outcomes: %v", outcomes)
}

// TestInspectKeysAndPlaces: the key and the directory, in every state that Open
// treats in its own way.
func TestInspectKeysAndPlaces(t *testing.T) {
	own, other := strings.Repeat("0a", 32)+"\n", strings.Repeat("0b", 32)
	for _, c := range []struct {
		what    string
		key     string // content of Options.KeyFile; "": none is named
		prepare func(dir, keyFile string) error
		refused bool
		isNew   bool
		damaged bool
		lesser  bool
	}{
		{what: "no directory", prepare: func(dir, _ string) error { return os.RemoveAll(dir) }, isNew: true},
		{what: "an empty directory", prepare: emptied, isNew: true},
		{what: "as it was left", prepare: asLeft},
		{what: "the key is gone", prepare: func(dir, _ string) error { return os.Remove(filepath.Join(dir, "journal.key")) }, refused: true},
		{what: "the key is another", prepare: keyed(other), refused: true},
		{what: "the key is rubbish", prepare: keyed("rubbish"), refused: true},
		{what: "the key is empty", prepare: keyed(""), refused: true},
		{what: "rubbish from a first start", prepare: func(dir, key string) error {
			if err := emptied(dir, key); err != nil {
				return err
			}
			return keyed("rubbish")(dir, key)
		}, refused: true},
		{what: "named key", key: own, prepare: emptied, isNew: true},
		{what: "named key of another journal", key: own, prepare: asLeft, refused: true},
		{what: "named key is rubbish", key: "rubbish", prepare: emptied, refused: true},
		{what: "named key is missing", key: own, prepare: func(_, key string) error { return os.Remove(key) }, refused: true},
		{what: "named key is missing for a new journal", key: own, prepare: func(dir, key string) error {
			if err := os.Remove(key); err != nil {
				return err
			}
			return os.RemoveAll(dir)
		}, refused: true},
		{what: "no FORMAT", prepare: func(dir, _ string) error { return os.Remove(filepath.Join(dir, "FORMAT")) }, refused: true},
		{what: "a file in its place", prepare: func(dir, _ string) error {
			if err := os.RemoveAll(dir); err != nil {
				return err
			}
			return os.WriteFile(dir, nil, 0o600)
		}, refused: true},
		{what: "no store", prepare: func(dir, _ string) error { return os.RemoveAll(filepath.Join(dir, "store")) }, damaged: true},
		{what: "an empty store", prepare: func(dir, _ string) error {
			if err := os.RemoveAll(filepath.Join(dir, "store")); err != nil {
				return err
			}
			return os.Mkdir(filepath.Join(dir, "store"), 0o700)
		}, damaged: true},
		{what: "rubbish for options", prepare: func(dir, _ string) error {
			paths, err := filepath.Glob(filepath.Join(dir, "store", "OPTIONS-*"))
			if err != nil || len(paths) == 0 {
				return fmt.Errorf("%d options files, %w", len(paths), err)
			}
			return os.WriteFile(paths[len(paths)-1], []byte("rubbish"), 0o600)
		}, lesser: true},
	} {
		t.Run(c.what, func(t *testing.T) {
			options := Options{Dir: filepath.Join(t.TempDir(), "j")}
			j := open(t, options)
			add(t, j, segment(tenant("a"), "s"), audience.Add, keys(1)...)
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			if c.key != "" {
				options.KeyFile = filepath.Join(t.TempDir(), "named.key")
				if err := os.WriteFile(options.KeyFile, []byte(c.key), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := c.prepare(options.Dir, options.KeyFile); err != nil {
				t.Fatal(err)
			}
			found, j := foretold(t, c.what, options)
			if j != nil {
				defer j.Close()
			}
			if (len(found.Faults) > 0) != c.refused || found.New != c.isNew || (found.Damage != nil) != c.damaged || (found.Lesser != nil) != c.lesser || found.Holder != 0 {
				t.Errorf("%+v", found)
			}
		})
	}
}

func asLeft(string, string) error { return nil }

func emptied(dir, _ string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.Mkdir(dir, 0o700)
}

func keyed(text string) func(dir, keyFile string) error {
	return func(dir, _ string) error { return os.WriteFile(filepath.Join(dir, "journal.key"), []byte(text), 0o600) }
}

// TestInspectAfterAKill: what a log holds and no table has is no damage.
func TestInspectAfterAKill(t *testing.T) {
	from, dir := filepath.Join(t.TempDir(), "j"), filepath.Join(t.TempDir(), "copy")
	j := open(t, Options{Dir: from})
	who := tenant("a")
	j.PutTenant(who)
	for n := range 50 {
		add(t, j, segment(who, "s"), audience.Add, numbers(1000*n, 1000)...)
	}
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	found, copied := foretold(t, "killed", Options{Dir: dir})
	if len(found.Faults) > 0 || found.Damage != nil || found.New || found.Free == 0 {
		t.Errorf("%+v", found)
	}
	if err := copied.Close(); err != nil {
		t.Error(err)
	}
}
