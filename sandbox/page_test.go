package sandbox

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func pageOf(t *testing.T, s *Split, method, path, form string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, "http://127.0.0.1"+path, strings.NewReader(form))
	if form != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	recorder := httptest.NewRecorder()
	s.ServeHTTP(recorder, r)
	return recorder
}

// TestPageSwitches: each switch makes a fault that the page shows and ends.
func TestPageSwitches(t *testing.T) {
	s := New(Options{})
	defer s.Close()
	if text := pageOf(t, s, "GET", "/sandbox/", "").Body.String(); !strings.Contains(text, "None: calls are served") {
		t.Error(text)
	}
	for _, f := range switches {
		if err := f.rule.check(); err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
		if got := pageOf(t, s, "POST", "/sandbox/page/begin", "switch="+f.Name+"&segment="); got.Code != http.StatusSeeOther {
			t.Errorf("%s: %d %s", f.Name, got.Code, got.Body.String())
		}
		text := pageOf(t, s, "GET", "/sandbox/", "").Body.String()
		_, id, found := strings.Cut(text, `name="id" value="`)
		id, _, _ = strings.Cut(id, `"`)
		if !found || !strings.Contains(text, string(f.rule.Kind)) {
			t.Fatalf("%s is not shown: %s", f.Name, text)
		}
		pageOf(t, s, "POST", "/sandbox/page/end", "id="+id)
		if text := pageOf(t, s, "GET", "/sandbox/", "").Body.String(); !strings.Contains(text, "None: calls are served") {
			t.Errorf("%s has not ended", f.Name)
		}
	}
	for path, form := range map[string]string{"/sandbox/page/begin": "switch=none", "/sandbox/page/end": "id=x"} {
		if got := pageOf(t, s, "POST", path, form); got.Code != http.StatusBadRequest {
			t.Errorf("%s %s: %d", path, form, got.Code)
		}
	}
}

// TestPageShowsSegmentsAndCalls, whose names stay text.
func TestPageShowsSegmentsAndCalls(t *testing.T) {
	s := New(Options{})
	defer s.Close()
	const hostile = `<script>alert(1)</script>`
	r := httptest.NewRequest("PUT", "http://127.0.0.1/internal/api/v2/segments/e/"+url.PathEscape(hostile)+"/uploadKeys?replace=false", strings.NewReader(`{"keys":["1"],"title":"t","comment":"c"}`))
	r.Header.Set("Authorization", "Bearer token")
	r.Header.Set("Content-Type", "application/json")
	s.ServeHTTP(httptest.NewRecorder(), r)
	answer := pageOf(t, s, "GET", "/sandbox/", "")
	text := answer.Body.String()
	if strings.Contains(text, hostile) || !strings.Contains(text, "&lt;script&gt;alert(1)") || !strings.Contains(text, "uploadKeys") {
		t.Error(text)
	}
	if policy := answer.Header().Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
		t.Error(policy)
	}
}

// TestControlIsNotForOtherSites: a page in the same browser can neither change faults nor, by
// a name that leads to this machine, read.
func TestControlIsNotForOtherSites(t *testing.T) {
	s := New(Options{})
	defer s.Close()
	for _, c := range []struct {
		method, path, site, host string
		want                     int
	}{
		{"POST", "/sandbox/page/begin", "cross-site", "127.0.0.1:1", 403}, {"POST", "/sandbox/faults", "cross-site", "127.0.0.1:1", 403},
		{"DELETE", "/sandbox/faults", "same-site", "localhost", 403}, {"GET", "/sandbox/state", "same-origin", "evil.example", 403},
		{"GET", "/sandbox/", "none", "localhost:80", 200}, {"GET", "/sandbox/state", "", "sandbox.test", 200}, {"GET", "/sandbox/", "none", "[::1]:80", 200},
	} {
		r := httptest.NewRequest(c.method, "http://"+c.host+c.path, nil)
		if c.site != "" {
			r.Header.Set("Sec-Fetch-Site", c.site)
		}
		recorder := httptest.NewRecorder()
		s.ServeHTTP(recorder, r)
		if recorder.Code != c.want {
			t.Errorf("%+v: %d", c, recorder.Code)
		}
	}
}
