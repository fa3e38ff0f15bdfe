//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"audiences/test/harness"
)

// TestRelease: what a release is made of has the same bytes wherever it is built, and is what
// docs/release.md says.
func TestRelease(t *testing.T) {
	first := buildRelease(t, harness.Project)
	again := filepath.Join(t.TempDir(), "elsewhere")
	run(t, "", "cp", "-r", harness.Project, again)
	second := buildRelease(t, again)
	entries, err := os.ReadDir(first)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
		one, err := os.ReadFile(filepath.Join(first, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		other, err := os.ReadFile(filepath.Join(second, entry.Name()))
		if err != nil || !bytes.Equal(one, other) {
			t.Errorf("%s differs: %v", entry.Name(), err)
		}
	}
	const name = "audiences_" + version + "_linux_amd64"
	want := []string{"SHA256SUMS", "audiences_" + version + "_image.tar.gz", name + ".cdx.json", name + ".deb", name + ".rpm", name + ".tar.gz"}
	if !slices.Equal(names, want) {
		t.Errorf("a release has %v, want %v", names, want)
	}
	run(t, first, "sha256sum", "--check", "--strict", "SHA256SUMS")

	files := strings.Fields("/usr/bin/audiences /etc/audiences/audiences.config /usr/lib/systemd/system/audiences.service /usr/share/bash-completion/completions/audiences /usr/share/doc/audiences/copyright /usr/share/doc/audiences/docs/runbook.md")
	root := t.TempDir()
	run(t, first, "dpkg-deb", "--extract", name+".deb", root)
	for _, file := range files {
		if _, err := os.Stat(filepath.Join(root, file)); err != nil {
			t.Errorf("deb: %v", err)
		}
	}
	if kept := run(t, first, "dpkg-deb", "--info", name+".deb", "conffiles"); kept != "/etc/audiences/audiences.config" {
		t.Errorf("deb: configuration files %q", kept)
	}
	if said := run(t, root, "./usr/bin/audiences", "version"); !strings.Contains(said, version) {
		t.Errorf("deb: its program says %q", said)
	}
	listed := strings.Fields(run(t, first, "rpm", "--query", "--list", "--package", name+".rpm"))
	for _, file := range files {
		if !slices.Contains(listed, file) {
			t.Errorf("rpm: it has no %s", file)
		}
	}
	if kept := run(t, first, "rpm", "--query", "--configfiles", "--package", name+".rpm"); kept != "/etc/audiences/audiences.config" {
		t.Errorf("rpm: configuration files %q", kept)
	}
	run(t, root, "tar", "-xf", filepath.Join(first, name+".tar.gz"))
	if said := run(t, filepath.Join(root, name), "./audiences", "version"); !strings.Contains(said, version) {
		t.Errorf("archive: its program says %q", said)
	}
	checkBill(t, filepath.Join(first, name+".cdx.json"))
	checkReleaseImage(t, first)
}

// checkBill: the bill of materials names what the program is made of.
func checkBill(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var bill struct {
		BomFormat  string
		Components []struct{ Name, Version string }
	}
	if err := json.Unmarshal(text, &bill); err != nil {
		t.Fatal(err)
	}
	for _, module := range []string{"std", "github.com/labstack/echo/v4", "github.com/asynkron/protoactor-go", "github.com/jackc/pgx/v5"} {
		if !slices.ContainsFunc(bill.Components, func(c struct{ Name, Version string }) bool { return c.Name == module && c.Version != "" }) {
			t.Errorf("the bill of %d components lacks %s", len(bill.Components), module)
		}
	}
}

// checkReleaseImage builds the image of a release, which takes no base image.
func checkReleaseImage(t *testing.T, release string) {
	t.Helper()
	dir := t.TempDir()
	run(t, dir, "tar", "-xf", filepath.Join(release, "audiences_"+version+"_image.tar.gz"), "--strip-components=1")
	run(t, dir, "cp", "/etc/ssl/certs/ca-certificates.crt", ".")
	e := startEngine(t)
	e.docker(t, "build", "--network", "none", "--build-arg", "VERSION="+version, "--tag", image, dir)
	size, err := strconv.ParseInt(e.docker(t, "image", "inspect", "--format", "{{.Size}}", image), 10, 64)
	if err != nil || size > maxImageBytes {
		t.Errorf("the image has %d bytes: %v", size, err)
	}
	if said := e.docker(t, "run", "--rm", "--network", "none", "--read-only", image, "version"); !strings.Contains(said, version) {
		t.Errorf("the image's program says %q", said)
	}
	t.Logf("the image of the release has %.1f MB", float64(size)/1e6)
}

// buildRelease builds one for this architecture alone, at a time and of a commit that are
// always the same.
func buildRelease(t *testing.T, project string) (out string) {
	t.Helper()
	out = filepath.Join(t.TempDir(), "dist")
	run(t, project, "deploy/release/build", version, "0123456789abcdef", "1767225600", out, "amd64")
	return out
}

// run runs a command to its end, and returns what it printed.
func run(t *testing.T, dir string, command ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir = dir
	out, err := output(cmd)
	if err != nil {
		t.Fatalf("%s: %v", strings.Join(command, " "), err)
	}
	return strings.TrimSpace(out)
}
