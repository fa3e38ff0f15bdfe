package admin

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"audiences/api/admin/access"
	"audiences/api/admin/dashboard"
	"audiences/status"
)

// pages is a request of each path of the page that a busy relay answers with 200.
var pages = []struct{ method, path, form string }{
	{"GET", "", ""},
	{"GET", "?state=parked&search=B&tenant=bb&tenantSearch=acme&window=6h", ""},
	{"GET", "/tenants?tenantSort=pending", ""},
	{"GET", "/segments?sort=name", ""},
	{"GET", "/parked", ""},
	{"GET", "/events", ""},
	{"GET", "/segment?" + oneSegment, ""},
	{"GET", "/files/dashboard.css", ""},
	{"POST", "/where", "key=" + secretText},
	{"POST", "/reveal?" + oneSegment, ""},
	{"GET", "/remedies/flush?tenant=bb", ""},
	{"GET", "/remedies/pause?filter=yes&state=parked", ""},
	{"GET", "/remedies/resume?tenant=bb", ""},
	{"GET", "/remedies/retry?tenant=bb", ""},
	{"GET", "/remedies/discard?tenant=bb", ""},
	{"GET", "/remedies/move?tenant=bb", ""},
	{"POST", "/remedies/flush", "tenant=bb"},
	{"POST", "/remedies/pause", "tenant=bb&for=1h"},
	{"POST", "/remedies/resume", "tenant=bb"},
	{"POST", "/remedies/retry", "tenant=bb"},
	{"POST", "/remedies/discard", "tenant=bb"},
	{"POST", "/remedies/move", "tenant=bb&to=aa"},
}

// opened asks for something of the page, as a browser does.
func opened(t testing.TB, handler http.Handler, method, path, form string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, "http://localhost"+dashboard.Path+path, strings.NewReader(form))
	if form != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, r)
	return recorder
}

// shows fails unless the answer is 200 and has all of these, and returns it.
func shows(t *testing.T, answer *httptest.ResponseRecorder, all ...string) string {
	t.Helper()
	text := answer.Body.String()
	if answer.Code != http.StatusOK {
		t.Errorf("%d %s", answer.Code, text)
	}
	for _, one := range all {
		if !strings.Contains(text, one) {
			t.Errorf("no %q in %s", one, text)
		}
	}
	return text
}

// TestPage has every part, filled from the same state as the JSON API.
func TestPage(t *testing.T) {
	handler := local(busy())
	text := shows(t, opened(t, handler, "GET", "", ""), `id="verdict"`, "Tenant "+printB+": Split refuses a segment of it", `id="taken"`, "The relay&#39;s address", "env-b1/b1", "acme-prod", "8 keys are parked",
		"Tenant acme-prod ("+printA+"): paused by anna.", "loopback, operator", `hx-sse:connect="/admin/dashboard/stream"`, ">discard</button>")
	if strings.Index(text, ">env-b1/b1<") > strings.Index(text, ">env-a1/a1<") {
		t.Error("what needs an operator is not first")
	}
	if r := opened(t, handler, "GET", "", ""); r.Header().Get("Content-Security-Policy") != dashboard.Policy {
		t.Errorf("%v", r.Header())
	}
	root := httptest.NewRecorder()
	handler.ServeHTTP(root, httptest.NewRequest("GET", "http://localhost/", nil))
	if root.Code != 302 || root.Header().Get("Location") != dashboard.Path {
		t.Errorf("/ leads to %d %v", root.Code, root.Header())
	}
}

