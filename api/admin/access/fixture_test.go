package access

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"golang.org/x/crypto/bcrypt"
)

const (
	password     = "sekrit-password"
	lookToken    = "sekrit-token-of-a-program-that-looks"
	actToken     = "sekrit-token-of-a-program-that-acts"
	strangers    = "192.0.2.7:40000"
	site         = "relay.example:3010"
	loginOfAnna  = "name=anna&password=" + password
	loginOfViewy = "name=viewy&password=" + password
)

var cheapHash string

func TestMain(m *testing.M) {
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		panic(err)
	}
	cheapHash = string(hash)
	os.Exit(m.Run())
}

func users() []User {
	return []User{
		{Name: "anna", Role: Operator, PasswordHash: cheapHash},
		{Name: "viewy", Role: Viewer, PasswordHash: cheapHash},
		{Name: "looker", Role: Viewer, Token: lookToken},
		{Name: "actor", Role: Operator, Token: actToken},
	}
}

// place is a guard with a page for viewers and an action for operators behind it.
type place struct {
	t     *testing.T
	guard *Guard
	mux   *http.ServeMux
	log   bytes.Buffer
	shown bytes.Buffer // all that was answered, with headers
	acted []string     // who did
}

func newPlace(t *testing.T, options Options) *place {
	p := &place{t: t, mux: http.NewServeMux()}
	options.Logger = zerolog.New(&p.log)
	p.guard = New(options)
	p.guard.Routes(p.mux)
	p.mux.Handle("GET /page", p.guard.Require(Viewer, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusOK, From(r.Context()).Name)
	})))
	p.mux.Handle("POST /act", p.guard.Require(Operator, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.acted = append(p.acted, From(r.Context()).Name)
		answer(w, http.StatusOK, "done")
	})))
	return p
}

// request has the headers in pairs.
func (p *place) request(method, path, body string, headers ...string) *http.Response {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host, r.RemoteAddr = site, strangers
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "from" {
			r.RemoteAddr = headers[i+1]
			continue
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	recorder := httptest.NewRecorder()
	p.mux.ServeHTTP(recorder, r)
	response := recorder.Result()
	p.shown.WriteString(recorder.Body.String())
	for name, values := range response.Header {
		if name != "Set-Cookie" { // which alone may hold a session
			p.shown.WriteString(name + strings.Join(values, " "))
		}
	}
	return response
}

// login returns the Cookie header of a new session.
func (p *place) login(form string) string {
	p.t.Helper()
	response := p.request("POST", "/login", form)
	if response.StatusCode != http.StatusSeeOther || len(response.Cookies()) != 1 {
		p.t.Fatalf("login: %d", response.StatusCode)
	}
	cookie := response.Cookies()[0]
	return cookie.Name + "=" + cookie.Value
}

// formOf is what the page's form sends back.
func (p *place) formOf(cookie string) string {
	p.t.Helper()
	p.shown.Reset()
	p.request("GET", "/login", "", "Cookie", cookie)
	found := regexp.MustCompile(`name="formToken" value="([^"]+)"`).FindStringSubmatch(p.shown.String())
	if found == nil {
		p.t.Fatalf("no form: %s", p.shown.String())
	}
	return url.Values{FormField: {found[1]}}.Encode()
}

func (p *place) status(method, path, body string, headers ...string) int {
	return p.request(method, path, body, headers...).StatusCode
}
