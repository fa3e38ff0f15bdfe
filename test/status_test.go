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
		if out := told("segments", "--search", "refused"); !strings.Contains(out, "(forbidden): 2 keys are kept; one key is tried at ") || !strings.HasSuffix(out, "1 of 1 segments.\n") {
			t.Error(out)
		}
		// What is told may be a second old, and a key that was delivered just before the
		// kill is delivered again.
		harness.Eventually(t, harness.Patience, "the verdict is of the refused keys alone", func() bool {
			return strings.Contains(told("status"), "Split refuses a segment of it, 2 keys are kept.\nIntake: ready.\n")
		})
		var sum struct {
			Pending int
			Tenants map[string]int
		}
		if err := json.Unmarshal([]byte(told("status", "--json")), &sum); err != nil || sum.Pending != 2 || sum.Tenants["parked"] != 1 {
			t.Errorf("%+v %v", sum, err)
		}
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
	if code, out, _ := harness.Run(t, nil, "status", "--address", p.Admin); code != exitDone || !strings.Contains(out, fingerprint) {
		t.Errorf("exit code %d, %s", code, out)
	}
	harness.Eventually(t, harness.Patience, "the tenant is found by its name", func() bool {
		_, out, _ := harness.Run(t, nil, "segments", "--tenant", "acme-test", "--address", p.Admin)
		return strings.Contains(out, fingerprint) && strings.HasSuffix(out, "1 of 1 segments.\n")
	})
}
