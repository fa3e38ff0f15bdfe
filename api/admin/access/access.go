// Package access decides who may do what on the operator's side.
//
// A request comes from somebody: from a person with a session, from a program with a
// token, from anybody where only this machine can connect, or from nobody. [Guard.Who]
// tells which; [Guard.Require] wraps every handler that is not for everybody, and
// nothing else decides. login.go makes sessions out of passwords, sessions.go keeps
// them, attempts.go bounds what strangers can have computed for them.
//
// Nothing here logs or answers with a password, a token, a hash or a session (I7).
package access

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/rs/zerolog"
)

// Role is what somebody may do; a higher one may do all that a lower one may.
type Role int

// The roles, in their order.
const (
	Nobody   Role = iota // has shown nothing, or nothing that is right
	Viewer               // may look
	Operator             // may look and act
)

// String is the role as the configuration and the log have it.
func (r Role) String() string {
	switch r {
	case Viewer:
		return "viewer"
	case Operator:
		return "operator"
	}
	return "nobody"
}

// User is somebody who may come in, with a password or with a token. It does not print
// either (I7).
type User struct {
	Name string
	Role Role
	// PasswordHash is a bcrypt hash, for a person who logs in. "": no login.
	PasswordHash string
	// Token is for a program, which sends it after "Bearer " in Authorization. It
	// must be too long to be guessed, for guesses are not counted. "": none.
	Token string
}

// String hides the secrets (I7).
func (u User) String() string { return u.Name + " (" + u.Role.String() + ")" }

// GoString hides the secrets (I7).
func (u User) GoString() string { return u.String() }

// LogValue hides the secrets (I7).
func (u User) LogValue() slog.Value { return slog.StringValue(u.String()) }

// MarshalText hides the secrets (I7).
func (u User) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// Options say whom a Guard lets in. The zero value lets in nobody.
type Options struct {
	// Local says that only this machine can connect: everybody is an operator then,
	// and Users are not asked for.
	Local bool
	Users []User // with different names
	// TLS says that requests come over TLS, so that cookies must never leave it.
	TLS bool
	// Home is the path that a login leads to. "": the login's own page.
	Home   string
	Logger zerolog.Logger
	// Refuse writes why a request is refused. nil: as text.
	Refuse func(w http.ResponseWriter, r *http.Request, status int, words string)
}

// Somebody is whom a request comes from.
type Somebody struct {
	Name string // "" for Nobody, "loopback" where users are not asked for
	Role Role
	// FormToken is what a form has to send back as [FormField], so that no other
	// site can have made it. "": the form needs none.
	FormToken string
}

// Guard decides. Its methods may be called at the same time.
type Guard struct {
	options  Options
	users    atomic.Pointer[userList]
	sessions *sessions
	attempts *attempts
	origins  *http.CrossOriginProtection
}

// userList is all users that there are.
type userList struct {
	all      []User
	people   map[string]User // those with a password, by name
	standIn  string          // the hash that is compared with where a name is unknown; "": nobody has one
	programs []program
}

// program is a user with a token, of which the sum alone is kept.
type program struct {
	user User
	sum  [sha256.Size]byte
}

// New returns a Guard.
func New(options Options) *Guard {
	if options.Home == "" {
		options.Home = loginPath
	}
	if options.Refuse == nil {
		options.Refuse = func(w http.ResponseWriter, _ *http.Request, status int, words string) { answer(w, status, words) }
	}
	g := &Guard{options: options, sessions: newSessions(), attempts: newAttempts(), origins: http.NewCrossOriginProtection()}
	g.SetUsers(options.Users)
	return g
}

// SetUsers replaces all users. The sessions of who is no longer there end, and so do those of
// who has another role or password.
func (g *Guard) SetUsers(all []User) {
	now := &userList{all: all, people: map[string]User{}}
	for _, u := range all {
		if u.Token != "" {
			now.programs = append(now.programs, program{User{Name: u.Name, Role: u.Role}, sha256.Sum256([]byte(u.Token))})
		}
		if u.PasswordHash != "" {
			now.people[u.Name] = u
			now.standIn = u.PasswordHash
		}
	}
	g.users.Store(now)
	g.sessions.keep(func(of User) bool { return now.people[of.Name] == of })
}

// open reports whether anybody at all can come in.
func (g *Guard) open() bool { return g.options.Local || len(g.users.Load().all) > 0 }

// Who tells whom a request comes from. What stands in Authorization counts alone where
// it is there, so that a wrong token is never helped by a cookie.
func (g *Guard) Who(r *http.Request) Somebody {
	if g.options.Local {
		return Somebody{Name: "loopback", Role: Operator}
	}
	if authorization := r.Header.Get("Authorization"); authorization != "" {
		return g.programOf(authorization)
	}
	cookie, err := r.Cookie(g.cookieName())
	if err != nil {
		return Somebody{}
	}
	return g.sessions.find(cookie.Value)
}

// programOf looks at every token, so that the time tells nothing of how near a guess is.
func (g *Guard) programOf(authorization string) (found Somebody) {
	scheme, token, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return Somebody{}
	}
	sum := sha256.Sum256([]byte(strings.TrimSpace(token)))
	for _, p := range g.users.Load().programs {
		if subtle.ConstantTimeCompare(sum[:], p.sum[:]) == 1 {
			found = Somebody{Name: p.user.Name, Role: p.user.Role}
		}
	}
	return found
}

type contextKey struct{}

// From is whom a request comes from, in a handler that Require wraps.
func From(ctx context.Context) Somebody {
	who, _ := ctx.Value(contextKey{}).(Somebody)
	return who
}
