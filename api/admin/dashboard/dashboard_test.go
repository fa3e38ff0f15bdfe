package dashboard

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"audiences/api/admin/series"
	"audiences/status"
)

// TestVendoredFiles: each file is the one that its manifest names, none is without a line,
// and each package has its licence.
func TestVendoredFiles(t *testing.T) {
	manifest, err := os.Open("vendored/MANIFEST")
	if err != nil {
		t.Fatal(err)
	}
	defer manifest.Close()
	listed, licences := map[string]bool{"MANIFEST": true}, map[string]bool{}
	packages := map[string]bool{}
	for lines := bufio.NewScanner(manifest); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || fields[0] == "#" {
			continue
		}
		if len(fields) != 5 {
			t.Fatalf("a line of %d fields: %v", len(fields), fields)
		}
		text, err := os.ReadFile(filepath.Join("vendored", fields[1]))
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != fields[0] {
			t.Errorf("%s is not the one of %s", fields[1], fields[2])
		}
		listed[fields[1]] = true
		packages[fields[2]] = true
		if strings.HasPrefix(fields[1], "LICENSE") {
			licences[fields[2]] = true
		}
	}
	entries, err := os.ReadDir("vendored")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !listed[entry.Name()] {
			t.Errorf("%s is not in the manifest", entry.Name())
		}
	}
	for name := range packages {
		if !licences[name] {
			t.Errorf("%s has no licence here", name)
		}
	}
	if len(packages) != 2 {
		t.Errorf("packages: %v", packages)
	}
}

// TestFiles: a file is kept by the browser for good under the address that the page has,
// and not under another one.
func TestFiles(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+Path+"/files/{name}", ServeFile)
	ask := func(path string) *httptest.ResponseRecorder {
		recorder := httptest.NewRecorder()
		mux.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, path, nil))
		return recorder
	}
	for name, kind := range map[string]string{"dashboard.js": "text/javascript", "dashboard.css": "text/css", "icon.svg": "image/svg+xml", "htmx.min.js": "text/javascript", "uPlot.min.css": "text/css"} {
		got := ask(fileURL(name))
		if got.Code != 200 || !strings.HasPrefix(got.Header().Get("Content-Type"), kind) || !strings.Contains(got.Header().Get("Cache-Control"), "immutable") || got.Body.Len() == 0 {
			t.Errorf("%s: %d %v, %d bytes", name, got.Code, got.Header(), got.Body.Len())
		}
		if got := ask(Path + "/files/" + name + "?v=0"); got.Code != 200 || got.Header().Get("Cache-Control") != "" {
			t.Errorf("%s of another version: %d %v", name, got.Code, got.Header())
		}
	}
	for _, name := range []string{"none.js", "LICENSE.htmx", "MANIFEST", "..%2fview.go"} {
		if got := ask(Path + "/files/" + name); got.Code != 404 {
			t.Errorf("%s: %d", name, got.Code)
		}
	}
}

// TestQuery: the address has all of what is shown, and a new filter or order begins with
// the first page of its own list.
func TestQuery(t *testing.T) {
	q := Query{"tenant": {"aa"}, "cursor": {"c"}, "tenantCursor": {"d"}, "sort": {"pending"}}
	for _, c := range []struct{ got, want string }{
		{Query{}.With(""), Path},
		{Query{}.With("", "state", ""), Path},
		{q.With("/segments"), Path + "/segments?cursor=c&sort=pending&tenant=aa&tenantCursor=d"},
		{q.With("", "state", "parked"), Path + "?sort=pending&state=parked&tenant=aa&tenantCursor=d"},
		{q.With("", "tenant", ""), Path + "?sort=pending&tenantCursor=d"},
		{q.With("", "tenantSearch", "x&y"), Path + "?cursor=c&sort=pending&tenant=aa&tenantSearch=x%26y"},
		{q.With("", "cursor", "e"), Path + "?cursor=e&sort=pending&tenant=aa&tenantCursor=d"},
		{q.Sorted("", "", "pending"), Path + "?order=asc&sort=pending&tenant=aa&tenantCursor=d"},
		{q.Sorted("", "", "name"), Path + "?sort=name&tenant=aa&tenantCursor=d"},
		{q.Sorted("/tenants", "tenant", "state"), Path + "/tenants?cursor=c&sort=pending&tenant=aa&tenantOrder=desc&tenantSort=state"},
		{q.Sorts("", "pending"), "descending"}, {q.Sorts("", "state"), "none"}, {q.Sorts("tenant", "state"), "ascending"},
		{Query{"sort": {"name"}, "order": {"desc"}}.Sorts("", "name"), "descending"},
		{q.Others("search", "state", "tenant").Encode(), "sort=pending&tenantCursor=d"},
		{q.Others("tenantSearch").Encode(), "cursor=c&sort=pending&tenant=aa"},
	} {
		if c.got != c.want {
			t.Errorf("got  %s\nwant %s", c.got, c.want)
		}
	}
}

