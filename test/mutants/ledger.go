package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// ledger remembers what came of each mutant, a line each, so that a run that was
// stopped goes on where it was. A mutant whose function has changed since has
// another id, and is tried again.
type ledger struct {
	mu    sync.Mutex
	tried map[string]outcome
	file  *os.File
}

// entry is a line of the file.
type entry struct {
	ID      string  `json:"id"`
	Outcome outcome `json:"outcome"`
	Seconds float64 `json:"seconds"`
	What    string  `json:"what"`
}

func openLedger(path string) (*ledger, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	l := &ledger{tried: map[string]outcome{}, file: file}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var e entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("read ledger: %w", errors.Join(err, file.Close()))
		}
		l.tried[e.ID] = e.Outcome
	}
	return l, lines.Err()
}

func (l *ledger) close() { _ = l.file.Close() }

func (l *ledger) knows(s site) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.tried[s.id]
	return ok
}

func (l *ledger) note(s site, o outcome, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tried == nil {
		l.tried = map[string]outcome{}
	}
	l.tried[s.id] = o
	fmt.Printf("%-16s %5.1f s  %s\n", o, took.Seconds(), s)
	line, err := json.Marshal(entry{s.id, o, took.Seconds(), s.String()})
	if err == nil {
		_, err = l.file.Write(append(line, '\n'))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants: write ledger:", err)
	}
}

// report counts what is known of the sample, and lists the survivors with what
// the known ones are said to be: "equivalent" is left out of the count.
func (l *ledger) report(to io.Writer, sample []site, known string) error {
	reasons, err := os.ReadFile(known)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("read known survivors: %w", err)
	}
	type count struct{ tried, noticed, equivalent int }
	counts, total := map[string]*count{}, &count{}
	var survivors []string
	for _, s := range sample {
		o, ok := l.tried[s.id]
		if !ok || o == unborn {
			continue
		}
		if counts[s.dir] == nil {
			counts[s.dir] = &count{}
		}
		for _, c := range []*count{counts[s.dir], total} {
			c.tried++
			if o != survived {
				c.noticed++
			} else if equivalent(string(reasons), s.id) {
				c.equivalent++
			}
		}
		if o == survived {
			survivors = append(survivors, fmt.Sprintf("| `%s` | `%s` `%s` | `%s` | `%s` |", s.id, s.file, s.function, brief(s.from), brief(s.to)))
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(counts)) {
		c := counts[dir]
		fmt.Fprintf(to, "%-12s %4d mutants, %4d noticed, %3d equivalent: %.1f %%\n", dir, c.tried, c.noticed, c.equivalent, percent(c.noticed, c.tried-c.equivalent))
	}
	fmt.Fprintf(to, "%-12s %4d mutants, %4d noticed, %3d equivalent: %.1f %%\n", "all", total.tried, total.noticed, total.equivalent, percent(total.noticed, total.tried-total.equivalent))
	for _, row := range survivors {
		fmt.Fprintln(to, row)
	}
	return nil
}

func percent(part, whole int) float64 { return 100 * float64(part) / float64(max(1, whole)) }

// equivalent reports whether a row of the document says so of this mutant.
func equivalent(document, id string) bool {
	for line := range strings.Lines(document) {
		if strings.Contains(line, "`"+id+"`") && strings.Contains(line, "equivalent") {
			return true
		}
	}
	return false
}
