package harness

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// Dashboard is Grafana's, in deploy/grafana: the fields that tests look at.
type Dashboard struct {
	Panels []Panel
}

// Panel is one picture of a dashboard. The screen is 24 columns wide.
type Panel struct {
	ID                       int
	Type, Title, Description string
	GridPos                  struct{ X, Y, W, H int }
	Targets                  []struct{ RefID, Expr string }
}

// ReadDashboard reads deploy/grafana/audiences.json.
func ReadDashboard(t *testing.T) (d Dashboard) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(Project, "deploy/grafana/audiences.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &d); err != nil || len(d.Panels) == 0 {
		t.Fatalf("%d panels: %v", len(d.Panels), err)
	}
	return d
}
