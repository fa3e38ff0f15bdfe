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

// TestAlerts: each alert asks for metrics that a relay shows from its start, names a
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
		for _, name := range regexp.MustCompile(`audiences_\w+`).FindAllString(rule.expr, -1) {
			if !regexp.MustCompile(`(?m)^` + name + `[{ ]`).MatchString(a.Body) {
				t.Errorf("%s: a relay has no metric %s", rule.name, name)
			}
		}
		for _, label := range regexp.MustCompile(`(\w+)="(\w+)"`).FindAllStringSubmatch(rule.expr, -1) {
			if label[1] != "job" && !strings.Contains(a.Body, label[0]) {
				t.Errorf("%s: no metric has the label %s", rule.name, label[0])
			}
		}
	}
	for name := range documented {
		t.Errorf("there is no alert %s", name)
	}
}
