package access

import (
	"fmt"
	"html"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// TestSessionsEnd an hour after their last use, twelve after their beginning, and with
// a logout.
func TestSessionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, Options{Users: users()})
		page := func(cookie string) int { return p.status("GET", "/page", "", "Cookie", cookie) }
		idle := p.login(loginOfAnna)
		time.Sleep(longestIdle - 1)
		if page(idle) != 200 {
			t.Error("ended before an hour without use")
		}
		time.Sleep(longestIdle)
		if page(idle) != 401 {
			t.Error("there after an hour without use")
		}
		busy, began := p.login(loginOfAnna), time.Now()
		for time.Since(began) < longestSession-time.Minute {
			if page(busy) != 200 {
				t.Fatalf("ended after %v", time.Since(began))
			}
			time.Sleep(time.Minute)
		}
		time.Sleep(time.Minute - 1)
		if page(busy) != 200 {
			t.Error("ended before twelve hours")
		}
		time.Sleep(time.Nanosecond)
		if page(busy) != 401 {
			t.Error("there after twelve hours")
		}
		left, stays := p.login(loginOfAnna), p.login(loginOfAnna)
		r := p.request("POST", "/logout", p.formOf(left), "Cookie", left)
		if r.StatusCode != 303 || r.Cookies()[0].MaxAge != -1 || r.Cookies()[0].Value != "" {
			t.Errorf("logout: %d %v", r.StatusCode, r.Cookies())
		}
		if page(left) != 401 || page(stays) != 200 {
			t.Error("a logout ends its own session and no other")
		}
		if again := p.request("POST", "/login", loginOfAnna, "Cookie", stays); again.StatusCode != 303 || page(stays) != 401 {
			t.Error("a new login leaves the session before it open")
		}
	})
}

// TestSessionsAreBounded: the one that was used longest ago makes room.
func TestSessionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSessions()
		first, second := s.begin(User{Name: "a", Role: Viewer}), s.begin(User{Name: "b", Role: Viewer})
		for range maxSessions - 2 {
			time.Sleep(time.Second)
			s.begin(User{Name: "c", Role: Viewer})
		}
		s.find(first)
		time.Sleep(time.Second)
		s.begin(User{Name: "d", Role: Viewer})
		if len(s.open) != maxSessions || s.find(first).Name != "a" || s.find(second).Role != Nobody {
			t.Errorf("%d sessions, first %v, second %v", len(s.open), s.find(first), s.find(second))
		}
		time.Sleep(longestIdle)
		s.begin(User{Name: "e", Role: Viewer})
		if len(s.open) != 1 {
			t.Errorf("%d sessions after all but one have ended", len(s.open))
		}
	})
}

func TestCookies(t *testing.T) {
	for name, c := range map[string]Options{"audiences-session": {}, "__Host-audiences-session": {TLS: true}} {
		c.Users = users()
		r := newPlace(t, c).request("POST", "/login", loginOfAnna)
		cookie := r.Cookies()[0]
		if cookie.Name != name || !cookie.HttpOnly || cookie.Secure != c.TLS || cookie.SameSite != http.SameSiteStrictMode || cookie.Path != "/" || cookie.Domain != "" || cookie.MaxAge != 0 {
			t.Errorf("%+v", cookie)
		}
		if len(cookie.Value) != 43 { // 256 bits in base64
			t.Errorf("%d characters", len(cookie.Value))
		}
	}
}

// TestWrongLogins get in by no combination, nor by the password of somebody else.
func TestWrongLogins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, Options{Users: users()})
		for _, form := range []string{
			"", "name=anna", "name=anna&password=", "name=anna&password=" + password + "x", "name=nobody&password=" + password, "name=&password=" + password,
			"name=looker&password=" + lookToken, "name=anna&password=" + cheapHash, "name=Anna&password=" + password,
			loginOfAnna + strings.Repeat("x", 100), loginOfAnna + "&x=" + strings.Repeat("x", maxLoginBytes),
		} {
			if r := p.request("POST", "/login", form); r.StatusCode != 401 || len(r.Cookies()) != 0 {
				t.Errorf("%.60q: %d", form, r.StatusCode)
			}
			time.Sleep(addressEvery)
		}
		if got := p.status("POST", "/login?"+loginOfAnna, ""); got != 401 {
			t.Errorf("a password in the address: %d", got)
		}
		if only := newPlace(t, Options{Users: users()[2:]}); only.status("POST", "/login", "name=&password=") != 401 {
			t.Error("without passwords nobody logs in")
		}
	})
}

