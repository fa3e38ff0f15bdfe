package admin

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"audiences/api/admin/access"
)

// asked is a request of each route that a busy relay answers with 200.
var asked = []struct{ method, path, body string }{
	{"GET", "summary", ""},
	{"GET", "tenants", ""},
	{"GET", "segments?limit=2", ""},
	{"GET", "segment?" + oneSegment, ""},
	{"GET", "parked", ""},
	{"GET", "parked?" + oneSegment, ""},
	{"POST", "parked/reveal", `{"tenant":"bb","environment":"env-b1","segment":"b1"}`},
	{"POST", "where", `{"key":"` + secretText + `"}`},
	{"GET", "events?limit=2", ""},
	{"GET", "budgets", ""},
	{"GET", "nodes", ""},
	{"GET", "series?window=6h", ""},
	{"GET", "tokens", ""},
	{"POST", "reload", ""},
	{"GET", "openapi.json", ""},
	{"POST", "remedies/flush", `{"filter":{"tenant":"bb"}}`},
	{"POST", "remedies/pause", `{"tenant":"bb","for":"2h"}`},
	{"POST", "remedies/resume", `{"tenant":"bb"}`},
	{"POST", "remedies/retry", `{"tenant":"bb"}`},
	{"POST", "remedies/discard", `{"tenant":"bb","dryRun":true}`},
	{"POST", "remedies/move", `{"tenant":"bb","to":"aa"}`},
}

var secretText = strconv.Itoa(secretKey)

// pathOf is without the query.
func pathOf(path string) string {
	path, _, _ = strings.Cut(path, "?")
	return path
}

// TestEveryRouteIsAsked keeps that list whole.
func TestEveryRouteIsAsked(t *testing.T) {
	for _, route := range New(Options{}).api() {
		found := false
		for _, a := range asked {
			found = found || a.method == route.method && pathOf(a.path) == route.path
		}
		if !found {
			t.Errorf("%s %s is not asked", route.method, route.path)
		}
	}
}

// TestNothingSecretIsShown covers I7: no answer and no line of the log has a token, or a
// key that nobody had revealed.
func TestNothingSecretIsShown(t *testing.T) {
	var log bytes.Buffer
	handler := New(Options{Relay: busy(), Reload: reloads, Access: access.Options{Users: users()}, Logger: zerolog.New(&log)}).http.Handler
	for _, a := range asked {
		code, text := call(t, handler, a.method, apiPath+"/"+a.path, a.body, actToken)
		if code != 200 {
			t.Errorf("%s: %d %s", a.path, code, text)
		}
		if revealed := a.path == "parked/reveal"; strings.Contains(text, secretText[:10]) != revealed || strings.Contains(text, "anna@") != revealed {
			t.Errorf("%s shows keys: %s", a.path, text)
		}
		if strings.Contains(text, "-program-") {
			t.Errorf("%s shows a token: %s", a.path, text)
		}
	}
	if strings.Contains(log.String(), secretText[:10]) || strings.Contains(log.String(), "-program-") || !strings.Contains(log.String(), "remedies/flush") {
		t.Errorf("the log has %s", log.String())
	}
}

// TestWhoMayAskWhat: off loopback strangers have the probes and metrics alone, viewers
// look, operators act. What is refused is JSON as well.
func TestWhoMayAskWhat(t *testing.T) {
	const strangers, viewers, operators = 0, 1, 2
	type path struct {
		method, path, body string
		least              int
	}
	paths := []path{
		{"GET", "/livez", "", strangers}, {"GET", "/readyz", "", strangers}, {"GET", "/readyz?verbose", "", strangers}, {"GET", "/metrics", "", strangers},
		{"GET", "/health/application", "", viewers}, {"GET", "/health/dependencies", "", viewers}, {"GET", "/", "", viewers}, {"GET", apiPath + "/none", "", viewers},
	}
	for _, a := range asked {
		least := viewers
		if a.method == http.MethodPost && a.path != "where" {
			least = operators
		}
		paths = append(paths, path{a.method, apiPath + "/" + a.path, a.body, least})
	}
	withUsers := New(Options{Relay: busy(), Reload: reloads, Access: access.Options{Users: users()}}).http.Handler
	without := New(Options{Relay: busy()}).http.Handler
	for _, p := range paths {
		for role, token := range []string{"", lookToken, actToken} {
			code, text := call(t, withUsers, p.method, p.path, p.body, token)
			if refused := code == 401 || code == 403; refused != (role < p.least) {
				t.Errorf("%s %s as %d: %d %s", p.method, p.path, role, code, text)
			}
		}
		if code, text := call(t, without, p.method, p.path, p.body, actToken); code == 403 != (p.least > strangers) {
			t.Errorf("%s %s without users: %d %s", p.method, p.path, code, text)
		}
	}
}

// TestPostsOfOtherSites are refused, also on this machine, where nobody logs in.
func TestPostsOfOtherSites(t *testing.T) {
	relay := busy()
	handler := local(relay)
	for _, a := range asked {
		if a.method != http.MethodPost {
			continue
		}
		r := httptest.NewRequest(a.method, "http://localhost"+apiPath+"/"+a.path, strings.NewReader(a.body))
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, r)
		if recorder.Code != http.StatusForbidden || fromJSON[Problem](t, recorder.Body.String()).Error == "" {
			t.Errorf("%s: %d %s", a.path, recorder.Code, recorder.Body.String())
		}
	}
	if len(relay.wishes)+len(relay.notes) > 0 {
		t.Error("something was done")
	}
}