// TestRemediesAreOffered where they may change something.
func TestRemediesAreOffered(t *testing.T) {
	for want, c := range map[string]struct {
		state, also status.State
		parked      int
	}{
		"flush pause":                {status.Gathering, "", 0},
		"resume":                     {status.Paused, "", 0},
		"flush pause retry discard":  {status.Parked, "", 0},
		"resume retry discard":       {status.Paused, "", 3},
		"resume retry discard ":      {status.Parked, status.Paused, 0},
		"flush pause retry discard ": {status.Idle, "", 1},
	} {
		var names []string
		for _, r := range offered(status.Condition{State: c.state, Also: c.also}, status.Counts{Parked: c.parked}) {
			names = append(names, string(r))
		}
		if got := strings.Join(names, " "); got != strings.TrimSpace(want) {
			t.Errorf("%s with %d parked: %s, want %s", c.state, c.parked, got, want)
		}
	}
}

// TestRemediesOfATenant: where only a segment is paused, the tenant is not offered to go on.
func TestRemediesOfATenant(t *testing.T) {
	paused := []status.Segment{{Segment: "s", Condition: status.Condition{State: status.Paused}}}
	for want, gate := range map[string]status.TenantGate{"flush pause move": {}, "resume move": {Paused: true}} {
		tenant := status.NewTenant("aa", gate, paused, time.Now())
		var names []string
		for _, r := range (Tenants{}).Remedies(tenant).Remedies {
			names = append(names, string(r))
		}
		if got := strings.Join(names, " "); got != want || tenant.State != status.Paused {
			t.Errorf("%+v: %s, want %s", gate, got, want)
		}
	}
}

// TestRemediesOfATenantWithAParkedSegment are offered whatever else is said of the tenant.
func TestRemediesOfATenantWithAParkedSegment(t *testing.T) {
	parked := []status.Segment{{Segment: "s", Condition: status.Condition{State: status.Parked, Also: status.Paused}, Counts: status.Counts{Pending: 1}}}
	for want, gate := range map[string]status.TenantGate{
		"flush pause retry discard move": {}, "flush pause retry discard move ": {Refused: true}, "resume retry discard move": {Paused: true},
	} {
		var names []string
		for _, r := range (Tenants{}).Remedies(status.NewTenant("aa", gate, parked, time.Now())).Remedies {
			names = append(names, string(r))
		}
		if got := strings.Join(names, " "); got != strings.TrimSpace(want) {
			t.Errorf("%+v: %s, want %s", gate, got, want)
		}
	}
}

// TestFigures are short.
func TestFigures(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{amount(0), "0"}, {amount(0.25), "0.2"}, {amount(7.5), "7.5"}, {amount(42.4), "42"}, {amount(1234.6), "1,235"}, {amount(1_250_000), "1.2 M"}, {amount(12_500_000), "12 M"},
		{seconds(0), "0 s"}, {seconds(0.0421), "42 ms"}, {seconds(2.34), "2.3 s"}, {seconds(75), "1 min"},
		{words(status.TokenRefused), "token refused"},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
}

// hostile is what a customer may call a segment, an environment or a workspace.
const hostile = `"><script>alert(1)</script><b onclick="x" style="y">`

// whole is a page with something in every place.
func whole() Page {
	now := time.Now()
	segment := status.Segment{Workspace: hostile, Environment: hostile, TrafficType: hostile, Segment: hostile,
		Condition: status.Condition{State: status.Parked, Since: now, Reason: hostile}, Counts: status.Counts{Pending: 3, Parked: 2}, Sentence: hostile}
	row := Row{Tenant: "aabbcc", Name: hostile, Segment: segment}
	tenant := status.Tenant{Tenant: "aabbcc", Name: hostile, Condition: segment.Condition, Counts: segment.Counts, Sentence: hostile}
	q := Query{"search": {hostile}, "cursor": {"c"}, "tenantSearch": {hostile}, "tenantCursor": {"c"}}
	return Page{Head: Head{Version: "1.2.3", Who: hostile, Role: "operator", CanAct: true, FormToken: "t0ken"}, Query: q,
		Live: Live{At: now, Verdict: hostile, Tone: "bad", Ready: hostile, Now: series.Now{Measured: 1, Refused: 2}, Counts: segment.Counts, Backlog: hostile, Others: 2,
			Budgets: []Budget{{Title: hostile, Said: hostile}}},
		Tenants:  Tenants{At: now, Query: q, CanAct: true, Rows: []status.Tenant{tenant}, Matching: 1, Next: "n"},
		Segments: Segments{At: now, Query: q, CanAct: true, States: status.States(), Rows: []Row{row}, Matching: 1, Next: "n"},
		Parked:   Parked{At: now, CanAct: true, Reasons: []Reason{{hostile, 1, 2}}, Rows: []Row{row}, Matching: 2},
		Events:   Events{At: now, Rows: []status.Event{{Number: 3, At: now, Sentence: hostile}}}}
}