// TestLongPasswords: what bcrypt takes no notice of must not stand there.
func TestLongPasswords(t *testing.T) {
	long := strings.Repeat("x", MaxPasswordBytes)
	hash, err := bcrypt.GenerateFromPassword([]byte(long), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	p := newPlace(t, Options{Users: []User{{Name: "anna", Role: Viewer, PasswordHash: string(hash)}}})
	if p.status("POST", "/login", "name=anna&password="+long) != 303 || p.status("POST", "/login", "name=anna&password="+long+"x") != 401 {
		t.Error("a longer password is taken, or the right one is not")
	}
}

// TestLoginsAreLimited for each address and for all together; a token and a session go
// on meanwhile.
func TestLoginsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, Options{Users: users()})
		cookie := p.login(loginOfAnna)
		try := func(from string) int { return p.status("POST", "/login", "name=anna&password=wrong", "from", from) }
		time.Sleep(time.Hour - time.Second)
		for i := range addressBurst {
			if got := try(fmt.Sprintf("[2001:db8::%d]:9", i)); got != 401 {
				t.Errorf("attempt %d: %d", i, got)
			}
		}
		r := p.request("POST", "/login", loginOfAnna, "from", "[2001:db8::ffff]:9")
		if r.StatusCode != 429 || r.Header.Get("Retry-After") != "12" || len(r.Cookies()) > 0 {
			t.Errorf("the same network, with the right password: %d %v", r.StatusCode, r.Header)
		}
		if try("[2001:db8:0:1::1]:9") != 401 || try("192.0.2.1:9") != 401 || try("192.0.2.2:9") != 401 {
			t.Error("other addresses are held back")
		}
		if p.status("GET", "/page", "", "Cookie", cookie) != 200 || p.status("GET", "/page", "", "Authorization", "Bearer "+lookToken) != 200 {
			t.Error("those who are in are held back")
		}
		time.Sleep(addressEvery)
		if got := try("[2001:db8::5]:9"); got != 401 {
			t.Errorf("after a while: %d", got)
		}
		time.Sleep(time.Hour)
		overall := 0
		for i := range 100 {
			if try(fmt.Sprintf("198.51.100.%d:9", i)) == 401 {
				overall++
			}
		}
		if overall != overallBurst {
			t.Errorf("%d attempts of a hundred addresses", overall)
		}
		time.Sleep(overallEvery)
		if try("203.0.113.1:9") != 401 || try("203.0.113.2:9") != 429 {
			t.Error("one more after a while, and no second one")
		}
	})
}

// TestAddressesAreBounded: as many as there may be are remembered, and forgotten once
// they could have all their attempts again.
func TestAddressesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAttempts()
		for i := range 2 * maxAddresses {
			a.allow(fmt.Sprintf("10.0.%d.%d:1", i/256, i%256))
		}
		if len(a.address) != maxAddresses || a.of(countedBy("192.0.2.1:1")) != nil {
			t.Errorf("%d addresses", len(a.address))
		}
		time.Sleep(addressEvery)
		if !a.allow("192.0.2.1:1") || len(a.address) != 1 {
			t.Errorf("%d addresses", len(a.address))
		}
	})
}

// TestComparisonsTakeTurns: one at a time, and who waits too long is turned away.
func TestComparisonsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAttempts()
		a.turn <- struct{}{}
		began := time.Now()
		if a.matches(t.Context(), cheapHash, password) || time.Since(began) != longestTurn {
			t.Errorf("after %v", time.Since(began))
		}
		var waiting sync.WaitGroup
		waiting.Go(func() {
			if !a.matches(t.Context(), cheapHash, password) {
				t.Error("its turn came, and it does not match")
			}
		})
		time.Sleep(longestTurn - 1)
		<-a.turn
		waiting.Wait()
		if len(a.turn) != 0 {
			t.Error("the turn was not given back")
		}
	})
}

// TestLoginPage: the policy allows the page's own style, no script, and no frame.
func TestLoginPage(t *testing.T) {
	p := newPlace(t, Options{Users: users(), Home: "/page"})
	r := p.request("GET", "/login", "")
	policy, text := r.Header.Get("Content-Security-Policy"), p.shown.String()
	style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(text)
	if style == nil || !strings.Contains(policy, "style-src 'sha256-"+sumOf(style[1])+"';") {
		t.Errorf("the style is not the one of the policy: %s\n%s", policy, text)
	}
	if strings.Contains(policy, "unsafe") || !strings.Contains(policy, "default-src 'none'") || strings.Contains(text, "<script") || !strings.Contains(policy, "frame-ancestors 'none'") {
		t.Errorf("%s\n%s", policy, text)
	}
	if r.Header.Get("Cache-Control") != "no-store" || r.Header.Get("Referrer-Policy") != "same-origin" {
		t.Errorf("%v", r.Header)
	}
	if r := p.request("POST", "/login", loginOfAnna); r.Header.Get("Location") != "/page" {
		t.Errorf("a login leads to %s", r.Header.Get("Location"))
	}
	p.shown.Reset()
	odd := newPlace(t, Options{Users: []User{{Name: "<b>anna", Role: Viewer, PasswordHash: cheapHash}}})
	odd.request("GET", "/login", "", "Cookie", odd.login("name=<b>anna&password="+password))
	if text := odd.shown.String(); !strings.Contains(html.UnescapeString(text), "You are <b>anna") || strings.Contains(text, "<b>anna") {
		t.Error(text)
	}
}

// TestSetUsers: who is new may come in, and the sessions end of those who were taken out or
// changed, and of no other.
func TestSetUsers(t *testing.T) {
	all := append(users(), User{Name: "bert", Role: Operator, PasswordHash: cheapHash}, User{Name: "carl", Role: Operator, PasswordHash: cheapHash})
	p := newPlace(t, Options{Users: all})
	page := func(cookie string) int { return p.status("GET", "/page", "", "Cookie", cookie) }
	as := func(name string) string { return p.login(strings.Replace(loginOfAnna, "anna", name, 1)) }
	anna, bert, carl := as("anna"), as("bert"), as("carl")
	p.guard.SetUsers([]User{all[0], {Name: "bert", Role: Viewer, PasswordHash: cheapHash}, {Name: "new", Role: Viewer, Token: strings.Repeat("n", 32)}})
	for what, c := range map[string]struct{ got, want int }{
		"who stays": {page(anna), 200}, "who has another role": {page(bert), 401}, "who is gone": {page(carl), 401},
		"the token of who is gone": {p.status("GET", "/page", "", "Authorization", "Bearer "+lookToken), 401},
		"the token of who is new":  {p.status("GET", "/page", "", "Authorization", "Bearer "+strings.Repeat("n", 32)), 200},
		"a new session":            {page(as("bert")), 200},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d", what, c.got)
		}
	}
	if p.guard.SetUsers(nil); page(anna) == 200 {
		t.Error("a session without any user")
	}
}