// TestPageFilters: the address says what is shown, each list by its own part of it.
func TestPageFilters(t *testing.T) {
	handler := local(busy())
	for path, want := range map[string]struct{ has, hasNot string }{
		"/segments?state=parked":                   {"b1", "a1<"},
		"/segments?search=ENV-A":                   {"env-a1/a1", "env-b1"},
		"/segments?tenant=acme-prod":               {"env-a1/a1", "env-b1"},
		"/segments?search=nothing":                 {"No segment matches.", "<table"},
		"/tenants?tenantSearch=ACME":               {"acme-prod", ">" + printB + "<"},
		"/tenants?tenantSearch=nothing":            {"No tenant matches.", "<table"},
		"/tenants?search=nothing&tenantSort=state": {"acme-prod", "No tenant"},
	} {
		text := shows(t, opened(t, handler, "GET", path, ""), want.has)
		if strings.Contains(text, want.hasNot) {
			t.Errorf("%s shows %s", path, want.hasNot)
		}
	}
	shows(t, opened(t, handler, "GET", "/segments?state=parked", ""), "All 1 that match", "filter=yes")
	if text := shows(t, opened(t, handler, "GET", "/segments", "")); strings.Contains(text, "that match") {
		t.Error("remedies for all segments are offered without a filter")
	}
	empty := local(&fakeRelay{})
	shows(t, opened(t, empty, "GET", "", ""), "No tenant yet", "No segment yet", "Nothing is parked", "Healthy.")
	for _, bad := range []string{"?sort=size", "?state=ill", "?other=1", "/segments?cursor=x", "?tenantOrder=up", "?search=%zz"} {
		if got := opened(t, handler, "GET", bad, ""); got.Code != 400 || strings.Contains(got.Body.String(), "<") {
			t.Errorf("%s: %d %s", bad, got.Code, got.Body.String())
		}
	}
}

// TestPagesOfSegments are all walked through by their links.
func TestPagesOfSegments(t *testing.T) {
	f := &fakeRelay{}
	var segments []status.Segment
	for i := range 60 {
		segments = append(segments, segmentIn(string(rune('A'+i/10))+string(rune('0'+i%10)), status.Gathering, i, 0))
	}
	f.tenants = []status.Tenant{tenantOf(idA, segments...)}
	handler := local(f)
	seen, next := 0, "/segments?sort=name"
	for range 9 {
		text := shows(t, opened(t, handler, "GET", next, ""))
		seen += strings.Count(text, `<tr id="segment-`)
		pager := text[strings.LastIndex(text, "</table>"):]
		if _, after, found := strings.Cut(pager, `>First page</a>`); found {
			pager = after
		}
		_, link, found := strings.Cut(pager, `hx-get="`+dashboard.Path)
		if !found {
			break
		}
		link, _, _ = strings.Cut(link, `"`)
		next = strings.ReplaceAll(link, "&amp;", "&")
	}
	if seen != 60 {
		t.Errorf("%d rows were seen", seen)
	}
}

// TestSegmentOnThePage: as a page of its own, which can be linked to, and as a part of the
// dashboard; its parked keys are masked.
func TestSegmentOnThePage(t *testing.T) {
	relay := busy()
	handler := local(relay)
	for tries := 0; ; tries++ { // both say how long something lasts: a second may end between them
		whole := shows(t, opened(t, handler, "GET", "/segment?"+oneSegment, ""), "<!DOCTYPE html>", "throttled ip", "429", ">pause</button>")
		part := shows(t, opened(t, handler, "GET", "/segment?"+oneSegment, "", "HX-Request", "true"), "throttled ip")
		if !strings.Contains(part, "<!DOCTYPE") && strings.Contains(whole, part) {
			break
		}
		if tries == 10 {
			t.Fatal("the part is not one of the whole")
		}
	}
	got := opened(t, handler, "GET", "/segment?tenant=bb&environment=env-b1&segment=none", "", "HX-Request", "true")
	if got.Code != 404 || !strings.Contains(got.Body.String(), `role="alert"`) {
		t.Errorf("%d %s", got.Code, got.Body.String())
	}
}

