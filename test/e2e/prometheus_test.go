//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"audiences/sandbox"
	"audiences/test/harness"
)

const rules = "deploy/prometheus/audiences.rules.yml"

// promtool runs Prometheus' own checker.
func promtool(t *testing.T, stdin string, args ...string) {
	t.Helper()
	cmd := exec.Command("promtool", args...)
	cmd.Dir, cmd.Stdin = harness.Project, strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// dashboardRules are the expressions of Grafana's dashboard as rules, which promtool can read.
func dashboardRules(t *testing.T) (file string) {
	t.Helper()
	var text strings.Builder
	text.WriteString("groups:\n  - name: dashboard\n    rules:\n")
	for _, panel := range harness.ReadDashboard(t).Panels {
		for _, target := range panel.Targets {
			expr := strings.NewReplacer("$__rate_interval", "1m", "$instance", ".*").Replace(target.Expr)
			fmt.Fprintf(&text, "      - record: 'panel_%d_%s'\n        expr: '%s'\n", panel.ID, target.RefID, expr)
		}
	}
	file = filepath.Join(t.TempDir(), "dashboard.yml")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestPromtool: Prometheus' own checker has nothing to say against the alerts, the
// dashboard's expressions, nor against what a relay shows.
func TestPromtool(t *testing.T) {
	s := harness.NewSite(t, sandbox.Options{}, nil)
	p := s.Start()
	p.MustPost(harness.Change{Segment: "s", Keys: []string{"1"}})
	harness.Eventually(t, harness.Patience, "the key arrives", func() bool { return len(s.Members("s")) == 1 })
	metrics, err := p.AdminGet("/metrics")
	if err != nil {
		t.Fatal(err)
	}
	var ours strings.Builder // what the libraries call theirs is not ours to name
	for line := range strings.Lines(metrics.Body) {
		if strings.Contains(line, "audiences_") {
			ours.WriteString(line)
		}
	}
	promtool(t, "", "check", "rules", rules)
	promtool(t, "", "check", "rules", dashboardRules(t))
	promtool(t, ours.String(), "check", "metrics")
}

// prometheus scrapes a relay once a second, with the alerts of this repository, until the
// test ends.
func prometheus(t *testing.T, admin string) (url string) {
	t.Helper()
	dir, port := t.TempDir(), harness.FreePort(t)
	path, err := filepath.Abs(filepath.Join(harness.Project, rules))
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [%q]\nscrape_configs:\n  - job_name: audiences\n    static_configs: [{targets: [%q]}]\n", path, admin)
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprint("127.0.0.1:", port)
	cmd := exec.Command("prometheus", "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	child, err := harness.Begin(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		child.Kill()
		if t.Failed() {
			t.Log(child.Log())
		}
	})
	return "http://" + address
}

// firing reports whether an alert is on.
func firing(url, alert string) bool {
	answer, err := http.Get(url + "/api/v1/alerts")
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	var told struct {
		Data struct {
			Alerts []struct {
				Labels map[string]string
				State  string
			}
		}
	}
	if json.NewDecoder(answer.Body).Decode(&told) != nil {
		return false
	}
	for _, a := range told.Data.Alerts {
		if a.Labels["alertname"] == alert && a.State == "firing" {
			return true
		}
	}
	return false
}

// TestPrometheus: a real Prometheus tells that something is parked, goes on to tell it over
// a kill and a restart, and stops when an operator has had it tried again.
func TestPrometheus(t *testing.T) {
	s := harness.NewSite(t, sandbox.Options{}, map[string]any{"adminAddress": fmt.Sprint("127.0.0.1:", harness.FreePort(t))})
	s.Split.Fault(sandbox.Rule{Kind: sandbox.Poison, Key: "bad"})
	p := s.Start()
	url := prometheus(t, p.Admin)
	p.MustPost(harness.Change{Segment: "s", Keys: []string{"good"}})
	harness.Eventually(t, harness.Patience, "the good key arrives", func() bool { return len(s.Members("s")) == 1 })
	if firing(url, "AudiencesParked") {
		t.Error("nothing is parked yet")
	}
	p.MustPost(harness.Change{Segment: "s", Keys: []string{"bad"}})
	harness.Eventually(t, 2*harness.Patience, "the alert is on", func() bool { return firing(url, "AudiencesParked") })
	p.Kill()
	p = s.Start()
	p.Shows("audiences_journal_uncounted 0")
	p.Shows(`audiences_keys_parked{reason="bad_request"} 1`)
	harness.Eventually(t, 2*harness.Patience, "the alert is on after the restart", func() bool { return firing(url, "AudiencesParked") })
	s.Split.ClearFaults()
	tenants := struct{ Tenants []struct{ Tenant string } }{}
	if _, out, _ := harness.Run(t, nil, "tenants", "--json", "--address", p.Admin); json.Unmarshal([]byte(out), &tenants) != nil || len(tenants.Tenants) != 1 {
		t.Fatal(out)
	}
	if code, out, stderr := harness.Run(t, nil, "retry", tenants.Tenants[0].Tenant, "--address", p.Admin); code != 0 {
		t.Fatal(out, stderr)
	}
	harness.Eventually(t, harness.Patience, "both keys have arrived", func() bool { return len(s.Members("s")) == 2 })
	harness.Eventually(t, 2*harness.Patience, "the alert is off", func() bool { return !firing(url, "AudiencesParked") })
	s.Judge()
}
