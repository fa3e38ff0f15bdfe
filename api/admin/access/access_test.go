package access

import (
	"fmt"
	"strings"
	"testing"
)

// TestWhoMayWhat is the whole of it: the kind of address, who asks, for what.
func TestWhoMayWhat(t *testing.T) {
	kinds := map[string]Options{"local": {Local: true}, "closed": {}, "users": {Users: users()}}
	for _, c := range []struct {
		kind, who                string
		page, act, login, logsIn int // the statuses
	}{
		{"local", "nobody", 200, 200, 200, 401},
		{"local", "a wrong token", 200, 200, 200, 401},
		{"closed", "nobody", 403, 403, 403, 403},
		{"closed", "a token", 403, 403, 403, 403},
		{"users", "nobody", 401, 401, 200, 303},
		{"users", "a wrong token", 401, 401, 200, 303},
		{"users", "a wrong scheme", 401, 401, 200, 303},
		{"users", "a wrong cookie", 401, 401, 200, 303},
		{"users", "a token", 200, 200, 200, 303},
		{"users", "a small bearer", 200, 200, 200, 303},
		{"users", "a token that looks", 200, 403, 200, 303},
		{"users", "a session with a wrong token", 401, 401, 200, 303},
		{"users", "a session", 200, 200, 200, 303},
		{"users", "a session that looks", 200, 403, 200, 303},
	} {
		t.Run(c.kind+", "+c.who, func(t *testing.T) {
			p := newPlace(t, kinds[c.kind])
			headers, form := p.headersOf(c.who)
			for _, asked := range []struct {
				method, path, body string
				want               int
			}{{"GET", "/page", "", c.page}, {"HEAD", "/page", "", c.page}, {"POST", "/act", form, c.act}, {"GET", "/login", "", c.login}, {"POST", "/login", loginOfAnna, c.logsIn}} {
				if got := p.status(asked.method, asked.path, asked.body, headers...); got != asked.want {
					t.Errorf("%s %s: %d, want %d", asked.method, asked.path, got, asked.want)
				}
			}
			if done := len(p.acted) > 0; done != (c.act == 200) {
				t.Errorf("acted: %v", p.acted)
			}
		})
	}
}

// headersOf are what somebody sends, and the form of his page.
func (p *place) headersOf(who string) (headers []string, form string) {
	switch who {
	case "a wrong token":
		return []string{"Authorization", "Bearer " + actToken + "x"}, ""
	case "a wrong scheme":
		return []string{"Authorization", "Basic " + actToken}, ""
	case "a wrong cookie":
		return []string{"Cookie", "audiences-session=x"}, ""
	case "a token":
		return []string{"Authorization", "Bearer " + actToken}, ""
	case "a small bearer":
		return []string{"Authorization", "bearer  " + actToken}, ""
	case "a token that looks":
		return []string{"Authorization", "Bearer " + lookToken}, ""
	case "a session with a wrong token":
		return []string{"Cookie", p.login(loginOfAnna), "Authorization", "Bearer x"}, ""
	case "a session":
		cookie := p.login(loginOfAnna)
		return []string{"Cookie", cookie}, p.formOf(cookie)
	case "a session that looks":
		cookie := p.login(loginOfViewy)
		return []string{"Cookie", cookie}, p.formOf(cookie)
	}
	return nil, ""
}

// TestBrowsersAreLedToTheLogin, and programs are not.
func TestBrowsersAreLedToTheLogin(t *testing.T) {
	p := newPlace(t, Options{Users: users()})
	browser := []string{"Accept", "text/html,application/xhtml+xml"}
	if r := p.request("GET", "/page", "", browser...); r.StatusCode != 303 || r.Header.Get("Location") != "/login" {
		t.Errorf("%d %v", r.StatusCode, r.Header)
	}
	if r := p.request("POST", "/act", "", browser...); r.StatusCode != 401 || !strings.HasPrefix(r.Header.Get("WWW-Authenticate"), "Bearer") {
		t.Errorf("an action was led away: %d %v", r.StatusCode, r.Header)
	}
	if got := p.status("GET", "/page", "", append(browser, "Authorization", "Bearer x")...); got != 401 {
		t.Errorf("a wrong token: %d", got)
	}
}

