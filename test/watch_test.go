package test

import (
	"encoding/json"
	"fmt"
	"net"
	"regexp"
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
		p := s.Start()
		scheme := map[bool]string{false: "http://", true: "https://"}[secure]
		for _, c := range []struct {
			env  []string
			args []string
			want int
		}{
			{nil, []string{"status", "--config", s.Config()}, exitDone},
			{nil, []string{"status", "--config", s.Config(), "--address", "127.0.0.1:1"}, exitFailed},
			{[]string{"AUDIENCES_ADMIN_ADDRESS=127.0.0.1:1"}, []string{"status", "--config", s.Config()}, exitFailed},
			{[]string{"AUDIENCES_ADMIN_ADDRESS=127.0.0.1:1"}, []string{"status", "--config", s.Config(), "--address", scheme + address}, exitDone},
			{[]string{"AUDIENCES_ADMIN_ADDRESS=" + scheme + address}, []string{"status", "--config", s.Config()}, exitDone},
			{[]string{"AUDIENCES_ADMIN_ADDRESS=" + scheme + "127.0.0.1:1"}, []string{"status", "--config", s.Config()}, exitFailed},
			{[]string{"AUDIENCES_ADMIN_ADDRESS=" + address}, []string{"tenants"}, map[bool]int{false: exitDone, true: exitFailed}[secure]},
			{nil, []string{"events", "--config", s.Config() + ".absent"}, exitWrong},
		} {
			if code, out, stderr := harness.Run(t, c.env, c.args...); code != c.want {
				t.Errorf("%s, %s, TLS %t: exit code %d, want %d\n%s%s", c.env, c.args, secure, code, c.want, out, stderr)
			}
		}
		everyCommand(t, s, p)
	}
	s := harness.NewSite(t, sandbox.Options{}, map[string]any{"adminAddress": ""})
	if code, _, stderr := harness.Run(t, nil, "status", "--config", s.Config()); code != exitFailed || !strings.Contains(stderr, "adminAddress is off") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

// everyCommand finds the relay by the configuration alone, and does what it is for.
func everyCommand(t *testing.T, s *harness.Site, p *harness.Process) {
	t.Helper()
	s.Split.Fault(sandbox.Rule{Kind: sandbox.Forbidden, Segment: "refused"})
	p.MustPost(harness.Change{Segment: "refused", Keys: []string{"1"}})
	tenant := harness.Fingerprint(t, harness.APIToken)
	segment := ""
	harness.Eventually(t, harness.Patience, "the segment is parked", func() bool {
		_, out, _ := harness.Run(t, nil, "segments", "--state", "parked", "--config", s.Config())
		segment = regexp.MustCompile(`\S+/refused`).FindString(out)
		return segment != ""
	})
	for _, c := range []struct {
		want int
		args []string
	}{
		{exitDone, []string{"status"}},
		{exitDone, []string{"tenants"}},
		{exitDone, []string{"segments"}},
		{exitDone, []string{"show", tenant, segment}},
		{exitDone, []string{"where", "1"}},
		{exitDone, []string{"parked", tenant, segment}},
		{exitDone, []string{"pause", tenant, segment}},
		{exitNothing, []string{"flush", tenant, segment}},
		{exitDone, []string{"resume", tenant, segment}},
		{exitDone, []string{"discard", tenant, segment, "--dry-run"}},
		{exitDone, []string{"retry", tenant, segment}}, // after it there is nothing to discard for a moment
		{exitFailed, []string{"move", tenant, "nobody", "--dry-run"}},
		{exitDone, []string{"events"}},
	} {
		code, out, stderr := harness.Run(t, nil, append(c.args, "--config", s.Config())...)
		if code != c.want || c.want == exitFailed && !strings.Contains(stderr, "the relay at ") {
			t.Errorf("%s: exit code %d, want %d\n%s%s", c.args, code, c.want, out, stderr)
		}
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

	events, documents := watch("events"), watch("events", "--json")
	tenant := harness.Fingerprint(t, harness.APIToken)
	for _, args := range [][]string{{"pause", tenant, "--for", "1h"}, {"resume", tenant}} {
		if code, _, stderr := harness.Run(t, nil, append(args, "--address", address)...); code != exitDone {
			t.Fatal(stderr)
		}
	}
	shows(events, "the pause is told", "paused")
	shows(events, "the end of the pause is told", "resumed")
	shows(documents, "the end of the pause is told", "resumed")
	for _, each := range []*harness.Process{status, events, documents} {
		each.Signal(syscall.SIGINT)
		if code := each.Wait(harness.Patience); code != exitDone {
			t.Errorf("exit code %d", code)
		}
	}
	if n := strings.Count(events.Output(), "paused"); n != 1 || strings.Index(events.Output(), "paused") > strings.Index(events.Output(), "resumed") {
		t.Errorf("%d times, or in another order:\n%s", n, events.Output())
	}
	for _, line := range strings.Split(strings.TrimSpace(documents.Output()), "\n") {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON document: %s", line)
		}
	}
	if n, once := strings.Count(documents.Output(), "\n"), strings.Count(events.Output(), "\n"); n != once {
		t.Errorf("%d documents of %d events", n, once)
	}
	if code, _, stderr := harness.Run(t, nil, "show", "nobody", "e/s", "--watch", "--address", address); code != exitFailed || !strings.Contains(stderr, "no such tenant") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	for _, args := range [][]string{{"status", "--watch=-1s"}, {"status", "--watch=0"}, {"tenants", "--watch=often"}, {"events", "--watch", "--before", "3"}} {
		if code, _, _ := harness.Run(t, nil, append(args, "--address", net.JoinHostPort("127.0.0.1", "1"))...); code != exitWrong {
			t.Errorf("%s: exit code %d", args, code)
		}
	}
}
