package access

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"sync"
	"time"
)

const (
	// longestSession and longestIdle end a session, whichever comes first.
	longestSession = 12 * time.Hour
	longestIdle    = time.Hour
	// maxSessions are kept; beyond them the one ends that was used longest ago.
	maxSessions = 256
)

// sessions are kept in memory alone: a restart ends them all. They are found by the sum
// of their secret, so that no comparison tells how near a guess is.
type sessions struct {
	mu   sync.Mutex
	open map[[sha256.Size]byte]*session
}

type session struct {
	who         Somebody
	user        User
	began, used time.Time
}

func newSessions() *sessions { return &sessions{open: map[[sha256.Size]byte]*session{}} }

// begin returns the secret of a new session, of 256 random bits.
func (s *sessions) begin(u User) (secret string) {
	secret = random()
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.makeRoom(now)
	s.open[sha256.Sum256([]byte(secret))] = &session{Somebody{u.Name, u.Role, random()}, u, now, now}
	return secret
}

func random() string {
	bits := make([]byte, 32)
	_, _ = rand.Read(bits) // it never fails (package crypto/rand)
	return base64.RawURLEncoding.EncodeToString(bits)
}

func (s *sessions) makeRoom(now time.Time) {
	var oldest [sha256.Size]byte
	var used time.Time
	for sum, of := range s.open {
		switch {
		case of.ended(now):
			delete(s.open, sum)
		case used.IsZero() || of.used.Before(used):
			oldest, used = sum, of.used
		}
	}
	if len(s.open) >= maxSessions {
		delete(s.open, oldest)
	}
}

func (s *session) ended(now time.Time) bool {
	return now.Sub(s.began) >= longestSession || now.Sub(s.used) >= longestIdle
}

// find returns whose session it is, and counts as its use.
func (s *sessions) find(secret string) Somebody {
	sum, now := sha256.Sum256([]byte(secret)), time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.open[sum]
	if found == nil {
		return Somebody{}
	}
	if found.ended(now) {
		delete(s.open, sum)
		return Somebody{}
	}
	found.used = now
	return found.who
}

// keep ends the sessions of all others.
func (s *sessions) keep(these func(User) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.open, func(_ [sha256.Size]byte, of *session) bool { return !these(of.user) })
}

func (s *sessions) end(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, sha256.Sum256([]byte(secret)))
}
