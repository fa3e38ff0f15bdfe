package test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"audiences/sandbox"
)

// Secrets of the relays under test and of their usual tenant.
const (
	authToken = "foo" // as in the recorded cases
	apiToken  = "tok-aaaa"
)

// patience bounds every wait for something that normally takes milliseconds;
// the machine may be busy.
const patience = 30 * time.Second

// site is a place for one relay: a directory with its configuration and journal,
// and the Split look-alike that it delivers to. It outlives the processes that
// run there one after the other.
type site struct {
	t     testing.TB
	dir   string
	split *sandbox.Server
}

// newSite makes a look-alike and a configuration of what every test needs and
// these settings, which win; a nil value takes a key out. Ports are any free
// ones, the flush interval is 50 ms, and no ceiling of calls is in the way. It
// starts nothing.
func newSite(t testing.TB, look sandbox.Options, settings map[string]any) *site {
	t.Helper()
	split, err := sandbox.Start(look)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := split.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &site{t: t, dir: t.TempDir(), split: split}
	s.configure(settings)
	return s
}

// configure writes the configuration anew for the next process.
func (s *site) configure(settings map[string]any) {
	s.t.Helper()
	key, err := filepath.Abs(filepath.Join(project, "testkey.jks"))
	if err != nil {
		s.t.Fatal(err)
	}
	all := map[string]any{
		"port":                       0,
		"authToken":                  authToken,
		"keyFile":                    key,
		"journalDir":                 "journal",
		"adminAddress":               "127.0.0.1:0",
		"splitApiUrl":                s.split.URL,
		"segmentsFlushRateInSeconds": 0.05,
		"maxCallsPerSecond":          1000,
		"maxCallsPerSecondPerTenant": 1000,
		"minFreeDiskBytes":           0,
	}
	maps.Copy(all, settings)
	maps.DeleteFunc(all, func(_ string, value any) bool { return value == nil })
	text, err := json.Marshal(all)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(s.config(), text, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) config() string  { return filepath.Join(s.dir, "audiences.config") }
func (s *site) journal() string { return filepath.Join(s.dir, "journal") }

// members are the keys of a segment of the usual tenant and environment in the
// look-alike, in byte order.
func (s *site) members(segment string) []string {
	return s.split.Members(apiToken, environment, segment)
}

// judge fails the test if the relay broke one of its promises to Split.
func (s *site) judge() {
	s.t.Helper()
	for _, violation := range s.split.Violations() {
		s.t.Errorf("broken promise: %v", violation)
	}
}

// start runs the relay until it listens. More than that is process.ready. The
// command is serve, or nothing for the old server's command line.
func (s *site) start(command ...string) *process {
	s.t.Helper()
	p := s.launch(command...)
	p.listening()
	return p
}

// launch is start without waiting.
func (s *site) launch(command ...string) *process {
	s.t.Helper()
	return s.run(append(command, s.config()), nil)
}

// launchWith is launch with these variables in the environment.
func (s *site) launchWith(env []string) *process {
	s.t.Helper()
	return s.run([]string{s.config()}, env)
}

// run runs the binary and returns at once. Whatever still runs at the end of the
// test is killed; what it logged is shown if the test failed.
func (s *site) run(args, env []string) *process {
	s.t.Helper()
	return s.runAs(args, env, func(*exec.Cmd) {})
}

// launchWithFiles is launch of a process that may have so many files open.
func (s *site) launchWithFiles(files int) *process {
	s.t.Helper()
	cmd := relay(context.Background(), s.t, []string{s.config()}, nil)
	limited := exec.Command("sh", "-c", fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, files), cmd.Path, s.config())
	return s.begin(limited, func(*exec.Cmd) {})
}

// runAs is run with a last word on the command.
func (s *site) runAs(args, env []string, prepare func(*exec.Cmd)) *process {
	s.t.Helper()
	return s.begin(relay(context.Background(), s.t, args, env), prepare)
}

