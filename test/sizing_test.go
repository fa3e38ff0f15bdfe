package test

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestSizing: docs/sizing.md quotes figures that stand in the documents that it names, in
// the rows that it names, and its examples are what its arithmetic makes of them.
func TestSizing(t *testing.T) {
	t.Parallel()
	page := document(t, "docs/sizing.md")
	figures := map[string]float64{}
	for _, row := range rowsOf(t, page, "## Figures") {
		name, figure, from, place := row[0], row[1], row[2], row[3]
		if !quoted(document(t, "docs/"+from), figure, place) {
			t.Errorf("%s has no %s in the row %q", from, figure, place)
		}
		figures[name] = numberIn(t, figure)
	}
	if len(figures) < 10 {
		t.Fatalf("%d figures", len(figures))
	}
	most, segment := figures["the most memory that was seen, with 10,000,000 keys pending"], figures["memory for a segment that has delivered everything"]
	examples := rowsOf(t, page, "## Examples")
	if len(examples) < 3 {
		t.Fatalf("%d examples", len(examples))
	}
	for _, row := range examples {
		var n []float64
		for _, cell := range row[1:] {
			n = append(n, numberIn(t, cell))
		}
		posts, takes, segments, known, keys := n[0], n[1], n[2], n[3], n[4]
		want := []string{
			fmt.Sprintf("%.0f", math.Ceil(posts*takes/1e6/0.5)),
			fmt.Sprintf("%.0f", math.Ceil((most+known*segment/1e6)/10)*10),
			fmt.Sprintf("%.1f", 1.2+keys*2*figures["disk for a pending key"]/1e9),
			fmt.Sprintf("%.0f", segments*2/10),
			fmt.Sprintf("%.0f", max(10, segments*2/20)),
		}
		if got := row[6:]; !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", row[0], got, want)
		}
		if !slices.ContainsFunc(rowsOf(t, page, "## Figures"), func(f []string) bool { return f[1] == row[2] }) {
			t.Errorf("%s: %s is no figure of the page", row[0], row[2])
		}
	}
}

// rowsOf are the cells of the first table under a heading, without its head.
func rowsOf(t *testing.T, page, heading string) (rows [][]string) {
	t.Helper()
	_, text, ok := strings.Cut(page, heading+"\n")
	if !ok {
		t.Fatalf("no heading %s", heading)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	for line := range strings.Lines(text) {
		if cells, is := strings.CutPrefix(strings.TrimSpace(line), "| "); is {
			rows = append(rows, strings.Split(strings.TrimSuffix(cells, " |"), " | "))
		}
	}
	if len(rows) < 2 {
		t.Fatalf("no table under %s", heading)
	}
	return rows[1:]
}

// quoted: a line of the document begins with that place and has the figure's number. A
// place with a comma is a row's and that of its table: "row, head of the table".
func quoted(text, figure, place string) bool {
	row, table, inTable := strings.Cut(place, ", ")
	if !inTable || strings.Contains(text, "| "+place+" |") {
		row, table = place, ""
	}
	number := regexp.MustCompile(`(?:^|[^\d.,])` + regexp.QuoteMeta(strings.Fields(figure)[0]) + `(?:$|[^\d])`)
	here := table == ""
	for line := range strings.Lines(text) {
		if table != "" && strings.HasPrefix(line, "| ") && strings.Contains(line, table) {
			here = true
		}
		if strings.TrimSpace(line) == "" {
			here = table == ""
		}
		if here && strings.Contains(line, row) && number.MatchString(line) {
			return true
		}
	}
	return false
}

// numberIn is the number at the beginning of a text, with or without commas.
func numberIn(t *testing.T, text string) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(strings.ReplaceAll(strings.Fields(text)[0], ",", ""), 64)
	if err != nil {
		t.Errorf("%q begins with no number", text)
	}
	return n
}

// TestQuotesCatch: a figure that stands elsewhere, or in another table, is none of the row.
func TestQuotesCatch(t *testing.T) {
	t.Parallel()
	const text = "| kept | us |\n|---|---|\n| relay | 67 (65 to 75) us |\n| other | 392 |\n\n| new connection | us |\n|---|---|\n| relay | 392 |\n\nIt grows by 45 bytes a key.\n"
	for place, figure := range map[string]string{"relay, kept": "67 us", "relay, new connection": "392 us", "It grows by": "45 bytes"} {
		if !quoted(text, figure, place) {
			t.Errorf("%s is not found in %q", figure, place)
		}
	}
	for place, figure := range map[string]string{"relay, kept": "392 us", "relay, new connection": "67 us", "It grows by": "4 bytes", "none": "45", "other": "39 us"} {
		if quoted(text, figure, place) {
			t.Errorf("%s is found in %q", figure, place)
		}
	}
}
