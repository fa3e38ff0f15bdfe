package access

import (
	"context"
	"crypto/subtle"
	"io"
	"net/http"
	"strings"
)

const (
	// FormField is the field of a form that holds [Somebody.FormToken].
	FormField = "formToken"
	// FormHeader may hold it in the field's place.
	FormHeader = "X-Form-Token"

	maxFormBytes = 64 << 10
)

// Require lets only those in to a handler who have at least this role. A request that
// may change something must also be meant by who sends it: it must not come from a page
// of another site, and a session's must have the session's token. Each of those that
// are let in is an event in the log, with who and what.
//
// The body of a request that may change something has at most 64 KiB.
func (g *Guard) Require(least Role, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := g.Who(r)
		if who.Role < least {
			g.refuse(w, r, who, least)
			return
		}
		if mayChange(r.Method) {
			if !g.sameSite(w, r) || !g.sentByItsForm(w, r, who) {
				return
			}
			g.options.Logger.Info().Str("user", who.Name).Stringer("role", who.Role).Str("action", r.Pattern).Msg("a user acts")
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), contextKey{}, who)))
	})
}

// mayChange goes by what methods are meant for; the package's handlers keep to it.
func mayChange(method string) bool {
	return method != http.MethodGet && method != http.MethodHead && method != http.MethodOptions
}

// refuse says what is missing. A browser without a session is led to the login.
func (g *Guard) refuse(w http.ResponseWriter, r *http.Request, who Somebody, least Role) {
	asksForPage := !mayChange(r.Method) && strings.Contains(r.Header.Get("Accept"), "text/html")
	switch {
	case !g.open():
		g.options.Refuse(w, r, http.StatusForbidden, noUsers)
	case who.Role != Nobody:
		g.options.Refuse(w, r, http.StatusForbidden, "this needs the role "+least.String()+", and "+who.Name+" is "+who.Role.String())
	case asksForPage && r.Header.Get("Authorization") == "":
		http.Redirect(w, r, loginPath, http.StatusSeeOther)
	default:
		w.Header().Set("WWW-Authenticate", `Bearer realm="audiences"`)
		g.options.Refuse(w, r, http.StatusUnauthorized, "log in, or send a token that is right")
	}
}

const noUsers = "closed: on an address that other machines can reach, this needs adminUsers in the configuration"

// sameSite refuses what a page of another site sends: its cookies, or its being on this
// machine, would otherwise be taken for the operator's will.
func (g *Guard) sameSite(w http.ResponseWriter, r *http.Request) bool {
	if err := g.origins.Check(r); err != nil {
		g.options.Refuse(w, r, http.StatusForbidden, "refused: a page of another site has sent this")
		return false
	}
	return true
}

// sentByItsForm is true for those who came without a session: nobody's browser sends
// a token by itself, and on this machine the origin has been looked at.
func (g *Guard) sentByItsForm(w http.ResponseWriter, r *http.Request, who Somebody) bool {
	r.Body = http.MaxBytesReader(w, r.Body, maxFormBytes)
	if who.FormToken == "" {
		return true
	}
	sent := r.Header.Get(FormHeader)
	if sent == "" {
		sent = r.PostFormValue(FormField)
	}
	if subtle.ConstantTimeCompare([]byte(sent), []byte(who.FormToken)) == 1 {
		return true
	}
	g.options.Refuse(w, r, http.StatusForbidden, "refused: the form is not one of this session; load the page again")
	return false
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // fails only when the caller has gone
}
