//go:build e2e

package e2e

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"audiences/test/harness"
)

// What the image is called, and the one container and volume that a test has.
const (
	image     = "audiences:e2e"
	container = "audiences-e2e"
	volume    = "audiences-e2e-journal"
	version   = "1.2.3-e2e"
)

// maxImageBytes is what README promises of the image. One import of text/template, whose
// reflection has the linker keep all methods, is too much.
const maxImageBytes = 30_000_000

// TestContainerLosesNothing is the life of a container: it becomes healthy, is
// killed in the middle of posts, starts again, is stopped in the middle of
// posts, and is replaced by another on the same volume. In the end Split has
// what was answered with 200, and the last verb of each key won (I1, I2, I8).
func TestContainerLosesNothing(t *testing.T) {
	s := newSite(t, map[string]any{
		// Until it is told to stop, the first container delivers nothing by
		// itself: what Split has in the end came through the journal.
		"segmentsFlushRateInSeconds": 3600,
	})
	e := buildImage(t)
	handOver(t, s.Config(), s.keyFile())
	writers := newWriters(s, 4)

	e.runRelay(t, s)
	writers.start()
	harness.Eventually(t, time.Minute, "200 changes accepted", func() bool { return writers.ledger.Accepted() >= 200 })
	e.docker(t, "kill", container)
	writers.wait()
	if n := s.Split.Counts().Calls; n != 0 {
		t.Fatalf("Split was called %d times before the kill: it proves nothing", n)
	}
	t.Logf("killed after %d accepted changes", writers.ledger.Accepted())

	e.docker(t, "start", container)
	e.waitHealthy(t)
	before := writers.ledger.Accepted()
	writers.start()
	harness.Eventually(t, time.Minute, "200 more changes accepted", func() bool { return writers.ledger.Accepted() >= before+200 })
	e.docker(t, "stop", "--time", "60", container)
	writers.wait()
	if code := e.docker(t, "inspect", "--format", "{{.State.ExitCode}}", container); code != "0" {
		t.Errorf("exit code %s after SIGTERM", code)
	}
	t.Logf("stopped after %d accepted changes", writers.ledger.Accepted())
	e.checkLogs(t, writers)
	e.docker(t, "rm", container)

	e.runRelay(t, s, "--env", "AUDIENCES_SEGMENTS_FLUSH_RATE_IN_SECONDS=1")
	harness.Eventually(t, time.Minute, "everything that was answered is in Split", func() bool { return writers.missing() == "" })
	before = writers.ledger.Accepted()
	writers.start()
	harness.Eventually(t, time.Minute, "the new container accepts changes", func() bool { return writers.ledger.Accepted() >= before+20 })
	e.docker(t, "stop", "--time", "60", container)
	writers.wait()
	if missing := writers.missing(); missing != "" {
		t.Errorf("not flushed when it was stopped: %s", missing)
	}
	e.checkLogs(t, writers)
	s.Judge()
}

// buildImage builds the image from the Dockerfile and looks into it.
func buildImage(t *testing.T) *engine {
	t.Helper()
	e := startEngine(t)
	e.importBuilder(t, filepath.Join(harness.Project, "Dockerfile"))
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 12*time.Minute)
	defer cancel()
	if _, err := output(e.command(ctx, "build", "--network", "none", "--build-arg", "VERSION="+version, "--tag", image, harness.Project)); err != nil {
		t.Fatalf("build the image: %v", err)
	}
	size := e.checkImage(t)
	t.Logf("the image has %.1f MB, built in %v", float64(size)/1e6, time.Since(began).Round(time.Second))
	e.checkFiles(t)
	return e
}

