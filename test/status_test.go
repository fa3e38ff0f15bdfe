package test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"audiences/audience"
	"audiences/sandbox"
	"audiences/test/harness"
)

// TestStatusCommands: the commands and the JSON API tell of a segment that Split
// refuses, also after a kill, and nothing of keys or tokens (I7).
func TestStatusCommands(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{}, nil)
	s.Split.Fault(sandbox.Rule{Kind: sandbox.Forbidden, Segment: "refused"})
	p := s.Start()
	p.MustPost(harness.Change{Segment: "refused", Keys: []string{"8735621876001", "8735621876002"}})
	p.MustPost(harness.Change{Segment: "well", Keys: []string{"8735621876003"}})
	told := func(args ...string) string {
		t.Helper()
		code, stdout, stderr := harness.Run(t, nil, append(args, "--address", p.Admin)...)
		if code != exitDone || strings.Contains(stdout, "87356218") || strings.Contains(stdout, harness.APIToken) {
			t.Errorf("%s: exit code %d\n%s%s", args, code, stdout, stderr)
		}
		return stdout
	}
	refused := regexp.MustCompile("/refused +parked +2 +0 +Split refuses this segment since ")
	expectParked := func() {
		t.Helper()
		harness.Eventually(t, harness.Patience, "the refused segment is named", func() bool {
			return refused.MatchString(told("segments", "--state", "parked"))
		})
		if out := told("segments", "--search", "refused"); !strings.Contains(out, ": 2 keys are kept; one key is tried at ") || !strings.HasSuffix(out, "1 of 1 segments.\n") {
			t.Error(out)
		}
		if out := told("status"); !strings.Contains(out, "Split refuses a segment of it, 2 keys are kept.\nIntake: ready.\n") {
			t.Error(out)
		}
		// What is told may be a second old, and a key that was delivered just before the
		// kill is delivered again.
		harness.Eventually(t, harness.Patience, "only the refused keys are pending", func() bool {
			var sum struct {
				Pending int
				Tenants map[string]int
			}
			err := json.Unmarshal([]byte(told("status", "--json")), &sum)
			return err == nil && sum.Pending == 2 && sum.Tenants["parked"] == 1
		})
	}
	harness.Eventually(t, harness.Patience, "the other one is delivered", func() bool { return len(s.Members("well")) == 1 })
	expectParked()
	p.Kill()
	if code, _, stderr := harness.Run(t, nil, "status", "--address", p.Admin); code != exitFailed || !strings.Contains(stderr, "ask the relay") {
		t.Errorf("nobody there: exit code %d, %s", code, stderr)
	}
	p = s.Start()
	p.Shows("audiences_journal_uncounted 0")
	expectParked()
	s.Judge()
}

// TestStatusNamesTenants by fingerprint, as the log does, and takes the name that people
// know.
func TestStatusNamesTenants(t *testing.T) {
	t.Parallel()
	token, err := audience.ParseToken(harness.APIToken)
	if err != nil {
		t.Fatal(err)
	}
	fingerprint := audience.NewTenant(token).ID.String()
	s := harness.NewSite(t, sandbox.Options{}, map[string]any{"tenantNames": map[string]string{fingerprint: "acme-test"}})
	p := s.Start()
	p.MustPost(harness.Change{Segment: "s", Keys: []string{"1"}})
	harness.Eventually(t, harness.Patience, "the tenant is listed", func() bool {
		code, out, _ := harness.Run(t, nil, "status", "--address", p.Admin)
		return code == exitDone && strings.Contains(out, fingerprint)
	})
	harness.Eventually(t, harness.Patience, "the tenant is found by its name", func() bool {
		_, out, _ := harness.Run(t, nil, "segments", "--tenant", "acme-test", "--address", p.Admin)
		return strings.Contains(out, fingerprint) && strings.HasSuffix(out, "1 of 1 segments.\n")
	})
}

