package harness

import (
	"testing"

	"audiences/sandbox"
)

// TestLedger: every way in which the look-alike can differ from what was accepted is
// seen, and a change without an answer may have happened or not.
func TestLedger(t *testing.T) {
	accept := func(verb string, keys ...string) func(*Ledger) {
		c := Change{Segment: "s", Verb: verb, Keys: keys}
		return func(l *Ledger) { l.Try(c); l.Accept(c) }
	}
	doubt := func(verb string, keys ...string) func(*Ledger) {
		c := Change{Segment: "s", Verb: verb, Keys: keys}
		return func(l *Ledger) { l.Try(c); l.Doubt(c) }
	}
	for _, c := range []struct {
		what    string
		history []func(*Ledger)
		differs bool
	}{
		{"all there", []func(*Ledger){accept("", "1", "2")}, false},
		{"one missing", []func(*Ledger){accept("add", "1", "2", "3")}, true},
		{"one too many", []func(*Ledger){accept("add", "1")}, true},
		{"deleted, and there", []func(*Ledger){accept("add", "1", "2"), accept("delete", "2")}, true},
		{"deleted, and added again", []func(*Ledger){accept("delete", "1", "2"), accept("add", "1", "2")}, false},
		{"there without an answer", []func(*Ledger){accept("add", "1"), doubt("add", "2")}, false},
		{"not there without an answer", []func(*Ledger){accept("add", "1", "2"), doubt("add", "3")}, false},
		{"there, and the delete has no answer", []func(*Ledger){accept("add", "1", "2"), doubt("delete", "2")}, false},
		{"accepted after the doubt", []func(*Ledger){accept("add", "1", "2"), doubt("add", "2"), accept("delete", "2")}, true},
	} {
		l := NewLedger()
		for _, step := range c.history {
			step(l)
		}
		missing, extra := compare(l.last[placeOf(Change{Segment: "s"}.whole())], l.unsure[placeOf(Change{Segment: "s"}.whole())], []string{"1", "2"})
		if (missing+extra > 0) != c.differs {
			t.Errorf("%s: %d missing, %d too many", c.what, missing, extra)
		}
	}
	split, err := sandbox.Start(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer split.Close()
	l := NewLedger()
	accept("add", "1")(l)
	if l.Difference(split) == "" {
		t.Error("an empty look-alike has everything")
	}
}