// checkImage compares the image's description with what its users rely on.
func (e *engine) checkImage(t *testing.T) (size int64) {
	t.Helper()
	var images []struct {
		Size   int64
		Config struct {
			User, StopSignal      string
			Env, Cmd, Entrypoint  []string
			Volumes, ExposedPorts map[string]struct{}
			Healthcheck           struct{ Test []string }
			Labels                map[string]string
		}
	}
	if err := json.Unmarshal([]byte(e.docker(t, "image", "inspect", image)), &images); err != nil {
		t.Fatal(err)
	}
	const config = "/etc/audiences/audiences.config"
	c := images[0].Config
	_, keepsJournal := c.Volumes["/var/lib/audiences"]
	_, exposes := c.ExposedPorts["5010/tcp"]
	for what, right := range map[string]bool{
		"size":         images[0].Size < maxImageBytes,
		"user":         c.User == "65532:65532",
		"stop signal":  c.StopSignal == "SIGTERM",
		"entry point":  slices.Equal(c.Entrypoint, []string{"/audiences"}),
		"command":      slices.Equal(c.Cmd, []string{"serve", config}),
		"health check": slices.Equal(c.Healthcheck.Test, []string{"CMD", "/audiences", "healthcheck", config}),
		"environment":  !strings.Contains(strings.Join(c.Env, "\n"), "AUDIENCES_"), // what is there is the operator's word
		"volume":       keepsJournal,
		"port":         exposes,
		"version":      c.Labels["org.opencontainers.image.version"] == version,
	} {
		if !right {
			t.Errorf("the image's %s is wrong: %+v", what, images[0])
		}
	}
	return images[0].Size
}

// checkFiles makes sure that the image holds nothing that can be run but the
// relay - no shell, no package manager - and no key.
func (e *engine) checkFiles(t *testing.T) {
	t.Helper()
	id := e.docker(t, "create", image)
	defer e.docker(t, "rm", id)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	exported, err := output(e.command(ctx, "export", id))
	if err != nil {
		t.Fatalf("export the image: %v", err)
	}
	var programs []string
	files := tar.NewReader(strings.NewReader(exported))
	for {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		// The engine itself adds empty files such as etc/hosts.
		harmless := header.Mode&0o111 == 0 && slices.Contains([]string{"LICENSE", "etc/ssl/certs/ca-certificates.crt"}, header.Name)
		if header.Typeflag == tar.TypeReg && header.Size > 0 && !harmless {
			programs = append(programs, header.Name)
		}
	}
	if !slices.Equal(programs, []string{"audiences"}) {
		t.Errorf("in the image beside the certificates and the licence: %q", programs)
	}
}

// handOver gives files to the user that the container runs as; nobody else
// needs to read them.
func handOver(t *testing.T, files ...string) {
	t.Helper()
	for _, file := range files {
		if err := errors.Join(os.Chown(file, 65532, 65532), os.Chmod(file, 0o400)); err != nil {
			t.Fatal(err)
		}
	}
}

// runRelay runs the container, with fewer rights than docker gives by itself,
// and waits until it is healthy.
func (e *engine) runRelay(t *testing.T, s *site, options ...string) {
	t.Helper()
	args := append([]string{"run", "--detach", "--name", container,
		"--network", "host", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
		"--health-interval", "1s", // the image's own would only make the test slower
		"--volume", volume + ":/var/lib/audiences",
		"--volume", s.Config() + ":/etc/audiences/audiences.config:ro",
		"--volume", s.keyFile() + ":/etc/audiences/relay.jks:ro",
	}, options...)
	e.docker(t, append(args, image)...)
	e.waitHealthy(t)
}

func (e *engine) waitHealthy(t *testing.T) {
	t.Helper()
	began := time.Now()
	harness.Eventually(t, time.Minute, "the container is healthy", func() bool {
		state := e.docker(t, "inspect", "--format", "{{.State.Status}} {{.State.Health.Status}}", container)
		if strings.HasPrefix(state, "exited") {
			t.Fatal("the container ended")
		}
		return state == "running healthy"
	})
	t.Logf("healthy after %v", time.Since(began).Round(100*time.Millisecond))
}

// checkLogs looks for secrets in what the container wrote (I7).
func (e *engine) checkLogs(t *testing.T, writers *writers) {
	t.Helper()
	logs := e.logs(t, container)
	if logs == "" {
		t.Error("the container logs nothing")
	}
	if strings.Contains(logs, harness.APIToken) {
		t.Error("the apiToken is in the log")
	}
	for _, key := range writers.ledger.Keys() {
		if strings.Contains(logs, key) {
			t.Error("an MPID is in the log")
			return
		}
	}
}
