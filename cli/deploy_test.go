package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"audiences/config"
)

// found is what a pattern's group matches first in one of the files of deploy/.
func found(t *testing.T, file, pattern string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../deploy", file))
	if err != nil {
		t.Fatal(err)
	}
	match := regexp.MustCompile(pattern).FindSubmatch(text)
	if match == nil {
		t.Fatalf("%s has no %s", file, pattern)
	}
	return string(match[1])
}

func foundTime(t *testing.T, file, pattern string) time.Duration {
	t.Helper()
	text := found(t, file, pattern)
	if _, err := strconv.Atoi(text); err == nil {
		text += "s"
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// deployed is the configuration of deploy/, with the variables that compose.yaml sets and
// these secrets.
func deployed(t *testing.T, secrets map[string]string) config.Config {
	t.Helper()
	dir := t.TempDir()
	var environ []string
	variables := found(t, "compose.yaml", `(?s)x-node:.*?\n  environment:\n((?:    \S+: \S+\n)+)`)
	for line := range strings.Lines(variables) {
		name, path, _ := strings.Cut(strings.TrimSpace(line), ": ")
		secret := filepath.Base(path)
		if err := os.WriteFile(filepath.Join(dir, secret), []byte(secrets[secret]), 0o600); err != nil {
			t.Fatal(err)
		}
		environ = append(environ, name+"="+filepath.Join(dir, secret))
	}
	cfg, err := config.Load("../deploy/audiences.config", environ)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// TestDeployment: the times that deploy/ gives the nodes are those that they need, and its
// configuration is one, of secrets that deploy/README.md makes.
func TestDeployment(t *testing.T) {
	cfg := deployed(t, map[string]string{
		"journal":     "postgres://audiences:secret@database/audiences?sslmode=disable\n",
		"auth-token":  "secret\n",
		"admin-users": `[{"name": "tools", "role": "operator", "token": "` + strings.Repeat("t", 32) + `"}]`,
	})
	if !cfg.JournalInDatabase() || len(cfg.AdminUsers) != 1 || !cfg.AdminTLS {
		t.Errorf("not all that is set counts: %+v", cfg)
	}
	compose, readme := found(t, "compose.yaml", `(?s)(.*)`), found(t, "README.md", `(?s)(.*)`)
	for _, file := range regexp.MustCompile(`file: \./secrets/(\S+)}`).FindAllStringSubmatch(compose, -1) {
		if !regexp.MustCompile(`(>|--out) ` + regexp.QuoteMeta(file[1]) + `\b`).MatchString(readme) {
			t.Errorf("README.md does not make the secret %s", file[1])
		}
	}
	// A node that stops hands its tenants over, flushes, answers, and says good-bye.
	needs := 2*cfg.DrainTimeout + lastAnswers + time.Second
	if grace := foundTime(t, "compose.yaml", `(?s)x-node:.*?stop_grace_period: (\S+)`); grace <= needs {
		t.Errorf("a node is killed after %v, and may need %v", grace, needs)
	}
	for what, grace := range map[string]time.Duration{
		"the container of one node": foundTime(t, "compose.yaml", `(?s)\n  relay:.*?stop_grace_period: (\S+)`),
		"the unit of systemd":       foundTime(t, "systemd/audiences.service", `(?m)^TimeoutStopSec=(\d+)$`),
		"a pod of one node":         foundTime(t, "kubernetes/single/statefulset.yaml", `terminationGracePeriodSeconds: (\d+)`),
		"a pod of several":          foundTime(t, "kubernetes/cluster/deployment.yaml", `terminationGracePeriodSeconds: (\d+)`),
		"a pod of the chart":        foundTime(t, "helm/audiences/templates/workload.yaml", `terminationGracePeriodSeconds: (\d+)`),
	} {
		if grace <= needs {
			t.Errorf("%s is killed after %v, and may need %v", what, grace, needs)
		}
	}
	if nodeStops <= needs {
		t.Errorf("the sandbox kills its nodes after %v, and they may need %v", nodeStops, needs)
	}
	if patience := foundTime(t, "compose.yaml", `(?s)x-node:.*?\n    timeout: (\S+)`); patience <= healthTimeout {
		t.Errorf("the health check is given up after %v, and takes up to %v", patience, healthTimeout)
	}
	// On loopback the admin address refuses whoever names no host, or another one.
	if host := found(t, "haproxy.cfg", `http-check send .* uri /readyz .*hdr Host (\S+)`); host != "localhost" {
		t.Errorf("the balancer asks for the host %s", host)
	}
	// The balancer looks twice, each time for a second at most, before a node is down.
	looks := 2*foundTime(t, "haproxy.cfg", `inter (\S+) fall 2 `) + cfg.LeaseTime/6
	if looks >= noticed {
		t.Errorf("the balancer notices after %v that a node leaves, which takes changes for %v more", looks, noticed)
	}
}
