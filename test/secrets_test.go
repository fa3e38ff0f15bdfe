package test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"audiences/sandbox"
	"audiences/test/harness"
)

// Things that must not show, each unlike anything else in a run.
const (
	secretAuth     = "sekrit-auth-token"
	secretPassword = "sekrit-key-password"
	secretToken    = "sekrit-api-token"
	secretHarness  = "pat.sekrit-api-token" // goes in another header
	secretMPID     = "-8735621876216983452" // held as a number
	secretText     = "sekrit-mpid"          // held as text
)

// TestNothingSecretShows covers I7 over a whole run at the most talkative log
// level: successes, every kind of refusal at the door, every kind of trouble with
// Split, a stop with keys left over, and a start that finds them.
func TestNothingSecretShows(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{}, nil)
	key := filepath.Join(s.Dir, "own.jks")
	if code, _, stderr := harness.Run(t, []string{"AUDIENCES_KEY_PASSWORD=" + secretPassword}, "keygen", "-out", key); code != exitDone {
		t.Fatal(stderr)
	}
	s.Configure(map[string]any{
		"authToken": secretAuth, "keyFile": key, "keyPassword": secretPassword,
		"logLevel": "trace", "splitTimeout": "200ms", "drainTimeout": "300ms",
	})
	var shown strings.Builder
	p := s.Start("serve")
	shown.WriteString(troubleWithSplit(t, s, p))
	shown.WriteString(refusalsAtTheDoor(t, p))
	for round := range 2 {
		shown.WriteString(lookAround(t, p))
		if code := p.Terminate(); code != exitDone {
			t.Errorf("exit code %d", code)
		}
		shown.WriteString(p.Output() + p.Log())
		if round == 0 {
			p = s.Start()
			p.Ready()
		}
	}
	for _, known := range []string{"sHang", "audiences_", `"level":"info"`, "auth token doesn't match", `"message":"answered"`, `"message":"called Split"`, "Where is a key?", "The last calls", `"transaction":`} {
		if !strings.Contains(shown.String(), known) {
			t.Errorf("%q is not in what the relay shows: this test would see nothing", known)
		}
	}
	mustNotShow(t, "what the relay shows", shown.String(), secretAuth, secretPassword, secretToken, secretMPID, secretText)

	var journal strings.Builder
	for _, text := range tree(t, s.Journal()) {
		journal.WriteString(text)
	}
	if !strings.Contains(journal.String(), "sHang") {
		t.Error("the journal is not at hand: this test would see nothing")
	}
	mustNotShow(t, "the journal", journal.String(), secretAuth, secretPassword, secretToken)
	s.Judge()
}

// mustNotShow looks for each secret; of the text around one only the place is told.
func mustNotShow(t *testing.T, where, text string, secrets ...string) {
	t.Helper()
	for _, secret := range secrets {
		if at := strings.Index(text, secret); at >= 0 {
			t.Errorf("%q stands in %s: %.200q", secret, where, text[max(0, at-150):])
		}
	}
}

// troubleWithSplit posts to one segment for each kind of trouble and waits until
// each has happened.
func troubleWithSplit(t *testing.T, s *harness.Site, p *harness.Process) string {
	t.Helper()
	troubles := map[string]sandbox.Rule{
		"sServerError": {Kind: sandbox.Status, Code: 500},
		"sBadRequest":  {Kind: sandbox.Status, Code: 400},
		"sHang":        {Kind: sandbox.Hang},
		"sHTML":        {Kind: sandbox.HTMLBadGateway},
		"sReset":       {Kind: sandbox.Reset},
		"sRedirect":    {Kind: sandbox.Redirect},
		"sForbidden":   {Kind: sandbox.Forbidden},
		"sThrottle":    {Kind: sandbox.Throttle},
		"sEmpty":       {Kind: sandbox.EmptyBadRequest},
	}
	var shown strings.Builder
	post := func(token, segment string) {
		t.Helper()
		c := harness.Change{Token: token, Segment: segment, Keys: []string{secretMPID, secretText}}
		a, err := p.Send(t.Context(), http.MethodPost, "/audiences", secretAuth, c.Body())
		if err != nil || a.Status != http.StatusOK {
			t.Fatalf("%d %s %v", a.Status, a.Body, err)
		}
		shown.WriteString(a.Body)
	}
	// One tenant each, as a throttled one holds back its own other segments.
	post(secretHarness, "sFine")
	s.Split.Fault(sandbox.Rule{Kind: sandbox.Unauthorized, Segment: "sUnauthorized"})
	post(secretToken+"-sUnauthorized", "sUnauthorized")
	for segment, rule := range troubles {
		token := secretToken + "-" + segment
		rule.Segment = segment
		if rule.Kind == sandbox.Status { // Split may name what it refuses
			rule.Message = "key " + secretText + " of " + token + " is not welcome"
		}
		s.Split.Fault(rule)
		post(token, segment)
	}
	harness.Eventually(t, harness.Patience, "all the trouble has come", func() bool {
		seen := s.Split.Counts().Outcomes
		for _, rule := range troubles {
			if seen[string(rule.Kind)] == 0 {
				return false
			}
		}
		return seen[string(sandbox.Unauthorized)] > 0 && seen[sandbox.OutcomeOK] > 0
	})
	return shown.String()
}

