package test

import (
	"net"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"audiences/sandbox"
	"audiences/test/harness"
)

// TestSystemd: systemd is told when changes are taken, that the process lives, also while it
// stops, and that a stop has begun.
func TestSystemd(t *testing.T) {
	t.Parallel()
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = socket.Close() }()
	// next is the next state but for the watchdog's, and how many of these came before it.
	next := func() (state string, beats int) {
		t.Helper()
		for {
			if err := socket.SetReadDeadline(time.Now().Add(harness.Patience)); err != nil {
				t.Fatal(err)
			}
			text := make([]byte, 256)
			n, err := socket.Read(text)
			if err != nil {
				t.Fatal(err)
			}
			if state = string(text[:n]); state != "WATCHDOG=1" {
				return state, beats
			}
			beats++
		}
	}
	s := harness.NewSite(t, sandbox.Options{}, map[string]any{"segmentsFlushRateInSeconds": 3600, "drainTimeout": "3s"})
	s.Split.Fault(sandbox.Rule{Kind: sandbox.Hang})
	p := s.LaunchWith([]string{"NOTIFY_SOCKET=" + socket.LocalAddr().String(), "WATCHDOG_USEC=200000"})
	p.Listening()
	if state, _ := next(); state != "READY=1" {
		t.Errorf("told %q, and changes are taken", state)
	}
	p.MustPost(harness.Change{Segment: "s", Keys: []string{"1"}}) // which makes the stop a long one
	time.Sleep(time.Second)
	p.Signal(syscall.SIGTERM)
	if state, beats := next(); state != "STOPPING=1" || beats < 2 {
		t.Errorf("told %q after %d beats, and it was told to stop", state, beats)
	}
	if err := socket.SetReadDeadline(time.Now().Add(harness.Patience)); err != nil {
		t.Fatal(err)
	}
	if n, err := socket.Read(make([]byte, 256)); err != nil || n == 0 {
		t.Errorf("no beat while it stops: %v", err)
	}
}
