package test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"audiences/sandbox"
	"audiences/test/harness"
)

// alert is one rule of deploy/prometheus.
type alert struct{ name, expr, heading string }

func alertRules(t *testing.T) (alerts []alert) {
	t.Helper()
	text := readFile(t, "deploy/prometheus/audiences.rules.yml")
	rule := regexp.MustCompile(`(?m)- alert: (\w+)\n\s+expr: '(.+)'\n(?s:.+?)runbook\.md#([\w-]+)'`)
	for _, found := range rule.FindAllStringSubmatch(text, -1) {
		alerts = append(alerts, alert{found[1], found[2], found[3]})
	}
	if n := strings.Count(text, "- alert:"); len(alerts) == 0 || len(alerts) != n {
		t.Fatalf("%d of %d alerts can be read", len(alerts), n)
	}
	return alerts
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(harness.Project, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// expectShown looks for the metrics and the labels of an expression in what a relay shows.
// Those of nodes that share a journal are compared with a node in test/cluster.
func expectShown(t *testing.T, name, expr, metrics string) {
	t.Helper()
	ofNodes := table(t, "docs/metrics.md", "metric of nodes")
	for _, metric := range regexp.MustCompile(`audiences_\w+`).FindAllString(expr, -1) {
		if ofNodes[strings.TrimSuffix(metric, "_bucket")] != nil {
			continue
		}
		if !regexp.MustCompile(`(?m)^` + metric + `[{ ]`).MatchString(metrics) {
			t.Errorf("%s: a relay has no metric %s", name, metric)
		}
	}
	for _, label := range regexp.MustCompile(`(\w+)!?="(\w+)"`).FindAllStringSubmatch(expr, -1) {
		if shown := label[1] + `="` + label[2] + `"`; label[1] != "job" && !strings.Contains(metrics, shown) {
			t.Errorf("%s: no metric has the label %s", name, shown)
		}
	}
	for _, by := range regexp.MustCompile(`by \(([\w, ]+)\)`).FindAllStringSubmatch(expr, -1) {
		for label := range strings.SplitSeq(by[1], ", ") {
			if label != "instance" && !strings.Contains(metrics, label+`="`) {
				t.Errorf("%s: no metric has the label %s", name, label)
			}
		}
	}
}

// TestAlerts: each alert asks for metrics that a relay or a node shows from its start, names a
// heading of the runbook that exists, and stands in docs/metrics.md as it is.
func TestAlerts(t *testing.T) {
	t.Parallel()
	p := harness.NewSite(t, sandbox.Options{}, nil).Start()
	a, err := p.AdminGet("/metrics")
	if err != nil {
		t.Fatal(err)
	}
	headings := map[string]bool{}
	for _, heading := range regexp.MustCompile(`(?m)^##+ (.+)$`).FindAllStringSubmatch(readFile(t, "docs/runbook.md"), -1) {
		anchor := regexp.MustCompile(`[^\w -]`).ReplaceAllString(strings.ToLower(heading[1]), "")
		headings[strings.ReplaceAll(anchor, " ", "-")] = true
	}
	documented := table(t, "docs/metrics.md", "alert")
	for _, rule := range alertRules(t) {
		if !headings[rule.heading] {
			t.Errorf("%s: the runbook has no heading %s", rule.name, rule.heading)
		}
		if got := plainCell(documented[rule.name]["expression"]); got != rule.expr {
			t.Errorf("%s: docs/metrics.md has %q, want %q", rule.name, got, rule.expr)
		}
		delete(documented, rule.name)
		expectShown(t, rule.name, rule.expr, a.Body)
	}
	for name := range documented {
		t.Errorf("there is no alert %s", name)
	}
}

// TestDashboard: each panel of Grafana's dashboard asks for metrics that a relay shows from
// its start, says what it shows, and lies on no other.
func TestDashboard(t *testing.T) {
	t.Parallel()
	p := harness.NewSite(t, sandbox.Options{}, nil).Start()
	a, err := p.AdminGet("/metrics")
	if err != nil {
		t.Fatal(err)
	}
	taken, ids := map[[2]int]string{}, map[int]bool{}
	for _, panel := range harness.ReadDashboard(t).Panels {
		if ids[panel.ID] {
			t.Errorf("%s: the id %d is taken", panel.Title, panel.ID)
		}
		ids[panel.ID] = true
		at := panel.GridPos
		for x := at.X; x < at.X+at.W; x++ {
			for y := at.Y; y < at.Y+at.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%s lies on %q, or outside", panel.Title, other)
				}
				taken[[2]int{x, y}] = panel.Title
			}
		}
		if panel.Type != "row" && (panel.Description == "" || len(panel.Targets) == 0) {
			t.Errorf("%s says nothing of itself, or asks for nothing", panel.Title)
		}
		for _, target := range panel.Targets {
			expectShown(t, panel.Title, target.Expr, a.Body)
		}
	}
}
