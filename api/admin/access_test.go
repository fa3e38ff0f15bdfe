package admin

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"audiences/api/admin/access"
)

const (
	lookToken = "token-of-a-program-that-may-look"
	actToken  = "token-of-a-program-that-may-act-"
)

func users() []access.User {
	return []access.User{{Name: "looker", Role: access.Viewer, Token: lookToken}, {Name: "actor", Role: access.Operator, Token: actToken}}
}

// TestWhoSeesWhat: probes are for everybody, metrics unless they are closed, profiles
// for operators where they are switched on.
func TestWhoSeesWhat(t *testing.T) {
	for _, c := range []struct {
		what                                  string
		options                               Options
		token                                 string
		probes, metrics, profiles, goroutines int
	}{
		{"closed", Options{Profiles: true}, actToken, 200, 200, 403, 403},
		{"closed, closed metrics", Options{Profiles: true, ClosedMetrics: true}, actToken, 200, 403, 403, 403},
		{"local", Options{Profiles: true, ClosedMetrics: true, Access: access.Options{Local: true}}, "", 200, 200, 200, 200},
		{"no profiles", Options{Access: access.Options{Local: true}}, "", 200, 200, 404, 404},
		{"users, nobody", Options{Profiles: true, Access: access.Options{Users: users()}}, "", 200, 200, 401, 401},
		{"users, closed metrics, nobody", Options{ClosedMetrics: true, Profiles: true, Access: access.Options{Users: users()}}, "", 200, 401, 401, 401},
		{"users, viewer", Options{ClosedMetrics: true, Profiles: true, Access: access.Options{Users: users()}}, lookToken, 200, 200, 403, 403},
		{"users, operator", Options{ClosedMetrics: true, Profiles: true, Access: access.Options{Users: users()}}, actToken, 200, 200, 200, 200},
	} {
		handler := New(c.options).http.Handler
		for path, want := range map[string]int{"/livez": c.probes, "/readyz": c.probes, "/metrics": c.metrics, "/debug/pprof/": c.profiles, "/debug/pprof/goroutine?debug=1": c.goroutines, "/debug/pprof/heap": c.goroutines, "/debug/pprof/profile?seconds=x&debug=1": c.profiles} {
			if strings.Contains(path, "profile?") && want == 200 {
				continue // it would take half a minute
			}
			r := httptest.NewRequest(http.MethodGet, path, nil)
			if c.token != "" {
				r.Header.Set("Authorization", "Bearer "+c.token)
			}
			recorder := httptest.NewRecorder()
			handler.ServeHTTP(recorder, r)
			if recorder.Code != want {
				t.Errorf("%s, %s: %d, want %d", c.what, path, recorder.Code, want)
			}
			if strings.Contains(recorder.Body.String(), "-program-") {
				t.Errorf("%s, %s shows a token", c.what, path)
			}
		}
	}
}

// TestGoroutinesShowNoArguments covers I7: the longest listing has the arguments of
// every call, in whatever way it is asked for.
func TestGoroutinesShowNoArguments(t *testing.T) {
	handler := New(Options{Profiles: true, Access: access.Options{Local: true}}).http.Handler
	const part = "--b\r\nContent-Disposition: form-data; name=\"debug\"\r\n\r\n2\r\n--b--\r\n"
	for _, query := range []string{"?debug=2", "?debug=1&debug=2", "?debug=2&debug=0", "?debug=%2B2", "?gc=1"} {
		r := httptest.NewRequest(http.MethodGet, "/debug/pprof/goroutine"+query, strings.NewReader(part))
		r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, r)
		if recorder.Code != 200 || strings.Contains(recorder.Body.String(), "goroutine 1 [") {
			t.Errorf("%s: %d %.200s", query, recorder.Code, recorder.Body.String())
		}
	}
}

// TestServesTLS, and then with cookies that never leave it.
func TestServesTLS(t *testing.T) {
	certified := httptest.NewUnstartedServer(nil)
	certified.StartTLS()
	defer certified.Close()
	certificate := &certified.TLS.Certificates[0]
	address := start(t, Options{Access: access.Options{Local: true}, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate, nil }})
	client := certified.Client()
	defer client.CloseIdleConnections()
	response, err := client.Get("https://" + address + "/livez")
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if response.StatusCode != 200 || string(text) != "alive\n" {
		t.Errorf("%d %s", response.StatusCode, text)
	}
	if plain, err := http.Get("http://" + address + "/livez"); err == nil {
		_ = plain.Body.Close()
		if plain.StatusCode == 200 {
			t.Error("plain HTTP is served as well")
		}
	}
}
