package test

import (
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"

	"audiences/sandbox"
	"audiences/test/harness"
)

// TestCommandsByConfiguration: the operator's commands find the relay, and trust its
// certificate, by the configuration that it runs with. A flag wins.
func TestCommandsByConfiguration(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		address := fmt.Sprint("127.0.0.1:", harness.FreePort(t))
		s := harness.NewSite(t, sandbox.Options{}, map[string]any{"adminAddress": address, "adminTls": secure})
		s.Start()
		for _, c := range []struct {
			env  []string
			args []string
			want int
		}{
			{nil, []string{"status", "--config", s.Config()}, exitDone},
			{nil, []string{"status", "--config", s.Config(), "--address", "127.0.0.1:1"}, exitFailed},
			{[]string{"AUDIENCES_ADMIN_ADDRESS=127.0.0.1:1"}, []string{"status", "--config", s.Config()}, exitFailed},
			{[]string{"AUDIENCES_ADMIN_ADDRESS=" + address}, []string{"tenants"}, map[bool]int{false: exitDone, true: exitFailed}[secure]},
			{nil, []string{"events", "--config", s.Config() + ".absent"}, exitWrong},
		} {
			if code, out, stderr := harness.Run(t, c.env, c.args...); code != c.want {
				t.Errorf("%s, %s, TLS %t: exit code %d, want %d\n%s%s", c.env, c.args, secure, code, c.want, out, stderr)
			}
		}
	}
	s := harness.NewSite(t, sandbox.Options{}, map[string]any{"adminAddress": ""})
	if code, _, stderr := harness.Run(t, nil, "status", "--config", s.Config()); code != exitFailed || !strings.Contains(stderr, "adminAddress is off") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

// TestWatch: with --watch a command goes on to print, over a restart of the relay, and
// ends well when it is interrupted. Events are printed once.
func TestWatch(t *testing.T) {
	t.Parallel()
	address := fmt.Sprint("127.0.0.1:", harness.FreePort(t))
	s := harness.NewSite(t, sandbox.Options{}, map[string]any{"adminAddress": address})
	watch := func(args ...string) *harness.Process {
		return (&harness.Site{T: t}).Run(append(args, "--address", address, "--watch=50ms"), nil)
	}
	status := watch("status")
	shows := func(p *harness.Process, what, text string) {
		t.Helper()
		harness.Eventually(t, harness.Patience, what, func() bool { return strings.Contains(p.Output()+p.Log(), text) })
	}
	shows(status, "that the relay does not answer is said", "refused")
	p := s.Start()
	shows(status, "the relay is shown", "Healthy. 0 tenants")
	p.MustPost(harness.Change{Segment: "s", Keys: []string{"1"}})
	shows(status, "the tenant is shown", "Healthy. 1 tenant")

	events := watch("events")
	tenant := harness.Fingerprint(t, harness.APIToken)
	for _, args := range [][]string{{"pause", tenant, "--for", "1h"}, {"resume", tenant}} {
		if code, _, stderr := harness.Run(t, nil, append(args, "--address", address)...); code != exitDone {
			t.Fatal(stderr)
		}
	}
	shows(events, "the pause is told", "paused")
	shows(events, "the end of the pause is told", "resumed")
	for _, each := range []*harness.Process{status, events} {
		each.Signal(syscall.SIGINT)
		if code := each.Wait(harness.Patience); code != exitDone {
			t.Errorf("exit code %d", code)
		}
	}
	if n := strings.Count(events.Output(), "paused"); n != 1 || strings.Index(events.Output(), "paused") > strings.Index(events.Output(), "resumed") {
		t.Errorf("%d times, or in another order:\n%s", n, events.Output())
	}
	if code, _, stderr := harness.Run(t, nil, "show", "nobody", "e/s", "--watch", "--address", address); code != exitFailed || !strings.Contains(stderr, "no such tenant") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	if code, _, _ := harness.Run(t, nil, "status", "--watch=-1s", "--address", net.JoinHostPort("127.0.0.1", "1")); code != exitWrong {
		t.Errorf("exit code %d", code)
	}
}
