//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"audiences/test/harness"
)

// engine is a container engine of the test's own. It shares nothing with one
// that may run on the machine: data, state, socket and process id file lie in
// one temporary directory, and no network of the machine is touched.
type engine struct {
	dir string
	env []string
}

// startEngine starts dockerd and stops it, with all it ran, when the test ends.
// It needs root.
func startEngine(t *testing.T) *engine {
	t.Helper()
	// Not t.TempDir: a socket's path may have at most 107 bytes.
	dir, err := os.MkdirTemp("", "audiences-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeEngine(t, dir) })
	e := &engine{dir: dir, env: append(os.Environ(),
		"DOCKER_HOST=unix://"+filepath.Join(dir, "s"),
		"DOCKER_CONFIG="+filepath.Join(dir, "client"),
		"DOCKER_CONTEXT=default",
		"DOCKER_BUILDKIT=0", // BuildKit comes as a plug-in of its own, which Debian's package lacks
	)}
	settings := filepath.Join(dir, "daemon.json") // instead of the machine's own
	if err := os.WriteFile(settings, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	daemon := exec.Command("dockerd",
		"--data-root", filepath.Join(dir, "data"), "--exec-root", filepath.Join(dir, "exec"),
		"--host", "unix://"+filepath.Join(dir, "s"), "--pidfile", filepath.Join(dir, "pid"),
		"--config-file", settings,
		// vfs copies where others mount: slow, but it works on any file system.
		"--storage-driver", "vfs", "--log-level", "warn",
		"--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false", "--bridge=none")
	// If the test binary dies (the -timeout of go test), the engine ends too.
	daemon.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	start(t, "dockerd", daemon, func() bool {
		return e.command(t.Context(), "version").Run() == nil
	})
	t.Cleanup(func() { e.removeContainers(t) })
	return e
}

// removeContainers ends all containers, showing what they wrote if the test
// failed.
func (e *engine) removeContainers(t *testing.T) {
	for _, id := range strings.Fields(e.docker(t, "ps", "--all", "--quiet")) {
		if t.Failed() {
			t.Logf("container %s said:\n%s", id, tail(e.logs(t, id)))
		}
		e.docker(t, "rm", "--force", id)
	}
}

// logs is all that a container wrote.
func (e *engine) logs(t *testing.T, id string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := e.command(ctx, "logs", id).CombinedOutput()
	if err != nil {
		t.Errorf("docker logs: %v", err)
	}
	return string(out)
}

// removeEngine deletes the directory of an engine that has stopped, after the
// mounts that an unclean stop may have left in it.
func removeEngine(t *testing.T, dir string) {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Error(err)
	}
	lines := strings.Split(string(mounts), "\n")
	slices.Reverse(lines) // the last mounted first
	for _, line := range lines {
		if fields := strings.Fields(line); len(fields) > 1 && strings.HasPrefix(fields[1], dir+"/") {
			if err := syscall.Unmount(fields[1], syscall.MNT_DETACH); err != nil {
				t.Errorf("unmount %s: %v", fields[1], err)
			}
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Error(err)
	}
}

// command is one call of the engine's client.
func (e *engine) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Env = e.env
	return cmd
}

// docker runs one command of the client, at most two minutes long, and returns
// what it printed.
func (e *engine) docker(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute) // not t.Context: clean-up needs it too
	defer cancel()
	out, err := output(e.command(ctx, args...))
	if err != nil {
		t.Fatalf("docker %s: %v", args[0], err)
	}
	return strings.TrimSpace(out)
}

// output runs the command and returns its standard output; its error says what
// the command wrote to standard error.
func output(cmd *exec.Cmd) (string, error) {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, tail(stderr.String()+string(out)))
	}
	return string(out), nil
}

// start runs a server and waits until it is ready, at most half a minute. The
// returned function ends it with SIGTERM, after half a minute with SIGKILL; it
// is called when the test ends if it was not before.
func start(t *testing.T, name string, cmd *exec.Cmd, ready func() bool) (end func()) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	end = sync.OnceFunc(func() { stop(t, name, cmd.Process, ended) })
	t.Cleanup(func() {
		end()
		if t.Failed() {
			said, _ := os.ReadFile(log.Name())
			t.Logf("%s said:\n%s", name, tail(string(said)))
		}
	})
	harness.Eventually(t, harness.Patience, name, func() bool {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s ended: %v", name, err)
		default:
		}
		return ready()
	})
	return end
}

func stop(t *testing.T, name string, process *os.Process, ended <-chan error) {
	_ = process.Signal(syscall.SIGTERM) // it may have ended already
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("%s after SIGTERM: %v", name, err)
		}
	case <-time.After(30 * time.Second):
		t.Errorf("%s does not stop on SIGTERM", name)
		_ = process.Kill()
		<-ended
	}
}

// tail is the end of a long text.
func tail(s string) string {
	const enough = 4000
	if len(s) > enough {
		s = "..." + s[len(s)-enough:]
	}
	return s
}

// pipe runs the command with what write writes as its input.
func pipe(cmd *exec.Cmd, write func(io.Writer) error) (string, error) {
	r, w := io.Pipe()
	cmd.Stdin = r
	go func() { w.CloseWithError(write(w)) }()
	defer r.Close()
	return output(cmd)
}