// views are all that is written by itself.
func views() map[string]View {
	page := whole()
	key := status.ParkedKey{Shown: hostile, Verb: "add", Reason: hostile, Message: hostile, At: time.Now()}
	detail := Detail{Head: page.Head, Row: page.Segments.Rows[0], At: time.Now(), Keys: []status.ParkedKey{key}, More: true,
		Detail: status.Detail{Segment: page.Segments.Rows[0].Segment, Calls: []status.Call{{Reason: hostile, Transaction: hostile, Status: 400, Organisation: status.Limit{Known: true}, Address: status.Limit{Known: true}}}, Due: time.Now(), Oldest: time.Now()}}
	return map[string]View{"page": page, "live": page.Live, "tenants": page.Tenants, "segments": page.Segments, "parked": page.Parked, "events": page.Events,
		"segment-page": SegmentPage(detail), "detail": detail, "revealed": Keys{Keys: detail.Keys, More: detail.More},
		"ask":   Ask{Remedy: status.Move, What: hostile, Sentence: hostile, Fields: map[string]string{"segment": hostile}, Chosen: "aabbcc", Tenants: page.Tenants.Rows},
		"done":  Done{Sentence: hostile, Problem: hostile, Failed: []string{hostile}},
		"found": Found{Whereabouts: status.Whereabouts{Sentence: hostile, Next: "n", Sightings: []status.Sighting{{Segment: hostile, Environment: hostile, Name: hostile, Message: hostile, Sentence: hostile}}}}}
}

// TestNothingOfOthersIsMarkup: names that customers choose stay text, and the page has no
// script, style or handler of its own within the HTML, which the policy would refuse.
func TestNothingOfOthersIsMarkup(t *testing.T) {
	const attributes = `(?:\s+[^\s"'=<>]+(?:=(?:"[^"]*"|'[^']*'))?)*?`
	inline := regexp.MustCompile(`(?i)<[a-z][a-z0-9-]*` + attributes + `\s+(?:(?:on[a-z]+|style|hx-on[^=\s]*)=|[^\s"'=<>]+=["'](?:javascript:|js:))|<style|<script(?:>|[^>]*>[^<])`)
	for name, view := range views() {
		text := Make(view)
		if strings.Contains(string(text), "<script>alert") || strings.Contains(string(text), "<b onclick") {
			t.Errorf("%s has markup of others: %s", name, text)
		}
		if found := inline.Find(text); found != nil {
			t.Errorf("%s has something inline: %s", name, found)
		}
		if !strings.Contains(string(text), "alert(1)") {
			t.Errorf("%s does not show what it was given", name)
		}
	}
}

// TestEveryFormHasLabels: a field without one cannot be found by who does not see it.
func TestEveryFormHasLabels(t *testing.T) {
	field := regexp.MustCompile(`<(?:input|select)\s[^>]*>`)
	id := regexp.MustCompile(` id="([^"]+)"`)
	for name, view := range views() {
		text := Make(view)
		for _, tag := range field.FindAllString(string(text), -1) {
			if strings.Contains(tag, `type="hidden"`) {
				continue
			}
			found := id.FindStringSubmatch(tag)
			if found == nil || !strings.Contains(string(text), `<label for="`+found[1]+`"`) {
				t.Errorf("%s: %s has no label", name, tag)
			}
		}
	}
}

// TestWrite sets the policy.
func TestWrite(t *testing.T) {
	recorder := httptest.NewRecorder()
	Write(recorder, http.StatusTeapot, Done{Sentence: "So it is."})
	if recorder.Code != http.StatusTeapot || recorder.Header().Get("Content-Security-Policy") != Policy || !strings.Contains(recorder.Body.String(), "So it is.") {
		t.Errorf("%d %v", recorder.Code, recorder.Header())
	}
	if strings.Contains(Policy, "unsafe") || !strings.HasPrefix(Policy, "default-src 'none'") {
		t.Error(Policy)
	}
}
