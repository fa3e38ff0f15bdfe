package sandbox

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"audiences/audience"
)

// Promise is something the relay promises never to do.
type Promise string

// The broken promises.
const (
	Overlap         Promise = "two calls at once for a segment"               // I4
	TooManyKeys     Promise = "more keys than a call may have"                // I5
	NoKeys          Promise = "an empty call"                                 // I5
	Replace         Promise = "replace other than false"                      // I5
	TooSoon         Promise = "a call before the reset that a 429 gave"       // Split docs: rate limiting
	NoComment       Promise = "title or comment missing"                      // some workspaces refuse it
	NeverAccepted   Promise = "a key that was never accepted"                 // see Options.Allowed
	SecretInComment Promise = "a key or a token in title or comment"          // I7
	WrongAuth       Promise = "the token is missing or in the wrong header"   // Split docs: authentication
	NotAsDocumented Promise = "a body or a path that Split does not document" // never tried against Split
)

// maxViolations bounds what is kept; all are counted.
const maxViolations = 1000

// shortestSecret is the least length of a key that is looked for in comments:
// shorter ones ("10000") turn up by chance.
const shortestSecret = 6

// Violation is one broken promise.
type Violation struct {
	Time    time.Time `json:"time"`
	Promise Promise   `json:"promise"`
	Target
	Verb   audience.Verb `json:"verb,omitzero"`
	Detail string        `json:"detail,omitzero"`
	Key    string        `json:"key,omitzero"` // the key in question; String does not show it
}

// String shows neither token nor key (I7).
func (v Violation) String() string {
	return fmt.Sprintf("%s %s: %s, tenant %s, %s/%s, %s", v.Time.Format(time.RFC3339Nano), v.Promise, v.Verb, v.Tenant, v.Environment, v.Segment, v.Detail)
}

// verdicts keeps violations; the caller holds the lock.
type verdicts struct {
	kept  []Violation
	total int
}

func (vs *verdicts) add(found ...Violation) {
	vs.total += len(found)
	room := min(len(found), maxViolations-len(vs.kept))
	vs.kept = append(vs.kept, found[:room]...)
}

// judgeBody returns what is wrong with the body of a change. It runs without
// the lock: Options.Allowed is the test's own code and may take its own.
func (s *Split) judgeBody(x *exchange) (found []Violation) {
	blame := func(p Promise, key, format string, args ...any) {
		found = append(found, x.violation(p, key, fmt.Sprintf(format, args...)))
	}
	body := x.body
	if len(body.Keys) > s.opts.MaxKeys {
		blame(TooManyKeys, "", "%d keys", len(body.Keys))
	}
	if len(body.Keys) == 0 {
		blame(NoKeys, "", "no keys")
	}
	if got := x.r.URL.Query()["replace"]; x.verb == audience.Add && !slices.Equal(got, []string{"false"}) {
		blame(Replace, "", "replace=%q", got)
	}
	if body.Title == "" || body.Comment == "" {
		blame(NoComment, "", "title of %d bytes, comment of %d bytes", len(body.Title), len(body.Comment))
	}
	text := body.Title + "\n" + body.Comment
	if strings.Contains(text, x.token) {
		blame(SecretInComment, "", "the token")
	}
	for i, key := range body.Keys {
		if len(key) >= shortestSecret && strings.Contains(text, key) {
			blame(SecretInComment, key, "key number %d", i)
		}
		if s.opts.Allowed != nil && !s.opts.Allowed(x.target, x.verb, key) {
			blame(NeverAccepted, key, "key number %d of %d", i, len(body.Keys))
		}
	}
	return found
}

// suspicion is a second call that began while a first was under way. It is
// proven unless the first turns out to have been given up by its client at
// about that time: a server hears of that a little later than the client.
type suspicion struct {
	at     time.Time
	second Violation
}

// provenOverlaps takes the suspicions against x that are beyond doubt by now.
func (x *exchange) provenOverlaps(now time.Time, grace time.Duration, ended bool) (proven []Violation) {
	gone := x.ctx.Err() != nil
	keep := x.suspicions[:0]
	for _, sus := range x.suspicions {
		switch {
		case now.Sub(sus.at) > grace || (ended && !gone):
			proven = append(proven, sus.second)
		case !ended:
			keep = append(keep, sus)
		}
	}
	x.suspicions = keep
	return proven
}

// authorize returns the token and whether it came in the header Split wants it
// in: Harness tokens in x-api-key, all others as Bearer (Split docs: authentication).
func authorize(h http.Header) (token string, right bool) {
	bearer, isBearer := strings.CutPrefix(h.Get("Authorization"), "Bearer ")
	apiKey := h.Get("X-Api-Key")
	token = apiKey
	if isBearer {
		token = bearer
	}
	harness := strings.HasPrefix(token, "pat.") || strings.HasPrefix(token, "sat.")
	right = isBearer != (apiKey != "") && harness == !isBearer && (isBearer || h.Get("Authorization") == "")
	return token, right && token != ""
}
