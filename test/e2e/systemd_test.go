//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"audiences/test/harness"
)

// TestUnit: systemd finds nothing wrong with the unit, and little that the service could do
// beside its work.
func TestUnit(t *testing.T) {
	dir := t.TempDir()
	binary := filepath.Join(dir, "audiences")
	if err := harness.Build(t.Context(), binary); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(harness.Project, "deploy/systemd/audiences.service"))
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(dir, "audiences.service")
	if err := os.WriteFile(unit, []byte(strings.ReplaceAll(string(text), "/usr/bin/audiences", binary)), 0o600); err != nil {
		t.Fatal(err)
	}
	verify := exec.CommandContext(t.Context(), "systemd-analyze", "verify", "--man=no", unit)
	if out, err := verify.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("verify: %v\n%s", err, out)
	}
	// The threshold is in tenths.
	security := exec.CommandContext(t.Context(), "systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", unit)
	out, err := security.CombinedOutput()
	if err != nil {
		t.Errorf("security: %v\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	t.Log(lines[len(lines)-1])
}
