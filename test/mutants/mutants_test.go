package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const source = `package x

func f(a, b int) (ok bool, err error) {
	if a < b && a != 0 {
		g()
		a++
	}
	log.Info().Msg("told to a person")
	switch {
	case a > 1:
		return true, err
	}
	return false, nil
}
`

// write makes a package of one file, in the working directory of the test.
func write(t *testing.T, text string) {
	t.Helper()
	t.Chdir(t.TempDir())
	if err := os.Mkdir("x", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join("x", "x.go"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestSites: each way to break the source is found, and a log line is left alone.
func TestSites(t *testing.T) {
	write(t, source)
	sites, err := findSites("x")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, s := range sites {
		broken, err := s.broken()
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(broken, []byte(source)) {
			t.Errorf("%s breaks nothing", s)
		}
		found = append(found, s.from+" -> "+s.to)
	}
	for _, want := range []string{
		"a < b && a != 0 -> !(a < b && a != 0)",
		"a < b && a != 0 -> a < b || a != 0",
		"a < b -> a <= b",
		"a != 0 -> a == 0",
		"0 -> 1",
		"g() -> ",
		"a++ -> ",
		"a > 1 -> a >= 1",
		"return true, err -> ",
		"err -> nil",
		"true -> false",
		"false -> true",
	} {
		if !strings.Contains("\n"+strings.Join(found, "\n")+"\n", "\n"+want+"\n") {
			t.Errorf("%q is missing in %q", want, found)
		}
	}
	for _, s := range found {
		if strings.Contains(s, "Msg") {
			t.Errorf("a log line is broken: %q", s)
		}
	}
}

// TestNamesStay: a mutant keeps its name when lines are put in front of its
// function, and no two have the same.
func TestNamesStay(t *testing.T) {
	write(t, source)
	before, err := findSites("x")
	if err != nil {
		t.Fatal(err)
	}
	write(t, strings.Replace(source, "package x\n", "package x\n\n// A comment.\n", 1))
	after, err := findSites("x")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for i := range before {
		if before[i].id != after[i].id {
			t.Errorf("%s became %s", before[i], after[i])
		}
		if seen[before[i].id] {
			t.Errorf("%s has the name of another", before[i])
		}
		seen[before[i].id] = true
	}
}

// TestEveryMutantIsInOneShard also for a number of parts that does not divide.
func TestEveryMutantIsInOneShard(t *testing.T) {
	for i := range 10 {
		var in int
		for part := range 3 {
			if (shard{part + 1, 3}).has(i) {
				in++
			}
		}
		if in != 1 {
			t.Errorf("mutant %d is in %d shards", i, in)
		}
	}
}

// TestLedgerGoesOn: what was tried is known after a restart, and a survivor that
// the document calls equivalent is left out of the count.
func TestLedgerGoesOn(t *testing.T) {
	write(t, source)
	sites, err := findSites("x")
	if err != nil {
		t.Fatal(err)
	}
	first, err := openLedger("ledger")
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range []outcome{caught, survived, unborn, timedOut} {
		first.note(sites[i], o, time.Second)
	}
	first.close()
	if err := os.WriteFile("known.md", []byte("| `"+sites[1].id+"` | equivalent: it is the same |\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	second, err := openLedger("ledger")
	if err != nil {
		t.Fatal(err)
	}
	defer second.close()
	if !second.knows(sites[0]) || second.knows(sites[4]) {
		t.Error("what was tried is not known, or what was not is")
	}
	var report bytes.Buffer
	if err := second.report(&report, sites, "known.md"); err != nil {
		t.Fatal(err)
	}
	if want := "3 mutants,    2 noticed,   1 equivalent: 100.0 %"; !strings.Contains(report.String(), want) {
		t.Errorf("the report is\n%s", report.String())
	}
}

// TestTry tells a mutant that the tests notice from one that they do not, and
// from what is no program at all. The checkout stays as it is.
func TestTry(t *testing.T) {
	const text = "package x\n\nfunc f(a int) int {\n\tif a > 1 {\n\t\treturn a + 1\n\t}\n\treturn a * 1\n}\n"
	write(t, text)
	for name, text := range map[string]string{
		"go.mod":      "module m\n\ngo 1.26\n",
		"x/x_test.go": "package x\n\nimport \"testing\"\n\nfunc TestF(t *testing.T) {\n\tif f(3) != 4 {\n\t\tt.Fatal()\n\t}\n}\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sites, err := findSites("x")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]outcome{
		"a > 1 -> !(a > 1)": caught,
		"a + 1 -> a - 1":    caught,
		"a > 1 -> a >= 1":   survived,
		"a * 1 -> a / 1":    survived,
	}
	for _, s := range sites {
		what := s.from + " -> " + s.to
		if expected, ok := want[what]; ok {
			delete(want, what)
			if got, _ := try(t.Context(), s, time.Minute); got != expected {
				t.Errorf("%s: %s instead of %s", what, got, expected)
			}
		}
	}
	if len(want) > 0 {
		t.Errorf("not tried: %v", want)
	}
	if left, err := os.ReadFile("x/x.go"); err != nil || string(left) != text {
		t.Error("the source is not as it was")
	}
	sites[0].with = "no program ("
	if got, _ := try(t.Context(), sites[0], time.Minute); got != unborn {
		t.Errorf("what does not compile is %q", got)
	}
}