// refusalsAtTheDoor sends what is refused, with secrets where a careless answer
// would repeat them.
func refusalsAtTheDoor(t *testing.T, p *harness.Process) string {
	t.Helper()
	var shown strings.Builder
	token, text := `"`+secretToken+`"`, `"`+secretText+`"`
	for _, refused := range []struct{ auth, body string }{
		{secretAuth + "x", body()},
		{"Basic " + secretAuth, body()},
		{secretAuth, `{` + token + `:1,` + token + `:2}`},
		{secretAuth, `{"apiToken":` + token + `,"apiToken":` + token + `}`},
		{secretAuth, `{"apiToken":` + token + secretToken},
		{secretAuth, `{"mpids":[` + text + ` ` + secretMPID},
		{secretAuth, token},
		{secretAuth, body("apiToken", `"`+secretToken+`\n"`)},
		{secretAuth, body("apiToken", `{`+token+`:`+token+`}`)},
		{secretAuth, body("mpids", text)},
		{secretAuth, body("mpids", `[{`+text+`:`+secretMPID+`}]`)},
		{secretAuth, body("mpids", `["`+strings.Repeat(secretText, 30)+`"]`)},
		{secretAuth, body("mpids", "[\""+secretText+"\xff\"]")},
		{secretAuth, body("environmentId", `""`, "mpids", `[`+secretMPID+`]`)},
	} {
		a, err := p.Send(t.Context(), http.MethodPost, "/audiences", refused.auth, []byte(refused.body))
		if err != nil || a.Status < 400 {
			t.Errorf("%d %v for %s", a.Status, err, refused.body)
		}
		fmt.Fprintln(&shown, a.Header, a.Body)
	}
	return shown.String()
}

// lookAround is all that the relay shows to those who ask.
func lookAround(t *testing.T, p *harness.Process) string {
	t.Helper()
	var shown strings.Builder
	for _, path := range []string{"/metrics", "/readyz", "/livez"} {
		a, err := p.AdminGet(path)
		if err != nil {
			t.Fatal(err)
		}
		shown.WriteString(a.Body)
	}
	a, err := p.Send(t.Context(), http.MethodGet, "/cache", secretAuth, nil)
	if err != nil || !strings.Contains(a.Body, "sHang") {
		t.Errorf("/cache: %d %s %v", a.Status, a.Body, err)
	}
	shown.WriteString(a.Body)
	shown.WriteString(operatorsSide(t, p))
	return shown.String()
}

// operatorsSide is all that operators are shown, but for the keys that they have revealed:
// by the page, the JSON API and the commands.
func operatorsSide(t *testing.T, p *harness.Process) string {
	t.Helper()
	var shown strings.Builder
	get := func(path string) string {
		t.Helper()
		a, err := p.AdminGet(path)
		if err != nil || a.Status != http.StatusOK {
			t.Errorf("%s: %d %v", path, a.Status, err)
		}
		shown.WriteString(a.Body)
		return a.Body
	}
	run := func(args ...string) {
		t.Helper()
		code, stdout, stderr := harness.Run(t, nil, append(args, "--address", p.Admin)...)
		if code == exitFailed || code == exitWrong {
			t.Errorf("%s: exit code %d\n%s", args[0], code, stderr)
		}
		shown.WriteString(stdout + stderr)
	}
	const api, page = "/admin/api/v1/", "/admin/dashboard"
	for _, path := range []string{"/readyz?verbose", "/health/application", "/health/dependencies", page, page + "/tenants", page + "/segments", page + "/parked", page + "/events",
		api + "summary", api + "tenants", api + "budgets", api + "parked", api + "events", api + "series", api + "openapi.json"} {
		get(path)
	}
	var list struct {
		Segments []struct{ Tenant, Environment, Segment string }
	}
	if err := json.Unmarshal([]byte(get(api+"segments")), &list); err != nil || len(list.Segments) < 9 {
		t.Fatalf("%d segments: %v", len(list.Segments), err)
	}
	for _, s := range list.Segments {
		of := "segment?" + url.Values{"tenant": {s.Tenant}, "environment": {s.Environment}, "segment": {s.Segment}}.Encode()
		get(api + of)
		get(page + "/" + of)
		get(api + "parked?" + strings.TrimPrefix(of, "segment?"))
		run("show", s.Tenant, s.Environment+"/"+s.Segment)
		run("parked", s.Tenant, s.Environment+"/"+s.Segment)
		run("pause", s.Tenant, s.Environment+"/"+s.Segment, "--for", "1s", "--dry-run")
	}
	for _, args := range [][]string{{"status"}, {"tokens"}, {"tokens", "--json"}, {"tenants"}, {"segments"}, {"parked"}, {"events"}, {"status", "--json"}, {"segments", "--json"}, {"where", secretMPID, "--json"}, {"where", secretText}} {
		run(args...)
	}
	for _, key := range []string{secretMPID, secretText} {
		answer, err := http.PostForm("http://"+p.Admin+page+"/where", url.Values{"key": {key}})
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusOK || !strings.Contains(string(text), "Seen in") {
			t.Errorf("where: %d %v %s", answer.StatusCode, err, text)
		}
		shown.Write(text)
	}
	return shown.String()
}
