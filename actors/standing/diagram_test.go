package standing

import (
	"math/bits"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestDiagramIsTheTable holds docs/segment-states.md against the transitions of the
// code: none missing, none invented, and every state explained.
func TestDiagramIsTheTable(t *testing.T) {
	text, err := os.ReadFile("../../docs/segment-states.md")
	if err != nil {
		t.Fatal(err)
	}
	var table, starts []string
	for _, s := range states() {
		if initial&s != 0 {
			starts = append(starts, s.String())
		}
	}
	for _, row := range transitions {
		table = append(table, row.from.String()+" --> "+row.to.String()+": "+string(row.on))
	}
	drawn, drawnStarts := readDiagram(string(text))
	compare(t, "transition", drawn, table)
	compare(t, "initial state", drawnStarts, starts)

	var explained []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| .+ \\|$").FindAllStringSubmatch(string(text), -1) {
		explained = append(explained, row[1])
	}
	compare(t, "explained state", explained, stateNames[:])
}

// readDiagram lists the arrows of the mermaid diagram, and where its parts begin.
func readDiagram(page string) (arrows, starts []string) {
	_, diagram, _ := strings.Cut(page, "```mermaid")
	diagram, _, _ = strings.Cut(diagram, "```")
	for line := range strings.Lines(diagram) {
		line = strings.TrimSpace(line)
		if start, ok := strings.CutPrefix(line, "[*] --> "); ok {
			starts = append(starts, start)
		} else if strings.Contains(line, "-->") {
			arrows = append(arrows, line)
		}
	}
	return arrows, starts
}

func compare(t *testing.T, what string, page, code []string) {
	t.Helper()
	for _, one := range page {
		if !slices.Contains(code, one) {
			t.Errorf("the page has a %s that the code has not: %s", what, one)
		}
	}
	for _, one := range code {
		if !slices.Contains(page, one) {
			t.Errorf("the code has a %s that the page has not: %s", what, one)
		}
	}
	if len(page) != len(code) {
		t.Errorf("%d times %s on the page, %d in the code", len(page), what, len(code))
	}
}

// TestComparisonCatches: a page with one transition more, less or different is noticed.
func TestComparisonCatches(t *testing.T) {
	page := "```mermaid\nstateDiagram-v2\n  state \"x\" as y {\n    [*] --> a\n    a --> b: go\n    b --> a: back\n  }\n```\nc --> d: no diagram"
	arrows, starts := readDiagram(page)
	if !slices.Equal(arrows, []string{"a --> b: go", "b --> a: back"}) || !slices.Equal(starts, []string{"a"}) {
		t.Errorf("read %q from %q", arrows, starts)
	}
	for _, code := range [][]string{{"a --> b: go"}, {"a --> b: go", "b --> a: back", "b --> b: stay"}, {"a --> b: go", "b --> a: away"}} {
		silent := &testing.T{}
		if compare(silent, "transition", arrows, code); !silent.Failed() {
			t.Errorf("%q is taken for %q", code, arrows)
		}
	}
}

// TestOneStateOfEachPart: whatever happens, in whatever order.
func TestOneStateOfEachPart(t *testing.T) {
	parts := []state{phases, unread | unreadable | overruled | read | counted | yielded, running | paused,
		open | missing | parked | full, keeping | discarding, serving | draining | drained}
	rapid.Check(t, func(t *rapid.T) {
		s := New(limits)
		for _, row := range rapid.SliceOf(rapid.SampledFrom(transitions)).Draw(t, "events") {
			s.happen(row.on)
			for _, part := range parts {
				if bits.OnesCount32(uint32(s.now&part)) != 1 {
					t.Fatalf("after %q: %b of %b", row.on, s.now, part)
				}
			}
		}
	})
}

// states are all of them.
func states() (all []state) {
	for n := range stateNames {
		all = append(all, 1<<n)
	}
	return all
}

// TestTableIsSound: an event leads from a state to one other state, in the same part,
// and every state can be reached.
func TestTableIsSound(t *testing.T) {
	part := func(s state) int { // counted by the initial states up to it
		return bits.OnesCount32(uint32(initial & (s<<1 - 1)))
	}
	reached := initial
	seen := map[transition]bool{}
	for _, row := range transitions {
		if row.from == row.to || part(row.from) != part(row.to) {
			t.Errorf("%s --> %s: leads nowhere, or elsewhere", row.from, row.to)
		}
		if way := (transition{from: row.from, on: row.on}); seen[way] {
			t.Errorf("%s, %s: leads to two states", row.from, row.on)
		} else {
			seen[way] = true
		}
		reached |= row.to
	}
	if last := states()[len(stateNames)-1]; last != drained {
		t.Errorf("the last name is that of %d, want %d", last, drained)
	}
	for _, s := range states() {
		if reached&s == 0 {
			t.Errorf("%s is never reached", s)
		}
	}
}
