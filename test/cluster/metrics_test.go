//go:build e2e

package cluster

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"audiences/test/harness"
)

// documented are the metrics of a table of docs/metrics.md, with their types.
func documented(t *testing.T, heading string) map[string]string {
	t.Helper()
	_, rest, found := strings.Cut(metricsPage(t), "\n| "+heading+" |")
	if !found {
		t.Fatalf("docs/metrics.md has no table %q", heading)
	}
	rows, _, _ := strings.Cut(rest, "\n\n")
	all := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (\\w+) \\|").FindAllStringSubmatch(rows, -1) {
		all[row[1]] = row[2]
	}
	return all
}

func metricsPage(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(harness.Project, "docs/metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestMetricsOfANode: a node that has just started shows all that docs/metrics.md says, and
// nothing else; what it says of those that are of a journal on disk is true.
func TestMetricsOfANode(t *testing.T) {
	s := newSite(t, nil)
	n := s.begin()
	a, err := n.process.AdminGet("/metrics")
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]string{}
	for _, line := range regexp.MustCompile(`(?m)^# TYPE (audiences_\w+) (\w+)$`).FindAllStringSubmatch(a.Body, -1) {
		shown[line[1]] = line[2]
	}
	ofAll, ofNodes := documented(t, "metric"), documented(t, "metric of nodes")
	for name, kind := range shown {
		if ofAll[name] != kind && ofNodes[name] != kind {
			t.Errorf("%s %s is not documented so", name, kind)
		}
	}
	for name := range ofNodes {
		if shown[name] == "" {
			t.Errorf("%s is documented and not shown", name)
		}
	}
	var missing []string
	for name := range ofAll {
		if shown[name] == "" {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	sentence := regexp.MustCompile(`(?m)^It does not show .*$`).FindString(metricsPage(t))
	named := regexp.MustCompile(`audiences_\w+`).FindAllString(sentence, -1)
	slices.Sort(named)
	if !slices.Equal(named, missing) {
		t.Errorf("not shown are %q, and said to be %q", missing, named)
	}
	promtool := exec.CommandContext(t.Context(), "promtool", "check", "metrics")
	promtool.Stdin = strings.NewReader(strings.Join(regexp.MustCompile(`(?m)^.*audiences_.*\n`).FindAllString(a.Body, -1), ""))
	if out, err := promtool.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestHealthOfTheDatabase: what operators look at first when a node is in trouble.
func TestHealthOfTheDatabase(t *testing.T) {
	s := newSite(t, nil)
	n := s.begin()
	n.process.Shows("audiences_node_slots 256")
	n.process.Shows("audiences_node_lease_held 1")
	n.process.Shows("audiences_nodes 1")
	n.process.Shows("audiences_slots_unowned 0")
	n.process.Shows("audiences_node_egress_share 1")
	n.process.Shows("audiences_database_connections_limit 97")
	if used := n.process.Metric("audiences_database_connections"); used < 1 || used > 8 {
		t.Errorf("%v connections", used)
	}
	if bytes := n.process.Metric("audiences_database_index_bytes"); bytes < 8192 {
		t.Errorf("the index has %v bytes", bytes)
	}
	if err := s.database.Halt(); err != nil {
		t.Fatal(err)
	}
	if a, err := n.process.Post(t.Context(), harness.Change{Segment: "s", Keys: []string{"1"}}); err != nil || a.Status != http.StatusServiceUnavailable {
		t.Errorf("a post without the database: %d, %v", a.Status, err)
	}
	n.process.Shows("audiences_database_away 1")
	n.process.Shows("audiences_node_lease_held 0")
	n.process.Shows("audiences_node_lease_lapses_total 1")
	if err := s.database.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.process.Shows("audiences_database_away 0")
	n.process.Shows("audiences_node_lease_held 1")
}
