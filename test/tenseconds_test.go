package test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"audiences/sandbox"
	"audiences/test/harness"
)

// plight is a trouble as an operator comes upon it, and what must tell of it: a command,
// a metric and the log. Each text is a regular expression; "" is for where there is
// nothing to tell. TENANT stands for the fingerprint of the usual tenant, OTHER for that
// of another one, and CLOCK for a time of day.
type plight struct {
	what     string
	settings map[string]any
	look     sandbox.Options
	faults   []sandbox.Rule
	// begin brings the trouble about, with the relay that it is given; the process that it
	// returns is asked. nil: a post to the segments sick and well of the usual tenant, and
	// to the segment well of another one.
	begin func(*harness.Site, *harness.Process) *harness.Process

	segments string // of `audiences segments`: who, since or until when, why
	status   string // of `audiences status`
	metric   string // a line of /metrics
	log      string // a line of the log
}

const otherToken = "tok-bbbb"

var anyPost = harness.Change{Segment: "sick", Keys: []string{"8735621876001"}}.Body()

func usualPosts(_ *harness.Site, p *harness.Process) *harness.Process {
	p.MustPost(harness.Change{Segment: "sick", Keys: []string{"8735621876001", "8735621876002"}})
	p.MustPost(harness.Change{Segment: "well", Keys: []string{"8735621876003"}})
	p.MustPost(harness.Change{Token: otherToken, Segment: "well", Keys: []string{"8735621876004"}})
	return p
}

// refusedPosts are posts that the relay does not take.
func refusedPosts(token string, body []byte, status int) func(*harness.Site, *harness.Process) *harness.Process {
	return func(s *harness.Site, p *harness.Process) *harness.Process {
		s.T.Helper()
		for range 3 {
			a, err := p.Send(context.Background(), http.MethodPost, "/audiences", token, body)
			if err != nil || a.Status != status {
				s.T.Errorf("answered %d %s, %v", a.Status, a.Body, err)
			}
		}
		return p
	}
}