// TestOtherSitesAreRefused whoever their visitor is, also where there is no login.
func TestOtherSitesAreRefused(t *testing.T) {
	for kind, options := range map[string]Options{"local": {Local: true}, "users": {Users: users()}} {
		p := newPlace(t, options)
		var cookie, form string
		if kind == "users" {
			cookie = p.login(loginOfAnna)
			form = p.formOf(cookie)
		}
		for _, c := range []struct {
			name, value string
			want        int
		}{
			{"Sec-Fetch-Site", "cross-site", 403}, {"Sec-Fetch-Site", "same-site", 403}, {"Origin", "https://evil.example", 403},
			{"Origin", "null", 403}, {"Origin", "http://relay.example:5010", 403},
			{"Sec-Fetch-Site", "same-origin", 200}, {"Origin", "http://" + site, 200}, {"Origin", "https://" + site, 200},
		} {
			if got := p.status("POST", "/act", form, "Cookie", cookie, c.name, c.value); got != c.want {
				t.Errorf("%s, %s %s: %d, want %d", kind, c.name, c.value, got, c.want)
			}
		}
		if len(p.acted) != 3 {
			t.Errorf("%s: acted %d times", kind, len(p.acted))
		}
		if got := p.status("POST", "/login", loginOfAnna, "Sec-Fetch-Site", "cross-site"); got != 403 {
			t.Errorf("%s: a login from another site: %d", kind, got)
		}
	}
}

// TestFormsBelongToTheirSession: another session's token, or none, does nothing.
func TestFormsBelongToTheirSession(t *testing.T) {
	p := newPlace(t, Options{Users: users()})
	cookie, other := p.login(loginOfAnna), p.login(loginOfAnna)
	form, otherForm := p.formOf(cookie), p.formOf(other)
	for body, want := range map[string]int{"": 403, "formToken=": 403, otherForm: 403, form + "x": 403, form: 200, form + "&more=1": 200,
		form + "&long=" + strings.Repeat("x", maxFormBytes): 403} {
		if got := p.status("POST", "/act", body, "Cookie", cookie); got != want {
			t.Errorf("%.100q: %d, want %d", body, got, want)
		}
	}
	if got := p.status("POST", "/act?"+form, "", "Cookie", cookie); got != 403 {
		t.Errorf("a token in the address, which logs may hold: %d", got)
	}
	_, token, _ := strings.Cut(form, "=")
	if got := p.status("POST", "/act", "", "Cookie", cookie, FormHeader, token); got != 200 {
		t.Errorf("in the header: %d", got)
	}
	if got := p.status("POST", "/logout", "", "Cookie", cookie); got != 403 {
		t.Errorf("a logout without its form: %d", got)
	}
}

// TestActionsAreEvents with who and what; looking is none.
func TestActionsAreEvents(t *testing.T) {
	p := newPlace(t, Options{Users: users()})
	p.status("GET", "/page", "", "Authorization", "Bearer "+lookToken)
	p.status("POST", "/act", "", "Authorization", "Bearer "+lookToken)
	if p.log.Len() > 0 {
		t.Errorf("logged %s", p.log.String())
	}
	p.status("POST", "/act", "", "Authorization", "Bearer "+actToken)
	for _, want := range []string{`"user":"actor"`, `"role":"operator"`, `"action":"POST /act"`} {
		if !strings.Contains(p.log.String(), want) {
			t.Errorf("no %s in %s", want, p.log.String())
		}
	}
}

// TestUsersPrintNoSecret covers I7.
func TestUsersPrintNoSecret(t *testing.T) {
	u := User{Name: "anna", Role: Operator, PasswordHash: "sekrit-hash", Token: "sekrit-token"}
	text, _ := u.MarshalText()
	shown := fmt.Sprintf("%v %+v %#v %s %s %v", u, u, u, u, text, u.LogValue())
	if strings.Contains(shown, "sekrit") || strings.Count(shown, "anna (operator)") != 6 {
		t.Error(shown)
	}
}

// TestNothingSecretShows covers I7 over all ways in: neither an answer nor the log
// holds a password, a token, a hash or a session.
func TestNothingSecretShows(t *testing.T) {
	p := newPlace(t, Options{Users: users()})
	cookie := p.login(loginOfAnna)
	form := p.formOf(cookie)
	p.status("POST", "/act", form, "Cookie", cookie)
	p.status("POST", "/act", form+"x", "Cookie", cookie)
	p.status("POST", "/login", "name="+password+"&password="+password)
	p.status("POST", "/login", "name=anna&password="+password+"x")
	p.status("GET", "/page", "", "Authorization", "Bearer "+actToken)
	p.status("POST", "/act", "", "Authorization", "Bearer "+lookToken)
	p.status("GET", "/page", "", "Authorization", "Bearer "+actToken+"x")
	_, secret, _ := strings.Cut(cookie, "=")
	_, formToken, _ := strings.Cut(form, "=")
	if strings.Contains(p.log.String(), formToken) {
		t.Error("the log holds a form's token")
	}
	shown := p.log.String() + p.shown.String()
	for _, secret := range []string{"sekrit", cheapHash, secret} {
		if strings.Contains(shown, secret) {
			t.Errorf("%q shows in\n%s", secret, shown)
		}
	}
	if !strings.Contains(shown, "a login failed") || !strings.Contains(shown, "anna") {
		t.Errorf("this test sees nothing: %s", shown)
	}
}