// TestOperatorsCommands: what an operator sees and does by commands, in one story; no
// key and no token is in what they print, but for a key that is revealed (I7).
func TestOperatorsCommands(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{}, map[string]any{"tenantNames": map[string]any{harness.Fingerprint(t, harness.APIToken): "acme-prod"}})
	s.Split.Fault(sandbox.Rule{Kind: sandbox.Poison, Key: "8735621876002"})
	p := s.Start()
	run := func(want int, args ...string) string {
		t.Helper()
		code, stdout, stderr := harness.Run(t, nil, append(args, "--address", p.Admin)...)
		if code != want || strings.Contains(stdout+stderr, harness.APIToken) {
			t.Errorf("%s: exit code %d, want %d\n%s%s", args, code, want, stdout, stderr)
		}
		return stdout + stderr
	}
	expect := func(out string, patterns ...string) {
		t.Helper()
		for _, pattern := range patterns {
			if !regexp.MustCompile(pattern).MatchString(out) {
				t.Errorf("%s is not in\n%s", pattern, out)
			}
		}
		if strings.Contains(out, "8735621876") {
			t.Errorf("a key is in\n%s", out)
		}
	}
	delivered := func(segment string, want int) {
		t.Helper()
		harness.Eventually(t, harness.Patience, "keys of "+segment+" arrive", func() bool { return len(s.Members(segment)) == want })
	}
	p.MustPost(harness.Change{Segment: "buyers", Keys: []string{"8735621876001"}})
	delivered("buyers", 1)
	p.MustPost(harness.Change{Segment: "buyers", Keys: []string{"8735621876002", "8735621876003"}})
	delivered("buyers", 2)
	p.Shows(`audiences_keys_parked{reason="bad_request"} 1`)

	expect(run(0, "tenants"), `acme-prod \(`+harness.Fingerprint(t, harness.APIToken)+`\) +idle +1 +0 +1 `)
	expect(run(0, "show", "acme-prod", "env1/buyers"), "1 key is parked", `\d{16} +\d\d:\d\d:\d\d +\d+ +add +1 +1 +200 +delivered`, "bad_request")
	expect(run(0, "where", "8735621876001"), `acme-prod .*env1/buyers +Delivered at .*, in call \d+: add\.`)
	expect(run(0, "where", "8735621876002", "--tenant", "acme-prod", "--segment", "env1/buyers"), "Parked since .*bad_request")
	expect(run(exitNothing, "where", "5", "--tenant", "acme-prod"), `Not seen since \d\d:\d\d:\d\d`)
	expect(run(0, "parked"), `acme-prod \(`+harness.Fingerprint(t, harness.APIToken)+`\) +env1/buyers +idle +0 +1 `)
	expect(run(0, "parked", "acme-prod"), `env1/buyers +idle +0 +1 `, "1 of 1 segments")
	expect(run(exitFailed, "parked", "nobody"), "no such tenant")
	expect(run(exitFailed, "parked", "acme-prod", "env1/buyer"), "not known here")
	expect(run(exitFailed, "parked", "acme-prod", "env1/buyer", "--reveal"), "not known here")
	expect(run(exitWrong, "parked", "acme-prod", "--reveal"), "--reveal")
	expect(run(0, "parked", "acme-prod", "env1/buyers"), `87\*\*\*02 +add +\d\d:\d\d:\d\d +bad_request, status 400, transaction `)
	if out := run(0, "parked", "acme-prod", "env1/buyers", "--reveal"); !strings.Contains(out, "8735621876002") {
		t.Error(out)
	}
	expect(run(0, "pause", "acme-prod", "env1/buyers", "--for", "2h", "--dry-run"), "1 segment")
	expect(run(0, "pause", "acme-prod", "env1/buyers", "--for", "2h"), "1 segment")
	expect(run(exitNothing, "flush", "acme-prod", "env1/buyers"), "paused")
	p.MustPost(harness.Change{Segment: "buyers", Keys: []string{"8735621876004"}})
	if out := run(0, "where", "8735621876004", "--tenant", "acme-prod"); !regexp.MustCompile(`env1/buyers +Pending.*: Split has not been told to add it\. Its segment: Paused by loopback since `).MatchString(out) {
		t.Error(out)
	}
	expect(run(0, "show", "acme-prod", "env1/buyers", "--workspace", "ws1", "--traffic-type", "tt1"), "env1/buyers")
	expect(run(exitFailed, "show", "acme-prod", "env1/buyers", "--traffic-type", "another"), "nothing is known|not known|no such")
	expect(run(exitWrong, "pause", "acme-prod", "--workspace", "w"), "ENVIRONMENT/SEGMENT")
	expect(run(0, "segments", "--state", "paused"), "acme-prod .*env1/buyers +paused +1 +1 +Paused by loopback since ")
	expect(run(0, "resume", "acme-prod", "env1/buyers"), "1 segment")
	expect(run(exitNothing, "resume", "acme-prod", "env1/buyers"))
	delivered("buyers", 3)
	s.Split.ClearFaults()
	expect(run(0, "retry", "acme-prod"), "1 key")
	delivered("buyers", 4)
	expect(run(exitNothing, "discard", "acme-prod", "--yes"))
	expect(run(exitWrong, "discard", "acme-prod"), "--yes")
	expect(run(exitWrong, "discard", "acme-prod", "buyers", "--yes"), "ENVIRONMENT/SEGMENT")
	expect(run(exitFailed, "pause", "nobody"), "no such tenant is known")
	events := []string{"paused.*by loopback", "resumed.*by loopback", "retried, 1 key by loopback", "keys revealed.*by loopback", "Split refuses keys: parked"}
	expect(run(0, "events"), events...)
	p.Kill()
	p = s.Start()
	expect(run(0, "events"), events...)
	expect(run(0, "where", "8735621876001", "--tenant", "acme-prod", "--segment", "env1/buyers"), `env1/buyers +Delivered at `)
	expect(run(exitNothing, "where", "5", "--tenant", "acme-prod", "--segment", "env1/buyers"), "Not seen since")
	expect(run(exitFailed, "where", "5", "--tenant", "acme-prod", "--segment", "env1/buyer"), "the segment is not known here")
	if code, out, stderr := harness.Run(t, nil, "fingerprint", harness.APIToken); code != exitWrong || strings.Contains(out+stderr, harness.APIToken) {
		t.Errorf("exit code %d: %s%s", code, out, stderr)
	}
	s.Judge()
}
