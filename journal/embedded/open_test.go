package embedded

import (
	"bytes"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"audiences/audience"
	"audiences/journal"
)

// contents is every file under dir with its bytes.
func contents(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		out[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// written makes a journal on disk with one key and closes it.
func written(t testing.TB, options Options) audience.Segment {
	t.Helper()
	who := tenant("a")
	j := open(t, options)
	j.PutTenant(who)
	add(t, j, segment(who, "s"), audience.Add, keys(1)...)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return segment(who, "s")
}

// TestRefusals: what Open refuses it leaves as it is, byte for byte.
func TestRefusals(t *testing.T) {
	otherKey := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(otherKey, []byte(strings.Repeat("ab", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		keyFile string
		spoil   func(dir string) error
		want    string
	}{
		"newer format": {want: "has format 9, this program knows up to 2: use a newer program", spoil: func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "FORMAT"), []byte(`{"format":9,"who":"knows"}`), 0o600)
		}},
		"unreadable format": {want: "unreadable FORMAT", spoil: func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "FORMAT"), []byte("{"), 0o600)
		}},
		"lost format": {want: "there is a store but no FORMAT file", spoil: func(dir string) error {
			return os.Remove(filepath.Join(dir, "FORMAT"))
		}},
		"wrong key":     {keyFile: otherKey, want: "is not the one that this journal was written with"},
		"no configured": {keyFile: otherKey + "-absent", want: "is missing"},
		"lost key": {want: "is missing", spoil: func(dir string) error {
			return os.Remove(filepath.Join(dir, "journal.key"))
		}},
		"cut key": {want: "does not hold 64 hexadecimal digits", spoil: func(dir string) error {
			return os.Truncate(filepath.Join(dir, "journal.key"), 10)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "j")
			written(t, Options{Dir: dir})
			if c.spoil != nil {
				if err := c.spoil(dir); err != nil {
					t.Fatal(err)
				}
			}
			before := contents(t, dir)
			_, err := Open(Options{Dir: dir, KeyFile: c.keyFile})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if !maps.Equal(before, contents(t, dir)) {
				t.Error("the directory was touched")
			}
		})
	}
}

// TestNewWithAConfiguredKeyThatIsAbsent makes up no key: the operator named one.
func TestNewWithAConfiguredKeyThatIsAbsent(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(Options{Dir: filepath.Join(dir, "j"), KeyFile: filepath.Join(dir, "key")}); err == nil {
		t.Error("opened")
	}
	if _, err := os.Stat(filepath.Join(dir, "key")); err == nil {
		t.Error("a key was made up")
	}
}

// TestModes: nobody but the owner can read the key or list the journal.
func TestModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "j")
	written(t, Options{Dir: dir})
	for path, want := range map[string]fs.FileMode{dir: 0o700 | fs.ModeDir, filepath.Join(dir, "journal.key"): 0o600, filepath.Join(dir, "FORMAT"): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

// TestOneProcessPerDirectory: a second Open is refused, in this process and in
// another, and the first goes on.
func TestOneProcessPerDirectory(t *testing.T) {
	if dir := os.Getenv("JOURNAL_TEST_SECOND_PROCESS"); dir != "" {
		_, err := Open(Options{Dir: dir})
		if err == nil || !strings.Contains(err.Error(), "is in use by another process") {
			t.Fatalf("a second process opened it: %v", err)
		}
		return
	}
	options := Options{Dir: t.TempDir()}
	j, seg := open(t, options), segment(tenant("a"), "s")
	if _, err := Open(options); err == nil || !strings.Contains(err.Error(), "is in use by another process") {
		t.Errorf("a second open: %v", err)
	}
	second := exec.Command(os.Args[0], "-test.run=^TestOneProcessPerDirectory$")
	second.Env = append(os.Environ(), "JOURNAL_TEST_SECOND_PROCESS="+options.Dir)
	if out, err := second.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	add(t, j, seg, audience.Add, keys(1)...)
	inMem := inMemory()
	open(t, inMem)
	if _, err := Open(inMem); err == nil {
		t.Error("a second open in memory")
	}
}

// TestTokenIsNeverInClear covers I7 on disk: log, tables, everything.
func TestTokenIsNeverInClear(t *testing.T) {
	dir, who := t.TempDir(), tenant("a")
	j := open(t, Options{Dir: dir})
	j.PutTenant(who)
	add(t, j, segment(who, "s"), audience.Add, keys("visible-key")...)
	inLog := contents(t, dir)
	if err := j.db.Flush(); err != nil {
		t.Fatal(err)
	}
	inTables, found := contents(t, dir), false
	for _, snapshot := range []map[string]string{inLog, inTables} {
		for name, text := range snapshot {
			found = found || bytes.Contains([]byte(text), []byte("visible-key"))
			for _, part := range []string{who.Token.Reveal(), "secret-api", "token-of"} {
				if strings.Contains(text, part) {
					t.Errorf("%q shows in %s", part, name)
				}
			}
		}
	}
	if !found {
		t.Error("the search finds nothing at all")
	}
}

// TestIdleTenantsGo at Open, unless they have a state to keep.
func TestIdleTenantsGo(t *testing.T) {
	options := inMemory()
	j, busy, idle, paused := open(t, options), tenant("busy"), tenant("idle"), tenant("paused")
	for _, who := range []audience.Tenant{busy, idle, paused} {
		j.PutTenant(who)
	}
	done := make(chan error, 1)
	j.SetTenantState(paused.ID, journal.TenantState{Paused: true}, told(done))
	wait(t, done)
	add(t, j, segment(busy, "s"), audience.Add, keys(1)...)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	known, errs := collect(open(t, options).Tenants(audience.AllSlots()))
	if len(known) != 2 || len(errs) > 0 {
		t.Fatalf("%v, %v", known, errs)
	}
	for _, k := range known {
		if k.Tenant == idle {
			t.Error("the idle one is still there")
		}
	}
}