// TestRemediesOnThePage: asking changes nothing and says what would be done; the form that
// it answers with does it, for what was asked about.
func TestRemediesOnThePage(t *testing.T) {
	for _, c := range []struct {
		remedy, about, chosen string
		segments              int
	}{
		{"flush", "tenant=bb", "", 1}, {"resume", "tenant=bb", "", 1}, {"retry", oneSegment, "", 1}, {"discard", oneSegment, "", 1},
		{"pause", oneSegment, "for=4h", 1}, {"pause", "tenant=bb", "for=", 1}, {"move", "tenant=bb", "to=" + printA, 1}, {"flush", "filter=yes&tenant=bb&search=b", "", 3},
	} {
		relay := busy()
		handler := local(relay)
		text := shows(t, opened(t, handler, "GET", "/remedies/"+c.remedy+"?"+c.about+"&"+c.chosen, ""), "<form hx-post")
		asked := relay.wishes
		for _, wish := range asked {
			if !wish.DryRun {
				t.Errorf("%s: asking did it", c.remedy)
			}
		}
		relay.wishes = nil
		form := url.Values{}
		for _, hidden := range strings.Split(text, `<input type="hidden" name="`)[1:] {
			name, rest, _ := strings.Cut(hidden, `" value="`)
			value, _, _ := strings.Cut(rest, `"`)
			form.Set(name, value)
		}
		shows(t, opened(t, handler, "POST", "/remedies/"+c.remedy, form.Encode()+"&"+c.chosen), "Done", `role="status"`)
		if len(relay.wishes) != c.segments || len(asked) != c.segments {
			t.Fatalf("%s: asked %d, done %d", c.remedy, len(asked), len(relay.wishes))
		}
		for i, wish := range relay.wishes {
			if c.segments == 1 && (wish.Segment != asked[i].Segment || wish.To != asked[i].To || wish.Until.Sub(asked[i].Until).Abs() > time.Minute) || wish.Who != "loopback" || wish.DryRun || string(wish.Remedy) != c.remedy {
				t.Errorf("%s: asked %+v, done %+v", c.remedy, asked[i], wish)
			}
		}
	}
}

// TestPauseIsAskedForAnHour unless another time is chosen; with none it has no end.
func TestPauseIsAskedForAnHour(t *testing.T) {
	relay := busy()
	handler := local(relay)
	for query, want := range map[string]time.Duration{"": time.Hour, "&for=15m": 15 * time.Minute, "&for=": 0} {
		relay.wishes = nil
		shows(t, opened(t, handler, "GET", "/remedies/pause?tenant=bb"+query, ""))
		until := relay.wishes[0].Until
		if want == 0 != until.IsZero() || want > 0 && (time.Until(until)-want).Abs() > time.Minute {
			t.Errorf("%s: until %v", query, until)
		}
	}
	text := shows(t, opened(t, handler, "GET", "/remedies/move?tenant=bb", ""), "acme-prod", "handed to another tenant")
	if len(relay.wishes) != 1 || !strings.Contains(text, `required`) {
		t.Error("a move was tried without a new tenant")
	}
}

// TestWhatCannotBeDoneIsSaid in the dialog.
func TestWhatCannotBeDoneIsSaid(t *testing.T) {
	relay := busy()
	relay.refuse = func(status.Wish) error { return status.ErrPausedNow }
	handler := local(relay)
	for _, answer := range []*httptest.ResponseRecorder{
		opened(t, handler, "GET", "/remedies/flush?tenant=bb", ""), opened(t, handler, "POST", "/remedies/flush", "tenant=bb"),
		opened(t, handler, "GET", "/remedies/flush?filter=yes&state=nope", ""), opened(t, handler, "POST", "/remedies/pause", "tenant=bb&for=never"),
		opened(t, handler, "GET", "/remedies/flush?tenant=cc", ""),
	} {
		shows(t, answer, `role="alert"`)
	}
	shows(t, opened(t, handler, "POST", "/remedies/flush", "filter=yes&tenant=bb"), `role="alert"`, "3 segments are paused")
	relay.refuse = func(status.Wish) error { return errDisk }
	if text := shows(t, opened(t, handler, "POST", "/remedies/flush", "filter=yes&tenant=bb"), "It failed with 3 segments"); strings.Count(text, "<li>") != 3 {
		t.Error(text)
	}
}

// TestWhereOnThePage: what is found, what is wrong, and never the key.
func TestWhereOnThePage(t *testing.T) {
	handler := local(busy())
	if text := shows(t, opened(t, handler, "POST", "/where", "key=+"+secretText+"+&tenant="), "env-a1/a1", "acme-prod"); strings.Contains(text, secretText[:10]) {
		t.Error(text)
	}
	shows(t, opened(t, handler, "POST", "/where", "key="), `role="alert"`)
	shows(t, opened(t, handler, "POST", "/where", "key=1&tenant=zz"), "no such tenant")
}

