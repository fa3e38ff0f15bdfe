package test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"audiences/config"
	"audiences/sandbox"
	"audiences/splitclient"
	"audiences/test/harness"
)

// TestConfigurationIsDocumented holds docs/configuration.md against the keys that
// there are: none missing, none invented, the same variables and defaults.
func TestConfigurationIsDocumented(t *testing.T) {
	t.Parallel()
	documented := table(t, "docs/configuration.md", "key")
	var secrets, live []string
	for _, key := range config.Keys() {
		row, ok := documented[key.Name]
		if !ok {
			t.Errorf("key %s is not documented", key.Name)
			continue
		}
		delete(documented, key.Name)
		if got := plainCell(row["environment"]); got != key.Env {
			t.Errorf("key %s: variable %q, want %q", key.Name, got, key.Env)
		}
		if key.Live {
			live = append(live, key.Name)
		}
		if key.FileEnv != "" {
			secrets = append(secrets, key.Env)
		}
		if got := plainCell(row["default"]); got != key.Default && (key.Default != "" || got != "empty") {
			t.Errorf("key %s: default %q, want %q", key.Name, got, key.Default)
		}
		if row["meaning"] == "" {
			t.Errorf("key %s has no meaning", key.Name)
		}
	}
	for name := range documented {
		t.Errorf("there is no key %s", name)
	}
	if got := takenLive(t); !slices.Equal(got, live) {
		t.Errorf("taken without a restart: %q, want %q", got, live)
	}
	if got := secretsFromFiles(t); !slices.Equal(got, secrets) {
		t.Errorf("variables with a _FILE variant: %q, want %q", got, secrets)
	}
}

// takenLive are the keys that the text says are taken without a restart.
func takenLive(t *testing.T) (keys []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(harness.Project, "docs/configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(text), "\nTaken without a restart:")
	list, _, _ = strings.Cut(list, " (")
	for _, found := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(list, -1) {
		keys = append(keys, found[1])
	}
	return keys
}

// secretsFromFiles are the variables that the text names where it speaks of `_FILE`.
func secretsFromFiles(t *testing.T) (variables []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(harness.Project, "docs/configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, "`_FILE`") {
			variables = append(variables, regexp.MustCompile(`AUDIENCES_[A-Z_]+`).FindAllString(line, -1)...)
		}
	}
	return variables
}

// TestMetricsAreDocumented holds docs/metrics.md against the metrics of a relay
// that has just started: all series are there from the beginning.
func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	p := harness.NewSite(t, sandbox.Options{}, nil).Start()
	a, err := p.AdminGet("/metrics")
	if err != nil || a.Status != 200 {
		t.Fatalf("%d %v", a.Status, err)
	}
	documented := table(t, "docs/metrics.md", "metric")
	for name, m := range exposed(a.Body) {
		row, ok := documented[name]
		if !ok {
			t.Errorf("metric %s is not documented", name)
			continue
		}
		delete(documented, name)
		labels := regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(row["labels"], -1)
		var named []string
		for _, label := range labels {
			named = append(named, label[1])
		}
		slices.Sort(named)
		if want := slices.Sorted(maps.Keys(m.labels)); plainCell(row["type"]) != m.kind || !slices.Equal(named, want) {
			t.Errorf("metric %s: %s %q, want %s %q", name, row["type"], named, m.kind, want)
		}
	}
	for name := range documented {
		t.Errorf("there is no metric %s", name)
	}
}

// TestReasonsAreDocumented: an operator finds every reason of a waiting or refused
// key explained.
func TestReasonsAreDocumented(t *testing.T) {
	t.Parallel()
	documented := table(t, "docs/metrics.md", "reason")
	for _, reason := range splitclient.Reasons() {
		if _, ok := documented[string(reason)]; !ok {
			t.Errorf("reason %s is not documented", reason)
		}
		delete(documented, string(reason))
	}
	for name := range documented {
		t.Errorf("there is no reason %s", name)
	}
}

// TestCausesAreDocumented holds the causes of refusals, all of which a relay shows from
// its start, against the table.
func TestCausesAreDocumented(t *testing.T) {
	t.Parallel()
	p := harness.NewSite(t, sandbox.Options{}, nil).Start()
	a, err := p.AdminGet("/metrics")
	if err != nil || a.Status != 200 {
		t.Fatalf("%d %v", a.Status, err)
	}
	documented := table(t, "docs/metrics.md", "cause")
	for _, series := range regexp.MustCompile(`audiences_requests_refused_total\{cause="(\w+)"\} 0\n`).FindAllStringSubmatch(a.Body, -1) {
		if _, ok := documented[series[1]]; !ok {
			t.Errorf("cause %s is not documented", series[1])
		}
		delete(documented, series[1])
	}
	for name := range documented {
		t.Errorf("there is no cause %s", name)
	}
}

// metric is what the exposition format tells of one.
type metric struct {
	kind   string
	labels map[string]bool
}

// exposed reads our own metrics out of the text format.
func exposed(text string) map[string]metric {
	metrics := map[string]metric{}
	sample := regexp.MustCompile(`^(audiences_\w+?)(?:_bucket|_sum|_count)?(?:\{(.*)\})? `)
	label := regexp.MustCompile(`(\w+)="(?:[^"\\]|\\.)*"`)
	for line := range strings.Lines(text) {
		if words := strings.Fields(line); len(words) == 4 && words[1] == "TYPE" && strings.HasPrefix(words[2], "audiences_") {
			metrics[words[2]] = metric{kind: words[3], labels: map[string]bool{}}
			continue
		}
		parts := sample.FindStringSubmatch(line)
		if parts == nil {
			continue
		}
		m, ok := metrics[parts[1]]
		if !ok { // a counter or gauge whose own name ends so
			m = metrics[strings.FieldsFunc(line, func(r rune) bool { return r == '{' || r == ' ' })[0]]
		}
		for _, l := range label.FindAllStringSubmatch(parts[2], -1) {
			if l[1] != "le" {
				m.labels[l[1]] = true
			}
		}
	}
	return metrics
}

// table reads the rows of every Markdown table of a document whose first column
// has that heading: first cell (without backquotes) to heading to cell.
func table(t *testing.T, document, first string) map[string]map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(harness.Project, document))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]map[string]string{}
	var headings []string
	for line := range strings.Lines(string(text)) {
		cells := cellsOf(line)
		switch {
		case cells == nil:
			headings = nil
		case headings == nil:
			headings = cells
		case headings[0] != first || strings.Trim(cells[0], "-: ") == "":
		default:
			name := plainCell(cells[0])
			if rows[name] != nil {
				t.Errorf("%s has %s twice", document, name)
			}
			rows[name] = map[string]string{}
			for i, heading := range headings {
				if i < len(cells) {
					rows[name][heading] = cells[i]
				}
			}
		}
	}
	if len(rows) == 0 {
		t.Fatalf("%s has no table with the heading %q", document, first)
	}
	return rows
}

func cellsOf(line string) []string {
	line = strings.TrimSpace(line)
	if !strings.HasPrefix(line, "|") {
		return nil
	}
	cells := strings.Split(strings.Trim(line, "|"), "|")
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	return cells
}

func plainCell(cell string) string { return strings.Trim(cell, "` ") }
