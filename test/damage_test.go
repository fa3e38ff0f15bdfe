package test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"audiences/sandbox"
	"audiences/test/harness"
)

const (
	// flipsPerKind is how many bytes TestDamage flips in each kind of file, one at a
	// time.
	flipsPerKind = 3
	// tornEnd bounds the last group of the log, in bytes: nothing behind it proves
	// that it was durable, so a flip in it passes for the torn end that a power loss
	// leaves. The writers' posts have 500 keys; a few of them can share a group.
	tornEnd = 32 << 10
)

// TestDamage turns over single bits in every kind of file of a journal that a
// killed relay left behind. The relay then starts, or refuses with one sentence
// and exit code 1. It never sends what was not posted; if it cannot deliver
// everything it says so on stderr, and the damaged file is still somewhere in the
// directory: nothing is wiped (I3, I8).
func TestDamage(t *testing.T) {
	t.Parallel()
	ledger := harness.NewLedger()
	left := leaveJournal(t, ledger)
	random := rand.New(rand.NewPCG(11, 11))
	kinds := map[string][]string{}
	for name := range filesIn(t, left) {
		kinds[kindOfFile(name)] = append(kinds[kindOfFile(name)], name)
	}
	for _, kind := range []string{"FORMAT", "journal.key", "MANIFEST", "OPTIONS", "marker", "table", "log"} {
		names := kinds[kind]
		if len(names) == 0 {
			t.Fatalf("the journal has no file of kind %s: %v", kind, kinds)
		}
		for range flipsPerKind {
			damaged := flip{name: names[random.IntN(len(names))], at: random.Float64(), bit: 1 << random.IntN(8)}
			t.Run(kind, func(t *testing.T) { damageOne(t, ledger, left, damaged) })
		}
	}
}

// leaveJournal is a journal with pending keys in tables and in a log, as SIGKILL
// leaves it: each start moves what the log of the one before holds into a table.
func leaveJournal(t *testing.T, ledger *harness.Ledger) (dir string) {
	t.Helper()
	s := harness.NewSite(t, sandbox.Options{}, map[string]any{"segmentsFlushRateInSeconds": 3600})
	verbs := []string{"add", "delete"}
	for start := range 3 {
		p := s.Start()
		p.Ready()
		for n := range 20 {
			c := harness.Change{Token: fmt.Sprint("token-", n%3), Segment: fmt.Sprint("s", n), Verb: verbs[(start+n)%2], Keys: numbers(10_000*n+100*start, 500)}
			ledger.Try(c)
			p.MustPost(c)
			ledger.Accept(c)
		}
		p.Kill()
	}
	return s.Journal()
}

// damageOne starts a relay on a damaged copy of the journal.
func damageOne(t *testing.T, ledger *harness.Ledger, left string, damaged flip) {
	s := harness.NewSite(t, sandbox.Options{Allowed: ledger.Allowed}, nil)
	if err := os.CopyFS(s.Journal(), os.DirFS(left)); err != nil {
		t.Fatal(err)
	}
	end := damaged.apply(t, s.Journal())
	before := filesIn(t, s.Journal())

	p := s.Launch()
	select {
	case <-p.Ended:
		verifyRefusal(t, p, before, filesIn(t, s.Journal()))
		return
	case <-p.Listens:
	case <-time.After(harness.Patience):
		t.Fatal("neither started nor refused")
	}
	p.Ready()
	if code := p.Terminate(); code != 0 { // which delivers all that can be
		t.Errorf("exit code %d", code)
	}
	s.Judge()
	difference := ledger.Difference(s.Split)
	reported := strings.Contains(p.Log(), `"level":"error"`)
	t.Logf("%s, %d bytes before its end: started; damage reported: %v; all delivered: %v", damaged.name, end, reported, difference == "")
	if difference == "" || kindOfFile(damaged.name) == "log" && end < tornEnd {
		return
	}
	if !reported {
		t.Errorf("nobody was told that keys are missing:\n%s", difference)
	}
	if !holds(filesIn(t, s.Journal()), before[damaged.name]) {
		t.Error("the bytes of the damaged file are gone")
	}
}

// verifyRefusal looks at the other way out: one sentence, exit code 1, and nothing
// was touched.
func verifyRefusal(t *testing.T, p *harness.Process, before, after map[string]string) {
	t.Helper()
	text := strings.TrimSpace(p.Log())
	if code := p.ExitCode(); code != 1 || !strings.HasPrefix(text, "audiences: ") || strings.Contains(text, "\n") {
		t.Errorf("exit code %d:\n%s", code, text)
	}
	for name, content := range before {
		if after[name] != content {
			t.Errorf("refused, but %s was changed", name)
		}
	}
	t.Logf("refused: %s", text)
}

// flip is one bit of one file of the journal.
type flip struct {
	name string
	at   float64 // share of the file's length
	bit  byte
}

// apply returns how far from the file's end the bit is.
func (f flip) apply(t *testing.T, dir string) (end int) {
	t.Helper()
	path := filepath.Join(dir, f.name)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(content) == 0 { // a marker says all it has to say by its name
		content = []byte{0}
	}
	at := int(f.at * float64(len(content)))
	content[at] ^= f.bit
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return len(content) - at
}
