package test

import (
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"audiences/sandbox"
	"audiences/test/harness"
)

// TestDeliverFalse: a relay that is told deliver: false takes changes, says that it keeps
// them and what it would send, is ready, stops at once, and opens no connection to Split.
// The next start without it delivers the last verb of each key.
func TestDeliverFalse(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{}, nil)
	split, connections := countConnections(t)
	fingerprint := harness.Fingerprint(t, harness.APIToken)
	s.Configure(map[string]any{"deliver": false, "splitApiUrl": split})
	for _, kept := range []string{"3 keys are", "3 keys are"} { // the second start finds them in the journal
		p := s.Start()
		p.Ready()
		for _, c := range []harness.Change{{Keys: []string{"1", "2", "3000001"}}, {Verb: "delete", Keys: []string{"2"}}} {
			c.Segment = "sHeld"
			p.MustPost(c)
		}
		p.Shows(`audiences_segments{state="held"} 1`)
		p.Shows("audiences_delivery_off 1")
		for _, line := range []string{
			"deliver is false: changes are taken and kept in the journal, and nothing is sent to Split",
			"a call is due and not made, as delivery is switched off: its keys are kept",
		} {
			harness.Eventually(t, harness.Patience, line, func() bool { return logged(p, "message", line) })
		}
		tenant := "Delivery is switched off in the configuration: " + kept + " kept."
		for args, says := range map[string]string{
			"status": tenant, "segments": tenant, "segments --state held": tenant,
			"show " + fingerprint + " env1/sHeld": "add 2 keys in 1 call, such as ",
		} {
			code, stdout, stderr := harness.Run(t, nil, append(strings.Fields(args), "--address", p.Admin)...)
			if code != exitDone || !strings.Contains(stdout, says) || strings.Contains(stdout, "3000001") {
				t.Errorf("%s: exit code %d\n%s%s", args, code, stdout, stderr)
			}
		}
		if code, _, stderr := harness.Run(t, nil, "flush", fingerprint, "--address", p.Admin); code != exitNothing || !strings.Contains(stderr, "delivery is switched off in the configuration") {
			t.Errorf("flush: exit code %d, %s", code, stderr)
		}
		if a, err := p.AdminGet("/admin/dashboard"); err != nil || !strings.Contains(a.Body, tenant) {
			t.Errorf("the page does not say so: %v", err)
		}
		if code := p.Terminate(); code != exitDone {
			t.Errorf("exit code %d", code)
		}
		if code, stdout, _ := harness.Run(t, nil, "check", s.Config()); code != exitDone || !strings.Contains(stdout, "WARNING configuration  deliver is false") {
			t.Errorf("check: exit code %d\n%s", code, stdout)
		}
	}
	if n := connections.Load(); n > 0 {
		t.Errorf("%d connections to Split were opened", n)
	}
	s.Configure(nil)
	p := s.Start()
	harness.Eventually(t, harness.Patience, "what was kept arrives", func() bool { return slices.Equal(s.Members("sHeld"), []string{"1", "3000001"}) })
	p.Shows("audiences_delivery_off 0")
	if code := p.Terminate(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	s.Judge()
}

// countConnections listens where Split would, and closes whatever comes.
func countConnections(t *testing.T) (url string, count *atomic.Int64) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	count = new(atomic.Int64)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			count.Add(1)
			_ = conn.Close()
		}
	}()
	return "http://" + listener.Addr().String(), count
}
