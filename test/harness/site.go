package harness

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"audiences/sandbox"
)

// Secrets of the relays under test and of their usual tenant.
const (
	AuthToken = "foo" // as in the recorded cases
	APIToken  = "tok-aaaa"
)

// Site is a place for one relay: a directory with its configuration and journal,
// and the Split look-alike that it delivers to. It outlives the processes that
// run there one after the other.
type Site struct {
	T     testing.TB
	Dir   string
	Split *sandbox.Server
}

// NewSite makes a look-alike and a configuration of what every test needs and
// these settings, which win; a nil value takes a key out. Ports are any free
// ones, the flush interval is 50 ms, and no ceiling of calls is in the way. It
// starts nothing.
func NewSite(t testing.TB, look sandbox.Options, settings map[string]any) *Site {
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
	s := &Site{T: t, Dir: t.TempDir(), Split: split}
	s.Configure(settings)
	return s
}

// Configure writes the configuration anew for the next process.
func (s *Site) Configure(settings map[string]any) {
	s.T.Helper()
	key := filepath.Join(s.Dir, "testkey.jks")
	text, err := os.ReadFile(filepath.Join(Project, "testkey.jks"))
	if err != nil {
		s.T.Fatal(err)
	}
	if err := os.WriteFile(key, text, 0o600); err != nil { // in a checkout everybody may read it: the relay would warn
		s.T.Fatal(err)
	}
	all := map[string]any{
		"port":                       0,
		"authToken":                  AuthToken,
		"keyFile":                    key,
		"journalDir":                 "journal",
		"adminAddress":               "127.0.0.1:0",
		"splitApiUrl":                s.Split.URL,
		"segmentsFlushRateInSeconds": 0.05,
		"maxCallsPerSecond":          1000,
		"maxCallsPerSecondPerTenant": 1000,
		"minFreeDiskBytes":           0,
	}
	maps.Copy(all, settings)
	maps.DeleteFunc(all, func(_ string, value any) bool { return value == nil })
	text, err = json.Marshal(all)
	if err != nil {
		s.T.Fatal(err)
	}
	if err := os.WriteFile(s.Config(), text, 0o600); err != nil {
		s.T.Fatal(err)
	}
}

func (s *Site) Config() string  { return filepath.Join(s.Dir, "audiences.config") }
func (s *Site) Journal() string { return filepath.Join(s.Dir, "journal") }

// Members are the keys of a segment of the usual tenant and environment in the
// look-alike, in byte order.
func (s *Site) Members(segment string) []string {
	return s.Split.Members(APIToken, Environment, segment)
}

// Judge fails the test if the relay broke one of its promises to Split.
func (s *Site) Judge() {
	s.T.Helper()
	for _, violation := range s.Split.Violations() {
		s.T.Errorf("broken promise: %v", violation)
	}
}

// Start runs the relay until it listens. More than that is Process.Ready. The
// command is serve, or nothing for the old server's command line.
func (s *Site) Start(command ...string) *Process {
	s.T.Helper()
	p := s.Launch(command...)
	p.Listening()
	return p
}

// Launch is Start without waiting.
func (s *Site) Launch(command ...string) *Process {
	s.T.Helper()
	return s.Run(append(command, s.Config()), nil)
}

// LaunchWith is Launch with these variables in the environment.
func (s *Site) LaunchWith(env []string) *Process {
	s.T.Helper()
	return s.Run([]string{s.Config()}, env)
}

// Run runs the binary and returns at once. Whatever still runs at the end of the
// test is killed; what it logged is shown if the test failed.
func (s *Site) Run(args, env []string) *Process {
	s.T.Helper()
	return s.RunAs(args, env, func(*exec.Cmd) {})
}

// LaunchWithFiles is Launch of a process that may have so many files open.
func (s *Site) LaunchWithFiles(files int) *Process {
	s.T.Helper()
	cmd := command(context.Background(), s.T, []string{s.Config()}, nil)
	limited := exec.Command("sh", "-c", fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, files), cmd.Path, s.Config())
	return s.Begin(limited, func(*exec.Cmd) {})
}

// RunAs is Run with a last word on the command.
func (s *Site) RunAs(args, env []string, prepare func(*exec.Cmd)) *Process {
	s.T.Helper()
	return s.Begin(command(context.Background(), s.T, args, env), prepare)
}

// Begin starts that command, whatever it is, with a last word on it. Whatever still
// runs at the end of the test is killed; what it logged is shown if the test failed.
func (s *Site) Begin(cmd *exec.Cmd, prepare func(*exec.Cmd)) *Process {
	s.T.Helper()
	prepare(cmd)
	c, err := Begin(cmd)
	if err != nil {
		s.T.Fatal(err)
	}
	s.T.Cleanup(func() {
		c.Kill()
		if s.T.Failed() {
			s.T.Logf("log of process %d:\n%s", c.PID(), c.Log())
		}
	})
	return &Process{c, s.T}
}

// UnusedPort is one that nobody listens on at the moment.
func UnusedPort() (int, error) {
	listener, err := net.Listen("tcp", ":0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// FreePort is UnusedPort for a test.
func FreePort(t testing.TB) int {
	t.Helper()
	port, err := UnusedPort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}