// TestRevealOnThePage: the keys are shown once the event is kept.
func TestRevealOnThePage(t *testing.T) {
	relay := busy()
	handler := local(relay)
	shows(t, opened(t, handler, "POST", "/reveal?"+oneSegment, ""), secretText)
	if len(relay.notes) != 1 || relay.notes[0].Kind != status.EventRevealed || relay.notes[0].Who != "loopback" {
		t.Errorf("%+v", relay.notes)
	}
	relay.failNote = errors.New("the journal is full")
	if text := shows(t, opened(t, handler, "POST", "/reveal?"+oneSegment, ""), "the journal is full"); strings.Contains(text, secretText) {
		t.Error("keys were shown without an event")
	}
}

// TestWhoSeesWhatOfThePage: strangers nothing, viewers no button, and acts are refused
// to them; a session's acts need the form's token.
func TestWhoSeesWhatOfThePage(t *testing.T) {
	handler := New(Options{Relay: busy(), Access: access.Options{Users: users()}}).http.Handler
	for _, p := range pages {
		act := p.method == "POST" && p.path != "/where" || strings.HasPrefix(p.path, "/remedies")
		for role, token := range []string{"", lookToken, actToken} {
			answer := opened(t, handler, p.method, p.path, p.form, "Authorization", "Bearer "+token)
			refused := answer.Code == 401 || answer.Code == 403
			if want := role == 0 || role == 1 && act; refused != want {
				t.Errorf("%s %s as %d: %d %s", p.method, p.path, role, answer.Code, answer.Body.String())
			}
		}
	}
	for _, path := range []string{"", "/segment?" + oneSegment} {
		text := shows(t, opened(t, handler, "GET", path, "", "Authorization", "Bearer "+lookToken))
		for _, button := range []string{">flush<", ">pause<", ">discard<", "/remedies/", "/reveal"} {
			if strings.Contains(text, button) {
				t.Errorf("a viewer sees %s", button)
			}
		}
	}
	browser := opened(t, handler, "GET", "", "", "Accept", "text/html")
	if browser.Code != 303 || browser.Header().Get("Location") != "/login" {
		t.Errorf("%d %v", browser.Code, browser.Header())
	}
}

// TestSharedParts: what was made of a snapshot for one is shown to others, but no button
// to a viewer, nor another part of a list; and it is made anew of the next snapshot.
func TestSharedParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		relay := crowded()
		handler := New(Options{Relay: relay, Access: access.Options{Users: users()}}).http.Handler
		open := func(path, token string) string {
			t.Helper()
			return shows(t, opened(t, handler, "GET", path, "", "Authorization", "Bearer "+token))
		}
		for _, path := range []string{"/tenants", "/segments", "/parked"} {
			acts, looks := open(path, actToken), open(path, lookToken)
			if path != "/segments" && !strings.Contains(acts, "/remedies/") || strings.Contains(looks, "/remedies/") {
				t.Errorf("%s: who may act and who may not see the same", path)
			}
			if open(path, actToken) != acts || open(path, lookToken) != looks {
				t.Errorf("%s changed, though the snapshot did not", path)
			}
		}
		if all, some := open("/segments", lookToken), open("/segments?search=a1", lookToken); all == some {
			t.Error("a search finds all")
		}
		before := open("/segments", lookToken)
		relay.mu.Lock()
		relay.tenants = relay.tenants[:1]
		relay.mu.Unlock()
		time.Sleep(time.Minute)
		if after := open("/segments", lookToken); after == before || strings.Contains(after, "b1") {
			t.Errorf("still shown: %s", after)
		}
	})
}

// TestLiveMoves: what the page says of the last seconds changes each second, also where
// the state of all segments costs too much for that.
func TestLiveMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		relay := crowded()
		server := New(Options{Relay: relay, Access: access.Options{Local: true}})
		for i, wait := range []time.Duration{0, time.Second / 2, time.Second / 2, time.Second} {
			time.Sleep(wait)
			for range 3 { // streams
				if _, err := server.liveHTML(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if made := []int{1, 1, 2, 3}[i]; relay.budgets != made || relay.asked != 1 {
				t.Errorf("at %d: made %d times, want %d; the relay was asked %d times", i, relay.budgets, made, relay.asked)
			}
		}
	})
}

