//go:build e2e

package e2e

import (
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"audiences/test/harness"
)

// TestCompose: docker-compose takes deploy/compose.yaml without a complaint, and what it makes
// of each profile's services is locked down.
func TestCompose(t *testing.T) {
	args := []string{"-f", filepath.Join(harness.Project, "deploy/compose.yaml")}
	for _, profile := range []string{"sandbox", "prod", "cluster"} {
		args = append(args, "--profile", profile)
	}
	compose := exec.CommandContext(t.Context(), "docker-compose", append(args, "config")...)
	var complaints strings.Builder
	compose.Stderr = &complaints
	text, err := compose.Output()
	if err != nil || complaints.Len() > 0 {
		t.Fatalf("%v: %s", err, complaints.String())
	}
	profiles := map[string]map[string]bool{}
	_, services, _ := strings.Cut(string(text), "\nservices:\n")
	for _, service := range regexp.MustCompile(`(?m)^  (\w+):\n((?:    .*\n)+)`).FindAllStringSubmatch(services, -1) {
		name, says := service[1], service[2]
		profile := regexp.MustCompile(`(?m)^    profiles:\n    - (\w+)$`).FindStringSubmatch(says)
		if profile == nil {
			continue // a volume
		}
		if profiles[profile[1]] == nil {
			profiles[profile[1]] = map[string]bool{}
		}
		profiles[profile[1]][name] = true
		for _, locked := range []string{"    cap_drop:\n    - ALL\n", "    read_only: true\n", "    - no-new-privileges:true\n"} {
			if !strings.Contains(says, locked) {
				t.Errorf("%s lacks %q:\n%s", name, locked, says)
			}
		}
	}
	want := map[string]map[string]bool{
		"sandbox": {"sandbox": true}, "prod": {"relay": true},
		"cluster": {"balancer": true, "database": true, "node1": true, "node2": true, "node3": true},
	}
	if !reflect.DeepEqual(profiles, want) {
		t.Errorf("the profiles have the services %v\n%s", profiles, text)
	}
}