func (s *site) begin(cmd *exec.Cmd, prepare func(*exec.Cmd)) *process {
	s.t.Helper()
	p := &process{t: s.t, cmd: cmd, listens: make(chan struct{}), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = (*outWatch)(p), (*logWatch)(p)
	prepare(p.cmd)
	if err := p.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // the exit code is asked for where it matters
	}()
	s.t.Cleanup(func() {
		p.kill()
		if s.t.Failed() {
			s.t.Logf("log of process %d:\n%s", p.cmd.Process.Pid, p.log())
		}
	})
	return p
}

// process is one run of the relay.
type process struct {
	t   testing.TB
	cmd *exec.Cmd

	listens chan struct{} // closed when the addresses below are known
	ended   chan struct{} // closed when the process has ended
	https   string        // host:port to post to
	admin   string        // host:port of /readyz and /metrics; "" when it is off

	mu             sync.Mutex
	stdout, stderr bytes.Buffer
}

// outWatch is a process as the writer of its own standard output.
type outWatch process

func (w *outWatch) Write(text []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stdout.Write(text)
}

// logWatch is a process as the writer of its own log.
type logWatch process

// Write takes lines as they come, and the addresses out of the line that has
// them: the configuration leaves the choice of the ports to the system.
func (w *logWatch) Write(text []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stderr.Write(text)
	if w.https != "" {
		return len(text), nil
	}
	for line := range bytes.Lines(w.stderr.Bytes()) {
		var event struct{ HTTPS, Admin string }
		if json.Unmarshal(line, &event) == nil && event.HTTPS != "" {
			w.https, w.admin = onLoopback(event.HTTPS), event.Admin
			close(w.listens)
			break
		}
	}
	return len(text), nil
}

func onLoopback(address string) string {
	_, port, _ := net.SplitHostPort(address) // the relay wrote it; a wrong one fails at the first post
	return net.JoinHostPort("127.0.0.1", port)
}

// log is what the process wrote to standard error so far.
func (p *process) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stderr.String()
}

// output is what the process wrote to standard output so far.
func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stdout.String()
}

// listening waits until the ports are open.
func (p *process) listening() {
	p.t.Helper()
	select {
	case <-p.listens:
	case <-p.ended:
		p.t.Fatalf("the relay ended with code %d instead of listening", p.exitCode())
	case <-time.After(patience):
		p.t.Fatal("the relay does not listen")
	}
}

// ready waits until /readyz says that all that was pending is active again.
func (p *process) ready() {
	p.t.Helper()
	p.listening()
	eventually(p.t, patience, "the relay is ready", func() bool {
		a, err := p.adminGet("/readyz")
		return err == nil && a.status == 200
	})
}

// signal goes to this very process.
func (p *process) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatalf("send %v: %v", sig, err)
	}
}

// terminate sends SIGTERM, waits for the end and returns the exit code.
func (p *process) terminate() int {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	return p.wait(patience)
}

// kill sends SIGKILL and waits for the end; it may have ended before.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // fails only when it has ended
	<-p.ended
}

// wait waits for the end and returns the exit code, -1 after a fatal signal.
func (p *process) wait(within time.Duration) int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(within):
		p.t.Fatalf("the relay has not ended within %v", within)
	}
	return p.exitCode()
}

// exitCode is for a process that has ended.
func (p *process) exitCode() int { return p.cmd.ProcessState.ExitCode() }

// eventually waits for a condition that comes true without a signal of its own,
// and fails the test when it does not.
func eventually(t testing.TB, within time.Duration, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

// run runs a command of the binary to its end, with these variables in its
// environment, and returns its exit code and what it wrote.
func run(t testing.TB, env []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := relay(ctx, t, args, env)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	if ctx.Err() != nil {
		t.Fatalf("%v has not ended within %v\n%s", args, patience, errs.String())
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// freePort is one that nobody listens on at the moment.
func freePort(t testing.TB) int {
	t.Helper()
	listener, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}
