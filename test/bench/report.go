package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// report gathers what the scenarios found: a line per target, and the tables and
// the plot of docs/performance.md.
type report struct {
	options
	lines  []line
	blocks map[string]string // what stands between the markers of that name
	files  map[string][]byte // below docs/
	noise  []string          // why the figures are not to be written down
}

// line is one target and what was measured.
type line struct {
	what, target, measured string
	holds                  bool
	failed                 bool // also by the generous limit of the short form
}

func newReport(o options) *report {
	return &report{options: o, blocks: map[string]string{}, files: map[string][]byte{}}
}

// check notes a measurement. hard is what even a busy machine must reach.
func (r *report) check(what, target, measured string, holds, hard bool) {
	r.lines = append(r.lines, line{what, target, measured, holds, !hard})
	fmt.Printf("%-66s %-34s target %s\n", what, measured, target)
}

// atLeast checks that a server reached that ratio of another in posts a second;
// least is what even a busy machine must show.
func (r *report) atLeast(what string, t *turns, of string, target, least float64) {
	ratio := t.ratio(relayServer, of)
	r.check(what+", of "+of, fmt.Sprintf("%.2f", target), ratio.text("%.2f"), ratio.median >= target, ratio.median >= least)
}

// turns puts the table of a load into a block of the document.
func (r *report) turns(block, what string, t *turns) {
	r.table(block, t.rows(what, loadFigures))
	r.steady(what, t, loadFigures[0])
}

// steady notes where a figure's turns lie too far apart to be written down.
func (r *report) steady(what string, t *turns, f figure) {
	for _, server := range t.servers {
		if s := t.spread(server, f.of); s.width() > quietSpread {
			r.disturb("%s, %s: %s %s", what, server, s.text(f.format), f.heading)
		}
	}
}

// disturb notes that the machine was not quiet.
func (r *report) disturb(format string, args ...any) {
	r.noise = append(r.noise, fmt.Sprintf(format, args...))
}

// quiet fails where something disturbed the run.
func (r *report) quiet() error {
	if len(r.noise) == 0 {
		return nil
	}
	return errors.New("the machine was not quiet:\n\t" + strings.Join(r.noise, "\n\t"))
}

// table puts a table into a block of the document, below those that are there.
func (r *report) table(block string, rows [][]string) {
	var out strings.Builder
	for i, row := range rows {
		fmt.Fprintf(&out, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			out.WriteString(strings.Repeat("|---", len(row)) + "|\n")
		}
	}
	if r.blocks[block] != "" {
		r.blocks[block] += "\n"
	}
	r.blocks[block] += out.String()
	fmt.Print(out.String())
}

func (r *report) print(w io.Writer) {
	held := 0
	for _, l := range r.lines {
		mark := "missed"
		if l.holds {
			mark = "holds"
			held++
		}
		fmt.Fprintf(w, "%-7s %-66s %-34s target %s\n", mark, l.what, l.measured, l.target)
	}
	fmt.Fprintf(w, "%d of %d targets hold\n", held, len(r.lines))
	if err := r.quiet(); err != nil {
		fmt.Fprintln(w, err)
	}
}

// verdict fails the short form where even its generous limits were missed.
func (r *report) verdict() error {
	if !r.quick {
		return nil
	}
	var faults []error
	for _, l := range r.lines {
		if l.failed {
			faults = append(faults, fmt.Errorf("%s: %s, far from %s", l.what, l.measured, l.target))
		}
	}
	return errors.Join(faults...)
}

// docs is where the document is, seen from the root of the project.
const docs = "docs"

// write puts the tables between their markers in docs/performance.md, and the
// lines into its first one. It refuses to where the machine was not quiet: such
// figures say more of the machine than of the relay.
func (r *report) write() error {
	if err := r.quiet(); err != nil {
		return fmt.Errorf("docs/performance.md is not written: %w", err)
	}
	rows := [][]string{{"what", "target", "measured", ""}}
	for _, l := range r.lines {
		rows = append(rows, []string{l.what, l.target, l.measured, map[bool]string{true: "holds", false: "**missed**"}[l.holds]})
	}
	r.table("targets", rows)
	r.blocks["machine"] = fmt.Sprintf("Written by `make bench` on %s, on %s. Each figure is the median of its turns, with the least and the greatest in brackets.\n", time.Now().Format(time.DateOnly), machine())
	path := filepath.Join(docs, "performance.md")
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("write tables: %w", err)
	}
	out, err := fill(string(text), r.blocks)
	if err != nil {
		return err
	}
	for name, content := range r.files {
		if err := os.WriteFile(filepath.Join(docs, name), content, 0o644); err != nil {
			return fmt.Errorf("write plot: %w", err)
		}
	}
	return os.WriteFile(path, []byte(out), 0o644)
}

// fill replaces what stands between <!-- bench NAME --> and <!-- end NAME -->.
func fill(text string, blocks map[string]string) (string, error) {
	for name, block := range blocks {
		begin, end := "<!-- bench "+name+" -->\n", "<!-- end "+name+" -->"
		before, rest, found := strings.Cut(text, begin)
		_, after, closed := strings.Cut(rest, end)
		if !found || !closed {
			return "", fmt.Errorf("the document has no place for %q", name)
		}
		text = before + begin + block + end + after
	}
	return text, nil
}

// machine says what a reader needs to know of it.
func machine() string {
	model := "an unknown processor"
	text, _ := os.ReadFile("/proc/cpuinfo") // the figures are worth something without it
	cores := strings.Count("\n"+string(text), "\nprocessor")
	for l := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(name) == "model name" {
			model = strings.TrimSpace(value)
		}
	}
	return fmt.Sprintf("%d cores of %s", cores, model)
}

// median of values; the upper one of two.
func median[T interface{ ~int64 | ~float64 }](values []T) T {
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	return sorted[len(sorted)/2]
}

func micros(d time.Duration) string {
	return fmt.Sprintf("%.0f us", float64(d)/float64(time.Microsecond))
}

func millis(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}
