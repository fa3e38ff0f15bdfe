//go:build e2e

package e2e

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"audiences/test/harness"
)

// TestCompose: docker-compose takes deploy/compose.yaml, and has the services of each
// profile.
func TestCompose(t *testing.T) {
	for profile, services := range map[string][]string{
		"cluster": {"balancer", "database", "node1", "node2", "node3"},
	} {
		compose := exec.CommandContext(t.Context(), "docker-compose", "-f", filepath.Join(harness.Project, "deploy/compose.yaml"), "--profile", profile, "config", "--services")
		var complaints strings.Builder
		compose.Stderr = &complaints
		text, err := compose.Output()
		if err != nil || complaints.Len() > 0 {
			t.Errorf("%s: %v: %s", profile, err, complaints.String())
		}
		if got := slices.Sorted(slices.Values(strings.Fields(string(text)))); !slices.Equal(got, services) {
			t.Errorf("%s has the services %q, want %q", profile, got, services)
		}
	}
}
