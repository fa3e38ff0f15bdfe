package test

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"audiences/sandbox"
	"audiences/test/harness"
)

const (
	secretLogin   = "sekrit-login-password"
	secretProgram = "sekrit-token-of-a-program-that-looks"
)

// TestAdminUsers goes the way of an operator through a relay whose admin address other
// machines can reach, and looks for secrets in all that it showed (I7).
func TestAdminUsers(t *testing.T) {
	t.Parallel()
	hash, err := bcrypt.GenerateFromPassword([]byte(secretLogin), 10)
	if err != nil {
		t.Fatal(err)
	}
	s := harness.NewSite(t, sandbox.Options{}, nil)
	s.Configure(map[string]any{
		"adminAddress": "0.0.0.0:0", "adminTls": true, "adminOpenMetrics": false, "adminPprof": true, "logLevel": "trace",
		"adminUsers": []any{
			map[string]any{"name": "anna", "role": "operator", "passwordHash": string(hash)},
			map[string]any{"name": "prometheus", "role": "viewer", "token": secretProgram},
		},
	})
	stdout := checked(t, s, exitDone)
	if !strings.Contains(stdout, "2 users, over HTTPS") {
		t.Errorf("check does not say who may come in:\n%s", stdout)
	}
	p := s.Start()
	a := newVisitor(t, p)
	for _, c := range []struct {
		path, token string
		want        int
	}{
		{"/livez", "", 200}, {"/readyz", "", 200}, {"/metrics", "", 401}, {"/debug/pprof/heap", "", 401},
		{"/metrics", secretProgram, 200}, {"/metrics", secretProgram + "x", 401}, {"/debug/pprof/heap", secretProgram, 403},
	} {
		if got := a.get(c.path, c.token); got != c.want {
			t.Errorf("%s with %q: %d, want %d", c.path, c.token, got, c.want)
		}
	}
	if got := a.login("wrong " + secretLogin); got != 401 {
		t.Errorf("a wrong password: %d", got)
	}
	if got := a.login(secretLogin); got != 303 {
		t.Errorf("a login: %d", got)
	}
	if got := a.get("/debug/pprof/heap", ""); got != 200 {
		t.Errorf("with a session: %d", got)
	}
	if code := p.Terminate(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	if !strings.Contains(p.Log(), "anna") {
		t.Error("the login is not in the log: this test would see nothing")
	}
	mustNotShow(t, "what the relay shows", stdout+p.Output()+p.Log(), secretLogin, secretProgram, string(hash), a.cookie.Value)
}

// visitor is a browser at the admin address, or a program there.
type visitor struct {
	t      *testing.T
	base   string
	client *http.Client
	cookie *http.Cookie // of the last login
}

func newVisitor(t *testing.T, p *harness.Process) *visitor {
	_, port, err := net.SplitHostPort(p.Admin)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // the certificate is another test's
	t.Cleanup(transport.CloseIdleConnections)
	return &visitor{t: t, base: "https://127.0.0.1:" + port, cookie: &http.Cookie{Name: "none"}, client: &http.Client{
		Transport: transport, Timeout: harness.Patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (v *visitor) get(path, token string) (status int) {
	v.t.Helper()
	r, err := http.NewRequest(http.MethodGet, v.base+path, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	r.AddCookie(v.cookie)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return v.do(r).StatusCode
}

func (v *visitor) login(password string) (status int) {
	v.t.Helper()
	r, err := http.NewRequest(http.MethodPost, v.base+"/login", strings.NewReader(url.Values{"name": {"anna"}, "password": {password}}.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response := v.do(r)
	for _, cookie := range response.Cookies() {
		v.cookie = cookie
	}
	return response.StatusCode
}

func (v *visitor) do(r *http.Request) *http.Response {
	v.t.Helper()
	response, err := v.client.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	_ = response.Body.Close()
	return response
}
