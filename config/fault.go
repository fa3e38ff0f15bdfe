package config

import (
	"fmt"
	"strings"
)

// Fault is one thing that is wrong with a configuration. It never contains the
// value of a secret (I7).
type Fault struct {
	Source  string // the file as it was named, or "environment variable X"
	Line    int    // counted from 1; 0: not about one line
	Column  int    // counted from 1 in bytes; 0 unless the file is not JSON
	Key     string // the key as it should be, or as it stands there if unknown; "" if not about one key
	Problem string // what is wrong and what would be right
}

// String is the fault on one line: file:line: key "x": problem.
func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(f.Source)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d", f.Line)
	}
	if f.Column > 0 {
		fmt.Fprintf(&b, ":%d", f.Column)
	}
	if f.Key != "" {
		fmt.Fprintf(&b, ": key %s", quoted(f.Key))
	}
	return b.String() + ": " + f.Problem
}

// Faults are all the faults of a configuration: those of the file in its order,
// then those of the environment, then missing keys, then contradictions.
type Faults []Fault

// Error has one fault a line.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.String()
	}
	return strings.Join(lines, "\n")
}

// quoted shows foreign text in a fault, cut where it would fill the screen.
func quoted(s string) string {
	const most = 60
	if len(s) > most {
		return fmt.Sprintf("%.60q...", s)
	}
	return fmt.Sprintf("%q", s)
}

// nearest is the name that was probably meant, "" if none is near. The case does
// not count; about a quarter of the letters may be wrong, or a part be missing.
func nearest(name string, known []string) string {
	best, bound := "", 2+len(name)/4
	if len(name) > 64 {
		return best
	}
	name = strings.ToLower(name)
	for _, candidate := range known {
		lower := strings.ToLower(candidate)
		if d := distance(name, lower); d < bound {
			best, bound = candidate, d
		} else if best == "" && len(name) > 3 && strings.Contains(lower, name) {
			best = candidate
		}
	}
	return best
}

// distance is the number of letters to insert, delete or replace, or of
// neighbours to swap, that makes b of a.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			replace := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			rows[i][j] = min(replace, rows[i-1][j]+1, rows[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