// TestPageShowsNothingSecret covers I7: no part of the page has a token, or a key that
// nobody had revealed.
func TestPageShowsNothingSecret(t *testing.T) {
	handler := New(Options{Relay: busy(), Access: access.Options{Users: users()}}).http.Handler
	for _, p := range pages {
		text := shows(t, opened(t, handler, p.method, p.path, p.form, "Authorization", "Bearer "+actToken))
		if revealed := strings.HasPrefix(p.path, "/reveal"); strings.Contains(text, secretText[:10]) != revealed || strings.Contains(text, "anna@") != revealed {
			t.Errorf("%s shows keys: %s", p.path, text)
		}
		if strings.Contains(text, "-program-") {
			t.Errorf("%s shows a token: %s", p.path, text)
		}
	}
}

// TestPageOfABusyRelay is refused in words when the relay does not answer.
func TestPageOfABusyRelay(t *testing.T) {
	relay := busy()
	relay.fail = errors.New("the relay is stopping")
	handler := local(relay)
	for _, path := range []string{"", "/tenants", "/segments", "/parked", "/events", "/segment?" + oneSegment} {
		if got := opened(t, handler, "GET", path, ""); got.Code != 503 || !strings.Contains(got.Body.String(), "stopping") {
			t.Errorf("%s: %d %s", path, got.Code, got.Body.String())
		}
	}
}

// TestSeries has the figures of now, and takes a window of a quarter of an hour to a day.
func TestSeries(t *testing.T) {
	handler := local(busy())
	got[SeriesAnswer](t, handler, "series?window=15m")
	if answer := got[SeriesAnswer](t, handler, "series?window=24h"); answer.Points == nil {
		t.Error("null in place of a list")
	}
	for _, window := range []string{"0", "25h", "-1h", "x", "1ns", "14m59s"} {
		if code, _ := call(t, handler, "GET", apiPath+"/series?window="+window, "", ""); code != 400 {
			t.Errorf("%s: %d", window, code)
		}
	}
}

// TestStream: the live part first and whenever it changed, a tick each second, and an end
// when the server stops.
func TestStream(t *testing.T) {
	relay := busy()
	server := New(Options{Relay: relay, Access: access.Options{Local: true}})
	web := httptest.NewServer(server.http.Handler)
	defer web.Close()
	read := func(query string) (*bufio.Scanner, func()) {
		response, err := web.Client().Get(web.URL + dashboard.Path + "/stream" + query)
		if err != nil {
			t.Fatal(err)
		}
		if response.Header.Get("Content-Type") != "text/event-stream" {
			t.Errorf("%v", response.Header)
		}
		return bufio.NewScanner(response.Body), func() { _ = response.Body.Close() }
	}
	next := func(lines *bufio.Scanner) (message string) {
		for lines.Scan() && lines.Text() != "" {
			message += lines.Text() + "\n"
		}
		return message
	}
	lines, end := read("")
	defer end()
	if first := next(lines); !strings.Contains(first, "data: ") || !strings.Contains(first, `id="verdict"`) || strings.Contains(first, "event:") {
		t.Errorf("first %s", first)
	}
	if tick := next(lines); !strings.HasPrefix(tick, "event: tick\n") {
		t.Errorf("then %s", tick)
	}
	relay.mu.Lock()
	relay.tenants = relay.tenants[:1]
	relay.mu.Unlock()
	message := ""
	for !strings.Contains(message, "Healthy.") {
		if message = next(lines); message == "" {
			t.Fatal("the change was not told")
		}
	}
	alone, endAlone := read("?ticks")
	defer endAlone()
	if tick := next(alone); !strings.HasPrefix(tick, "event: tick\n") {
		t.Errorf("ticks alone: %s", tick)
	}
	if err := server.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	for next(lines) != "" || next(alone) != "" { // both end; else the test does not
	}
}
