//go:build e2e

package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"audiences/test/harness"
)

// fires is an alert of the rules over ten minutes of a series of one value a minute each.
type fires struct {
	alert  string
	series map[string]string // in promtool's notation
	at     []int             // the minutes at which it is looked at
	count  []int             // how many then fire
}

// TestAlertsOfNodes: Prometheus' own tool on the four alerts of nodes that share a journal:
// when they fire, and what does not have them fire.
func TestAlertsOfNodes(t *testing.T) {
	rules, err := filepath.Abs(filepath.Join(harness.Project, "deploy/prometheus/audiences.rules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "rule_files: [%q]\nevaluation_interval: 1m\ntests:\n", rules)
	for _, f := range []fires{
		{"AudiencesDatabaseAway", map[string]string{`audiences_database_away{instance="a"}`: "0 0 1 1 1 0", `audiences_database_away{instance="b"}`: "0 1 0 1 0 0"}, []int{1, 2, 3, 4, 5}, []int{0, 0, 1, 1, 0}},
		// All nodes see the same, as far as they may.
		{"AudiencesSnapshotHeld", map[string]string{`audiences_database_oldest_xmin_age_seconds{instance="a"}`: "0+60x20", `audiences_database_oldest_xmin_age_seconds{instance="b"}`: "0x20"}, []int{10, 11}, []int{0, 1}},
		{"AudiencesLeaseLapses", map[string]string{`audiences_node_lease_lapses_total{instance="a"}`: "0 0 0 1x40", `audiences_node_lease_lapses_total{instance="b"}`: "3x40"}, []int{2, 3, 10, 30}, []int{0, 1, 1, 0}},
		// A node that was cut off saw it otherwise, and long ago.
		{"AudiencesSlotsUnowned", map[string]string{`audiences_slots_unowned{instance="a"}`: "0 0 85 85 85 85 0", `audiences_slots_unowned{instance="b"}`: "0 256 256 256 256 256 256"}, []int{1, 3, 4, 5, 6}, []int{0, 0, 1, 1, 0}},
	} {
		f.write(&text)
	}
	file := filepath.Join(t.TempDir(), "test.yml")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "promtool", "test", "rules", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// write asks how many of the alert fire, by the series that Prometheus makes of them.
func (f fires) write(text *strings.Builder) {
	fmt.Fprintf(text, "  - interval: 1m\n    input_series:\n")
	for series, values := range f.series {
		fmt.Fprintf(text, "      - {series: '%s', values: '%s'}\n", series, values)
	}
	fmt.Fprintf(text, "    promql_expr_test:\n")
	for i, minute := range f.at {
		fmt.Fprintf(text, "      - expr: 'count(ALERTS{alertname=\"%s\",alertstate=\"firing\"}) or vector(0)'\n        eval_time: %dm\n        exp_samples: [{labels: '{}', value: %d}]\n", f.alert, minute, f.count[i])
	}
}
