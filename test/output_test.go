package test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"audiences/sandbox"
	"audiences/test/harness"
)

// TestOutputThatNobodyReads: commands that print end as they would, with their own
// exit code and nothing but their own words; one that goes on until it is told ends.
func TestOutputThatNobodyReads(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{}, nil)
	for _, c := range []struct {
		args []string
		code int
	}{
		{[]string{"help"}, exitDone},
		{[]string{"version"}, exitDone},
		{[]string{"check", "-h"}, exitDone},
		{[]string{"sandbox", "-h"}, exitDone},
		{[]string{"check", s.Config()}, exitDone},
		{[]string{"keygen", "-out", filepath.Join(s.Dir, "new.jks")}, exitDone},
		{[]string{"sandbox", "-traffic", "50", "-flush", "50ms"}, exitDone},
	} {
		t.Run(strings.Join(c.args[:1], " "), func(t *testing.T) {
			t.Parallel()
			reader, writer, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer writer.Close()
			_ = reader.Close()
			p := (&harness.Site{T: t}).RunAs(c.args, nil, func(cmd *exec.Cmd) { cmd.Stdout = writer })
			if code := p.Wait(harness.Patience); code != c.code {
				t.Errorf("%q: exit code %d, want %d", c.args, code, c.code)
			}
			if strings.Contains(p.Log(), "goroutine") || strings.Contains(p.Log(), "pipe") {
				t.Errorf("%q: %s", c.args, p.Log())
			}
		})
	}
}

// TestSandboxWithStalledOutput: whoever looks on and stops reading keeps the
// sandbox neither from its calls nor from its end.
func TestSandboxWithStalledOutput(t *testing.T) {
	t.Parallel()
	_, writer := stalled(t, "pipe")
	port := harness.FreePort(t)
	p := (&harness.Site{T: t}).RunAs([]string{"sandbox", "-flush", "50ms", "-port", strconv.Itoa(port)}, nil,
		func(cmd *exec.Cmd) { cmd.Stdout = writer })
	p.HTTPS = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	ask := func(method, path, what string) func() bool {
		return func() bool {
			a, err := p.Send(t.Context(), method, path, "sandbox", []byte(what))
			return err == nil && a.Status == 200 && !strings.Contains(a.Body, "=>")
		}
	}
	harness.Eventually(t, harness.Patience, "the sandbox takes a post", ask("POST", "/audiences", body()))
	harness.Eventually(t, harness.Patience, "its key is delivered", ask("GET", "/cache", ""))
	if code := p.Terminate(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
}

// TestPrintingEndsWhenTold: a command that waits for the reader of its output ends
// by a signal as any program does, and so does one that has not got so far.
func TestPrintingEndsWhenTold(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{}, nil)
	_, writer := stalled(t, "pipe")
	p := s.RunAs([]string{"check", s.Config()}, nil, func(cmd *exec.Cmd) { cmd.Stdout = writer })
	p.Signal(syscall.SIGTERM)
	p.Wait(harness.Patience)
	if status := p.Cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGTERM {
		t.Errorf("it ended with %v", p.Cmd.ProcessState)
	}
}
