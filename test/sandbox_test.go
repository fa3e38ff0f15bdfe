package test

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"audiences/test/harness"
)

// played is a sandbox that runs as a process of its own.
type played struct {
	t *testing.T
	*harness.Process
}

func playScenario(t *testing.T, arguments ...string) played {
	t.Helper()
	return played{t, (&harness.Site{T: t}).Run(append([]string{"sandbox", "-flush", "200ms"}, arguments...), nil)}
}

// interrupt is Ctrl-C; it returns the exit code.
func (p played) interrupt() int {
	p.Signal(syscall.SIGINT)
	return p.Wait(harness.Patience)
}

func readAll(t *testing.T, from io.Reader) string {
	t.Helper()
	text, err := io.ReadAll(from)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// summary is what the relay of the sandbox tells, as far as the scenarios need it.
type summary struct {
	Verdict  string
	Parked   int
	Tenants  map[string]int
	Segments map[string]int
	Now      struct{ Delivered, Refused float64 }
}

// asks returns what a path of the admin address answers; "" before it is there.
func (p played) asks(path string) string {
	found := regexp.MustCompile(`page +(http://[0-9.:]+)/`).FindStringSubmatch(p.Output())
	if found == nil {
		return ""
	}
	response, err := http.Get(found[1] + path)
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	return readAll(p.t, response.Body)
}

func (p played) summary() (s summary) {
	_ = json.Unmarshal([]byte(p.asks("/admin/api/v1/summary")), &s) // "" before the relay is there
	return s
}

// TestScenarios: each brings the relay into the state that it is about, which the page and the
// API then show; Ctrl-C ends it with a verdict, and nothing is lost or out of order.
func TestScenarios(t *testing.T) {
	t.Parallel()
	for name, there := range map[string]func(p played, s summary) bool{
		"healthy": func(p played, s summary) bool { return strings.HasPrefix(s.Verdict, "Healthy. 3 tenants, 15 segments") },
		"outage": func(p played, s summary) bool {
			return s.Segments["repeating"] > 3 && strings.Contains(s.Verdict, "repeated")
		},
		"throttled": func(p played, s summary) bool {
			return strings.Contains(p.asks("/admin/api/v1/segments?state=waiting"), "limit of the tenant's organisation") &&
				strings.Contains(p.asks("/admin/api/v1/segments?state=waiting"), "limit of the relay's address")
		},
		"revoked": func(p played, s summary) bool {
			return s.Tenants["token_refused"] == 1 && strings.Contains(s.Verdict, "acme-prod")
		},
		"parked": func(p played, s summary) bool { return s.Segments["parked"] == 1 && s.Parked >= 1 },
		"full": func(p played, s summary) bool {
			return strings.Contains(p.asks("/admin/api/v1/parked"), `"onlyAdds":true`)
		},
		"storm": func(p played, s summary) bool { return strings.Contains(p.Log(), `"cause":"in_flight"`) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := playScenario(t, "-scenario", name)
			harness.Eventually(t, harness.Patience, "the relay is in the state of "+name, func() bool { return there(p, p.summary()) })
			if page := p.asks("/admin/dashboard"); !strings.Contains(page, `id="verdict"`) {
				t.Errorf("no page: %.200s", page)
			}
			code := p.interrupt()
			if text := p.Output(); code != exitDone || !strings.Contains(text, "promises broken      0") || !strings.Contains(text, "calls saved") {
				t.Errorf("exit code %d:\n%s", code, text)
			}
		})
	}
}

// TestSandboxEndsByItself where the time of its traffic was given, and prints what happened.
func TestSandboxEndsByItself(t *testing.T) {
	t.Parallel()
	p := playScenario(t, "-scenario", "parked", "-for", "2s", "-tenants", "2")
	code := p.Wait(harness.Patience)
	for _, want := range []string{"Split refuses the segment: parked", "tenant acme-prod", "promises broken      0", "keys compared"} {
		if !strings.Contains(p.Output(), want) {
			t.Errorf("no %q in\n%s", want, p.Output())
		}
	}
	if code != exitDone {
		t.Errorf("exit code %d", code)
	}
}

// TestSplitOnly: the look-alike alone, at the port that was asked for, for a relay elsewhere.
func TestSplitOnly(t *testing.T) {
	t.Parallel()
	port := strconv.Itoa(harness.FreePort(t))
	p := playScenario(t, "-split-only", "-split-port", port, "-scenario", "outage")
	url := "http://127.0.0.1:" + port
	harness.Eventually(t, harness.Patience, "the look-alike answers", func() bool {
		response, err := http.Get(url + "/sandbox/state")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		return strings.Contains(readAll(t, response.Body), `"code":503`)
	})
	if strings.Contains(p.Output(), "curl -k") || !strings.Contains(p.Output(), url) {
		t.Errorf("it says\n%s", p.Output())
	}
	if code := p.interrupt(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
}