var plights = []plight{
	{
		what:     "one segment: Split has an inner error",
		faults:   []sandbox.Rule{{Kind: sandbox.Status, Code: 503, Segment: "sick"}},
		segments: `TENANT +env1/sick +repeating +2 +0 +The last (call|\d+ attempts) failed \(server_error\): 2 keys are kept; the next one is made at CLOCK`,
		status:   `Tenant TENANT: calls for it fail and are repeated, 2 keys are kept`,
		metric:   `audiences_split_calls_total{reason="server_error"} [1-9]`,
		log:      `"tenant":"TENANT".*"segment":"sick".*"status":503`,
	},
	{
		what:     "one tenant: Split has an inner error",
		faults:   []sandbox.Rule{{Kind: sandbox.Status, Code: 500, Token: "tok-aaaa"}},
		segments: `TENANT +env1/well +repeating +1 +0 .*server_error`,
		status:   `Tenant TENANT: calls for it fail and are repeated, 3 keys are kept`,
		metric:   `audiences_tenants{state="repeating"} 1`,
		log:      `"tenant":"TENANT".*"status":500`,
	},
	{
		what:     "all: Split is down",
		faults:   []sandbox.Rule{{Kind: sandbox.Reset}},
		segments: `OTHER +env1/well +repeating +1 +0 .*connection_lost`,
		status:   `2 tenants: calls for them fail and are repeated, 4 keys are kept`,
		metric:   `audiences_tenants{state="repeating"} 2`,
		log:      `connection_lost`,
	},
	{
		what:     "all: nobody is there",
		settings: map[string]any{"splitApiUrl": "http://127.0.0.1:1"},
		segments: `OTHER +env1/well +repeating +1 +0 .*unreachable`,
		status:   `2 tenants: calls for them fail`,
		metric:   `audiences_split_calls_total{reason="unreachable"} [1-9]`,
		log:      `unreachable`,
	},
	{
		what:     "one segment: Split does not answer",
		settings: map[string]any{"splitTimeout": 0.3},
		faults:   []sandbox.Rule{{Kind: sandbox.Hang, Segment: "sick"}},
		segments: `TENANT +env1/sick +(repeating|calling) +2 +0 `,
		status:   `Tenant TENANT: calls for it fail and are repeated`,
		metric:   `audiences_split_calls_total{reason="timeout"} [1-9]`,
		log:      `"segment":"sick".*"reason":"timeout"`,
	},
	{
		what:     "all: a portal answers in Split's place",
		faults:   []sandbox.Rule{{Kind: sandbox.Redirect}},
		segments: `TENANT +env1/sick +repeating +2 +0 .*redirected`,
		status:   `2 tenants: calls for them fail`,
		metric:   `audiences_split_calls_total{reason="redirected"} [1-9]`,
		log:      `redirected`,
	},
	{
		what:     "one segment: something else changes it",
		faults:   []sandbox.Rule{{Kind: sandbox.Conflict, Segment: "sick"}},
		segments: `TENANT +env1/sick +repeating +2 +0 .*conflict`,
		status:   `Tenant TENANT: calls for it fail`,
		metric:   `audiences_split_calls_total{reason="conflict"} [1-9]`,
		log:      `"segment":"sick".*"status":409`,
	},
	{
		what:     "429 of the address: all tenants wait",
		faults:   []sandbox.Rule{{Kind: sandbox.Throttle, Scope: sandbox.IP, Reset: time.Minute, Count: 1}},
		segments: `for the limit of the relay's address until CLOCK`,
		status:   `for the limit of the relay's address until CLOCK`,
		metric:   `audiences_split_calls_total{reason="throttled_ip"} 1`,
		log:      `all tenants wait`,
	},
	{
		what:     "429 of an organisation: its tenant waits",
		faults:   []sandbox.Rule{{Kind: sandbox.Throttle, Token: "tok-aaaa", Reset: time.Minute}},
		segments: `TENANT +env1/(sick|well) +waiting .*for the limit of the tenant's organisation until CLOCK`,
		status:   `TENANT +waiting .*for the limit of the tenant's organisation until CLOCK`,
		metric:   `audiences_split_calls_total{reason="throttled_org"} [1-9]`,
		log:      `"tenant":"TENANT".*throttled_org`,
	},
	{
		what:     "429 that does not say whose limit it is",
		faults:   []sandbox.Rule{{Kind: sandbox.Throttle, Segment: "sick", NoHeaders: true, RetryAfter: time.Minute}},
		segments: `TENANT +env1/sick +waiting .*for the limit of the tenant's organisation until CLOCK`,
		status:   `TENANT +waiting .*until CLOCK`,
		metric:   `audiences_split_calls_total{reason="throttled"} [1-9]`,
		log:      `"tenant":"TENANT".*"reason":"throttled","status":429`,
	},
	{
		what:   "a token was rotated: the old one is refused, the new one works",
		faults: []sandbox.Rule{{Kind: sandbox.Unauthorized, Token: "tok-aaaa"}},
		begin: func(s *harness.Site, p *harness.Process) *harness.Process {
			p.MustPost(harness.Change{Segment: "sick", Keys: []string{"8735621876001"}})
			p.MustPost(harness.Change{Token: otherToken, Segment: "sick", Keys: []string{"8735621876002"}})
			harness.Eventually(s.T, harness.Patience, "the new token delivers", func() bool {
				return len(s.Split.Members(otherToken, harness.Environment, "sick")) == 1
			})
			return p
		},
		segments: `TENANT +env1/sick +token_refused +1 +0 `,
		status:   `(?s)Tenant TENANT: its token is refused, 1 key is kept.*OTHER +idle`,
		metric:   `audiences_split_calls_total{reason="unauthorized"} [1-9]`,
		log:      `"tenant":"TENANT","reason":"unauthorized","status":401,"until"`,
	},
	{
		what: "somebody has paused a tenant",
		begin: func(s *harness.Site, p *harness.Process) *harness.Process {
			p.MustPost(harness.Change{Segment: "well", Keys: []string{"8735621876001"}})
			harness.Eventually(s.T, harness.Patience, "the key arrives", func() bool { return len(s.Members("well")) == 1 })
			answer, err := http.Post("http://"+p.Admin+"/admin/api/v1/remedies/pause", "application/json", strings.NewReader(`{"tenant": "6e70162fbbec", "for": "2h"}`))
			if err != nil || answer.StatusCode != http.StatusOK {
				s.T.Fatal(answer, err)
			}
			_ = answer.Body.Close()
			p.MustPost(harness.Change{Segment: "sick", Keys: []string{"8735621876002"}})
			return p
		},
		segments: `TENANT +env1/sick +paused +1 +0 +Paused by loopback since CLOCK .*until ([-\d]+ )?CLOCK .*1 key is kept`,
		status:   `TENANT +paused .*Paused by loopback since CLOCK`,
		metric:   `audiences_tenants_paused 1`,
	},
	{
		what: "the certificate is about to end",
		begin: func(s *harness.Site, p *harness.Process) *harness.Process {
			p.Kill()
			key := filepath.Join(s.Dir, "short.jks")
			if code, _, stderr := harness.Run(s.T, []string{"AUDIENCES_KEY_PASSWORD=password"}, "keygen", "--out", key, "--days", "6"); code != exitDone {
				s.T.Fatal(stderr)
			}
			s.Configure(map[string]any{"keyFile": key})
			return usualPosts(s, s.Start())
		},
		metric: `audiences_certificate_expires_timestamp_seconds\{file="[^"]+"\} 1\.\d+e\+09`,
		log:    `(?i)certificate.*(days|expires|ends)`,
	},
	{
		what:     "a lone key is refused",
		faults:   []sandbox.Rule{{Kind: sandbox.Poison, Key: "8735621876001"}},
		segments: `TENANT +env1/sick +idle +0 +1 .*1 key is parked, for an operator to retry or discard`,
		status:   `1 key is parked`,
		metric:   `audiences_keys_parked{reason="bad_request"} 1`,
		log:      `"tenant":"TENANT".*"segment":"sick","reason":"bad_request".*"keys":1`,
	},
	{
		what:   "some keys of many are refused",
		faults: []sandbox.Rule{{Kind: sandbox.Poison, Key: "8735621876001"}, {Kind: sandbox.Poison, Key: "8735621876010"}, {Kind: sandbox.Poison, Key: "8735621876030"}},
		begin: func(s *harness.Site, p *harness.Process) *harness.Process {
			p.MustPost(harness.Change{Segment: "sick", Keys: []string{"8735621876099"}})
			harness.Eventually(s.T, harness.Patience, "Split takes a key", func() bool { return len(s.Members("sick")) == 1 })
			keys := make([]string, 0, 40)
			for i := range 40 {
				keys = append(keys, fmt.Sprintf("87356218760%02d", i))
			}
			p.MustPost(harness.Change{Segment: "sick", Keys: keys})
			return p
		},
		segments: `TENANT +env1/sick +idle +0 +3 .*3 keys are parked, for an operator to retry or discard`,
		status:   `3 keys are parked`,
		metric:   `audiences_keys_parked{reason="bad_request"} 3`,
		log:      `"tenant":"TENANT".*"segment":"sick".*bad_request`,
	},
	{
		what:     "one segment: the token has no right",
		faults:   []sandbox.Rule{{Kind: sandbox.Forbidden, Segment: "sick"}},
		segments: `TENANT +env1/sick +parked +2 +0 +Split refuses this segment since CLOCK .*forbidden.*one key is tried at CLOCK`,
		status:   `Tenant TENANT: Split refuses a segment of it, 2 keys are kept`,
		metric:   `audiences_segments_parked{reason="forbidden"} 1`,
		log:      `"tenant":"TENANT".*"segment":"sick".*forbidden`,
	},
	{
		what:     "one segment: changes need approval",
		faults:   []sandbox.Rule{{Kind: sandbox.Approvals, Segment: "sick"}},
		segments: `TENANT +env1/sick +parked +2 +0 .*approvals_required.*one key is tried at CLOCK`,
		status:   `Tenant TENANT: Split refuses a segment of it`,
		metric:   `audiences_segments_parked{reason="approvals_required"} 1`,
		log:      `"segment":"sick".*approvals_required`,
	},
	{
		what:     "one segment is full",
		faults:   []sandbox.Rule{{Kind: sandbox.Status, Code: 400, Message: "Segment is full: maximum number of keys 100000 reached", Segment: "sick"}},
		segments: `TENANT +env1/sick +(parked|idle) `,
		status:   `TENANT`,
		metric:   `audiences_(keys|segments)_parked{reason="(segment_full|bad_request)"} [1-9]`,
		log:      `"segment":"sick".*"reason":"(segment_full|bad_request)"`,
	},
	{
		what:     "one segment does not exist",
		look:     sandbox.Options{Strict: true},
		segments: `TENANT +env1/sick +repeating +2 +0 .*not_found`,
		status:   `calls for (it|them) fail`,
		metric:   `audiences_split_calls_total{reason="not_found"} [1-9]`,
		log:      `not_found`,
	},
	{
		what:     "a token is revoked",
		faults:   []sandbox.Rule{{Kind: sandbox.Unauthorized, Token: "tok-aaaa"}},
		segments: `TENANT +env1/sick +token_refused +2 +0 +Split refuses the token since CLOCK .*the token is tried again at CLOCK`,
		status:   `Tenant TENANT: its token is refused, 3 keys are kept`,
		metric:   `audiences_tenants{state="token_refused"} 1`,
		log:      `"tenant":"TENANT".*unauthorized`,
	},
	{
		what:   "what was parked before a restart",
		faults: []sandbox.Rule{{Kind: sandbox.Forbidden, Segment: "sick"}, {Kind: sandbox.Poison, Key: "8735621876003"}},
		begin: func(s *harness.Site, p *harness.Process) *harness.Process {
			usualPosts(s, p)
			p.Shows(`audiences_segments_parked{reason="forbidden"} 1`)
			p.Shows(`audiences_keys_parked{reason="bad_request"} 1`)
			p.Kill()
			return s.Start()
		},
		segments: `TENANT +env1/sick +parked +2 +0 +Split refuses this segment since CLOCK .*forbidden`,
		status:   `Split refuses a segment of it.* 1 key is parked`,
		metric:   `audiences_keys_parked{reason="bad_request"} 1`,
		log:      `"segmentsWithParkedKeys":1,"segmentsParked":1`,
	},
	{
		what: "the disk is nearly full",
		begin: func(s *harness.Site, p *harness.Process) *harness.Process {
			p.Kill()
			s.Configure(map[string]any{"minFreeDiskBytes": diskSize(s) - 1})
			return refusedPosts(harness.AuthToken, anyPost, http.StatusServiceUnavailable)(s, s.Start())
		},
		status: `Intake: .*disk nearly full`,
		metric: `audiences_requests_refused_total{cause="disk"} 3`,
		log:    `"cause":"disk"`,
	},
	{
		what: "the store is damaged",
		begin: func(s *harness.Site, p *harness.Process) *harness.Process {
			usualPosts(s, p)
			p.Kill()
			files, err := filepath.Glob(filepath.Join(s.Journal(), "*", "MANIFEST-*"))
			if err != nil || len(files) == 0 {
				s.T.Fatal(files, err)
			}
			for _, file := range files {
				if err := os.WriteFile(file, []byte("no manifest"), 0o600); err != nil {
					s.T.Fatal(err)
				}
			}
			return s.Start()
		},
		metric: `audiences_journal_set_aside 1`,
		log:    `set aside`,
	},
	{
		what:     "too many posts at once",
		settings: map[string]any{"maxRequestsInFlight": 1},
		begin: func(s *harness.Site, p *harness.Process) *harness.Process {
			body, slowly := io.Pipe() // a post that does not come to its end
			s.T.Cleanup(func() { _ = slowly.Close() })
			request, err := http.NewRequest(http.MethodPost, "https://"+p.HTTPS+"/audiences", body)
			if err != nil {
				s.T.Fatal(err)
			}
			request.Header.Set("Authorization", harness.AuthToken)
			go func() {
				if answer, err := harness.Lambda.Do(request); err == nil {
					_ = answer.Body.Close()
				}
			}()
			p.Shows("audiences_requests_in_flight 1")
			return refusedPosts(harness.AuthToken, anyPost, http.StatusServiceUnavailable)(s, p)
		},
		metric: `audiences_requests_refused_total{cause="in_flight"} 3`,
		log:    `"cause":"in_flight".*"from":"127.0.0.1"`,
	},
	{
		what:   "a caller without the token",
		begin:  refusedPosts("wrong", anyPost, http.StatusUnauthorized),
		metric: `audiences_requests_refused_total{cause="token"} 3`,
		log:    `"cause":"token".*"from":"127.0.0.1"`,
	},
	{
		what:   "a caller whose posts lack a field",
		begin:  refusedPosts(harness.AuthToken, harness.Change{Segment: "not a name", Keys: []string{"8735621876001"}}.Body(), http.StatusBadRequest),
		metric: `audiences_requests_refused_total{cause="field"} 3`,
		log:    `"cause":"field".*"field":"segment".*`,
	},
}

