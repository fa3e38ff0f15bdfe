package admin

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"audiences/api/admin/access"
	"audiences/status"
)

// TestReadyzTellsEachCheck, to those who may look.
func TestReadyzTellsEachCheck(t *testing.T) {
	checks := []Check{{"journal", func() error { return nil }}, {"relay", func() error { return errors.New("replaying") }}}
	const all = "[+] journal: ok\n[-] relay: replaying\nreplaying\n"
	closed := New(Options{Checks: checks, Access: access.Options{Users: users()}}).http.Handler
	open := New(Options{Checks: checks, Access: access.Options{Local: true}}).http.Handler
	for _, c := range []struct {
		handler     http.Handler
		path, token string
		want        string
	}{
		{open, "/readyz", "", "replaying\n"},
		{open, "/readyz?verbose", "", all},
		{open, "/readyz?verbose=1", "", all},
		{closed, "/readyz?verbose", lookToken, all},
		{closed, "/readyz?verbose", "", "replaying\n"},
		{closed, "/readyz?verbose", "wrong", "replaying\n"},
	} {
		if code, text := call(t, c.handler, http.MethodGet, c.path, "", c.token); code != 503 || text != c.want {
			t.Errorf("%s %q: %d %q", c.path, c.token, code, text)
		}
	}
	well := New(Options{Checks: checks[:1], Access: access.Options{Local: true}}).http.Handler
	if code, text := call(t, well, http.MethodGet, "/readyz?verbose", "", ""); code != 200 || text != "[+] journal: ok\nready\n" {
		t.Errorf("%d %q", code, text)
	}
}

// TestOutageOfSplitIsNoUnreadiness: changes are taken all the same, and the dependency
// says so.
func TestOutageOfSplitIsNoUnreadiness(t *testing.T) {
	failing := tenantOf(idA, segmentIn("a", status.Repeating, 5, 0), segmentIn("b", status.Parked, 5, 1))
	well := tenantOf(idB, segmentIn("b", status.Calling, 5, 0))
	refused := tenantOf(id(1), segmentIn("c", status.TokenRefused, 5, 0))
	for what, c := range map[string]struct {
		tenants []status.Tenant
		want    string
		words   string
	}{
		"nobody":         {nil, "healthy", ""},
		"all well":       {[]status.Tenant{well}, "healthy", ""},
		"a tenant's own": {[]status.Tenant{refused}, "healthy", ""},
		"one of two":     {[]status.Tenant{failing, well}, "degraded", "calls for 1 tenant fail and are repeated"},
		"all":            {[]status.Tenant{failing, refused, failing}, "down", "calls for 2 tenants fail and are repeated"},
	} {
		handler := New(Options{Relay: &fakeRelay{tenants: c.tenants}, SplitURL: "https://api.split.io", Access: access.Options{Local: true}}).http.Handler
		code, text := call(t, handler, http.MethodGet, "/health/dependencies", "", "")
		health := fromJSON[DependencyHealth](t, text)
		if code != 200 || health.Status != c.want || len(health.Dependencies) != 1 {
			t.Errorf("%s: %d %s", what, code, text)
			continue
		}
		if split := health.Dependencies[0]; split.Service != "https://api.split.io" || split.Healthy != (c.want == "healthy") || split.Message != c.words || split.HealthySince.IsZero() == split.Healthy {
			t.Errorf("%s: %s", what, text)
		}
		if code, _ := call(t, handler, http.MethodGet, "/readyz", "", ""); code != 200 {
			t.Errorf("%s: not ready: %d", what, code)
		}
	}
}

// TestApplicationHealth is 500 while something is wrong, and knows since when it is not.
func TestApplicationHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wrong error
		handler := New(Options{Checks: []Check{{"journal", func() error { return wrong }}}, Access: access.Options{Local: true}}).http.Handler
		ask := func() (int, ApplicationHealth) {
			code, text := call(t, handler, http.MethodGet, "/health/application", "", "")
			return code, fromJSON[ApplicationHealth](t, text)
		}
		first := time.Now()
		if code, health := ask(); code != 200 || !health.Healthy || !health.HealthySince.Equal(first) || !health.Items[0].Healthy || health.Items[0].Name != "journal" {
			t.Errorf("%d %+v", code, health)
		}
		time.Sleep(time.Minute)
		if _, health := ask(); !health.HealthySince.Equal(first) || !health.Items[0].LastHit.Equal(first.Add(time.Minute)) {
			t.Errorf("%+v", health)
		}
		wrong = errors.New("the disk is full")
		if code, health := ask(); code != 500 || health.Healthy || !health.HealthySince.IsZero() || health.Items[0].Message != "the disk is full" {
			t.Errorf("%d %+v", code, health)
		}
		wrong = nil
		time.Sleep(time.Minute)
		if _, health := ask(); !health.HealthySince.Equal(time.Now()) {
			t.Errorf("%+v", health)
		}
	})
}

func TestRootLeadsToThePage(t *testing.T) {
	recorder := httptest.NewRecorder()
	local(busy()).ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "http://localhost/", nil))
	if recorder.Code != http.StatusFound || recorder.Header().Get("Location") != "/admin/dashboard" {
		t.Errorf("%d %v", recorder.Code, recorder.Header())
	}
}
