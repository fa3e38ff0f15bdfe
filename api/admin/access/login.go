package access

import (
	"net/http"
	"strconv"
	"time"
)

const (
	loginPath  = "/login"
	logoutPath = "/logout"
	// maxLoginBytes is far more than a name and a password need.
	maxLoginBytes = 4 << 10
	// MaxPasswordBytes is where bcrypt ends; what comes behind would not count.
	MaxPasswordBytes = 72
)

// Routes adds the login and the logout to a mux.
func (g *Guard) Routes(mux *http.ServeMux) {
	mux.HandleFunc("GET "+loginPath, g.showLogin)
	mux.HandleFunc("POST "+loginPath, g.login)
	mux.Handle("POST "+logoutPath, g.Require(Viewer, http.HandlerFunc(g.logout)))
}

func (g *Guard) showLogin(w http.ResponseWriter, r *http.Request) {
	if !g.open() {
		g.options.Refuse(w, r, http.StatusForbidden, noUsers)
		return
	}
	showPage(w, http.StatusOK, page{Who: g.Who(r), Home: g.home()})
}

// home is where there is something to see; "": the login has nothing but itself.
func (g *Guard) home() string {
	if g.options.Home == loginPath {
		return ""
	}
	return g.options.Home
}

// login begins a session. A name that nobody has takes as long as a wrong password, so
// that the time does not tell who is a user. A failed login is logged with the address
// and without what was typed: people type passwords into the wrong field.
func (g *Guard) login(w http.ResponseWriter, r *http.Request) {
	switch {
	case !g.open():
		g.options.Refuse(w, r, http.StatusForbidden, noUsers)
		return
	case !g.sameSite(w, r):
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxLoginBytes)
	name, password := r.PostFormValue("name"), r.PostFormValue("password")
	if !g.attempts.allow(r.RemoteAddr) {
		w.Header().Set("Retry-After", strconv.Itoa(int(addressEvery/time.Second)))
		showPage(w, http.StatusTooManyRequests, page{Problem: "Too many logins have been tried. Wait a moment."})
		return
	}
	user, ok := g.verify(r, name, password)
	if !ok {
		g.options.Logger.Warn().Str("from", r.RemoteAddr).Msg("a login failed")
		showPage(w, http.StatusUnauthorized, page{Problem: "The name or the password is wrong."})
		return
	}
	g.endSession(r)
	secret := g.sessions.begin(user)
	if g.users.Load().people[name] != user { // replaced meanwhile: it ends as those did that had begun
		g.sessions.end(secret)
	}
	g.setCookie(w, secret, 0)
	g.options.Logger.Info().Str("user", user.Name).Stringer("role", user.Role).Str("from", r.RemoteAddr).Msg("a user logged in")
	http.Redirect(w, r, g.options.Home, http.StatusSeeOther)
}

func (g *Guard) verify(r *http.Request, name, password string) (User, bool) {
	users := g.users.Load()
	user, known := users.people[name]
	if !known {
		user.PasswordHash = users.standIn
	}
	if user.PasswordHash == "" || len(password) > MaxPasswordBytes {
		return User{}, false
	}
	matches := g.attempts.matches(r.Context(), user.PasswordHash, password)
	return user, known && matches
}

func (g *Guard) logout(w http.ResponseWriter, r *http.Request) {
	g.endSession(r)
	g.setCookie(w, "", -1)
	http.Redirect(w, r, loginPath, http.StatusSeeOther)
}

func (g *Guard) endSession(r *http.Request) {
	if cookie, err := r.Cookie(g.cookieName()); err == nil {
		g.sessions.end(cookie.Value)
	}
}

// setCookie gives the browser a session until it is closed; maxAge -1 takes it back.
func (g *Guard) setCookie(w http.ResponseWriter, secret string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name: g.cookieName(), Value: secret, MaxAge: maxAge, Path: "/",
		HttpOnly: true, Secure: g.options.TLS, SameSite: http.SameSiteStrictMode,
	})
}

// cookieName has over TLS the prefix with which browsers take a cookie from no other
// host and from no page without TLS (RFC 6265bis).
func (g *Guard) cookieName() string {
	if g.options.TLS {
		return "__Host-audiences-session"
	}
	return "audiences-session"
}