// TestTenSeconds: in each kind of trouble one command, one metric and the log name what
// is wrong, for whom, since when and until when. Ten seconds are what an operator has;
// the test waits longer, as a busy machine may need it.
func TestTenSeconds(t *testing.T) {
	t.Parallel()
	words := strings.NewReplacer("TENANT", harness.Fingerprint(t, harness.APIToken), "OTHER", harness.Fingerprint(t, otherToken), "CLOCK", `\d\d:\d\d:\d\d`)
	for _, c := range plights {
		t.Run(strings.ReplaceAll(c.what, " ", "_"), func(t *testing.T) {
			t.Parallel()
			s := harness.NewSite(t, c.look, c.settings)
			for _, fault := range c.faults {
				s.Split.Fault(fault)
			}
			begin := c.begin
			if begin == nil {
				begin = usualPosts
			}
			p := begin(s, s.Start())
			for what, text := range map[string]func() string{
				"segments": func() string { return told(t, p, "segments") },
				"status":   func() string { return told(t, p, "status") },
				"metric":   func() string { return metricsOf(t, p) },
				"log":      p.Log,
			} {
				pattern := words.Replace(map[string]string{"segments": c.segments, "status": c.status, "metric": c.metric, "log": c.log}[what])
				expected := regexp.MustCompile("(?m)" + pattern)
				if !eventually(func() bool { return expected.MatchString(text()) }) {
					t.Errorf("%s does not tell %s:\n%s", what, pattern, short(text()))
				}
			}
		})
	}
}

// short leaves out of the metrics what is 0, and what is not ours.
func short(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "go_") && !strings.HasSuffix(line, " 0\n") && !strings.Contains(line, "_bucket{") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// eventually is harness.Eventually for what is told with more than its name.
func eventually(holds func() bool) bool {
	ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
	defer cancel()
	return harness.Until(ctx, harness.Patience, "", func() (bool, error) { return holds(), nil }) == nil
}

// told is what an operator's command prints; no key and no token may be in it (I7).
func told(t *testing.T, p *harness.Process, args ...string) string {
	t.Helper()
	code, stdout, stderr := harness.Run(t, nil, append(args, "--address", p.Admin)...)
	if code != exitDone || strings.Contains(stdout, "8735621876") || strings.Contains(stdout, harness.APIToken) {
		t.Errorf("%s: exit code %d\n%s%s", args, code, stdout, stderr)
	}
	return stdout
}

func metricsOf(t *testing.T, p *harness.Process) string {
	t.Helper()
	a, err := p.AdminGet("/metrics")
	if err != nil {
		t.Error(err)
	}
	return a.Body
}
