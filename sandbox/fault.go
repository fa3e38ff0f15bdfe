package sandbox

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"audiences/audience"
)

// Kind is a way to misbehave.
type Kind string

// The kinds. Throttle to Raw answer instead of serving the call.
const (
	Throttle         Kind = "throttle"          // 429 of Scope with Reset in its headers, unless NoHeaders
	Status           Kind = "status"            // Code (0: 500) with Message
	Reset            Kind = "reset"             // the connection is cut
	Unauthorized     Kind = "unauthorized"      // 401
	Forbidden        Kind = "forbidden"         // 403, no right
	Approvals        Kind = "approvals"         // 403, Approvals are required
	NotActive        Kind = "not-active"        // 404 until Delay after the segment's activation
	Conflict         Kind = "conflict"          // 409
	TooLarge         Kind = "too-large"         // 413 for calls of more than Keys keys
	Poison           Kind = "poison"            // 400 for calls that hold Key, without naming it
	Full             Kind = "full"              // 400 for uploadKeys, as if the segment were full
	CommentsRequired Kind = "comments-required" // empty 400 for calls without title or comment
	EmptyBadRequest  Kind = "empty-400"         // 400 with an empty body
	HTMLBadGateway   Kind = "html-502"          // 502 with a page from some proxy
	Redirect         Kind = "redirect"          // 302 to a login page
	Raw              Kind = "raw"               // Code (0: 200) with Body of MediaType, as they are: what a portal or a gateway says

	Headers Kind = "headers" // normal service, with Headers on its answer

	Slow Kind = "slow" // Delay, then the next matching rule, if any, or normal service; dropped when the client leaves
	Hang Kind = "hang" // held until the client leaves or the rule ends; then as with Slow
)

var kinds = []Kind{
	Throttle, Status, Reset, Unauthorized, Forbidden, Approvals, NotActive, Conflict, TooLarge, Poison, Full,
	CommentsRequired, EmptyBadRequest, HTMLBadGateway, Redirect, Raw, Headers, Slow, Hang,
}

// Scope says whose limit a Throttle speaks of.
type Scope string

// The scopes.
const (
	Org Scope = "org" // the default
	IP  Scope = "ip"
)

// Rule makes matching calls misbehave. Empty match fields match everything;
// the first rule that matches wins. A rule ends when it was used Count times,
// when For has passed since it was made, or when it is removed.
type Rule struct {
	Kind Kind `json:"kind"`

	Token       string        `json:"token,omitzero"` // the token or its fingerprint; kept as the fingerprint
	Environment string        `json:"environment,omitzero"`
	Segment     string        `json:"segment,omitzero"`
	Verb        audience.Verb `json:"verb,omitzero"` // zero: also calls that are no change

	Count int           `json:"count,omitzero"`      // 0: no limit
	For   time.Duration `json:"forSeconds,omitzero"` // 0: no limit

	// Applied makes the call take effect before the fault shows: the reply is
	// lost (Reset, Hang), late (Slow) or a lie (any other).
	Applied bool `json:"applied,omitzero"`

	Scope     Scope         `json:"scope,omitzero"`        // Throttle
	Reset     time.Duration `json:"resetSeconds,omitzero"` // Throttle; rounded up to milliseconds
	NoHeaders bool          `json:"noHeaders,omitzero"`    // Throttle: no rate headers
	// RetryAfter is sent in the header of that name, rounded up to seconds, by
	// Throttle and Status. Split does not document it. Without rate headers, a
	// Throttle is obeyed by waiting this long.
	RetryAfter time.Duration `json:"retryAfterSeconds,omitzero"`

	Delay   time.Duration `json:"delaySeconds,omitzero"` // Slow, NotActive
	Code    int           `json:"code,omitzero"`         // Status, Raw
	Message string        `json:"message,omitzero"`      // Status
	Key     string        `json:"key,omitzero"`          // Poison
	Keys    int           `json:"keys,omitzero"`         // TooLarge

	Body      string `json:"body,omitzero"`      // Raw
	MediaType string `json:"mediaType,omitzero"` // Raw
	CutAfter  int    `json:"cutAfter,omitzero"`  // Raw: the connection ends after so many bytes of Body; 0: whole
	// Headers replace those of the answer, of any kind that gives one: rate headers
	// that nobody can believe, for instance. The look-alike does not obey them.
	Headers map[string]string `json:"headers,omitzero"`
}

// check refuses rules that could never do what was meant.
func (r Rule) check() error {
	switch {
	case !slices.Contains(kinds, r.Kind):
		return fmt.Errorf("make a fault: no kind %q; there are %v", r.Kind, kinds)
	case r.Scope != "" && r.Scope != Org && r.Scope != IP:
		return fmt.Errorf("make a fault: no scope %q; there are org and ip", r.Scope)
	case r.Code != 0 && (r.Code < 200 || r.Code > 599):
		return fmt.Errorf("make a fault: code %d is not between 200 and 599", r.Code)
	case r.Kind == Poison && r.Key == "":
		return fmt.Errorf("make a fault: poison needs a key")
	case r.Kind == Headers && len(r.Headers) == 0:
		return fmt.Errorf("make a fault: headers needs headers")
	case r.CutAfter < 0 || r.CutAfter > 0 && r.CutAfter >= len(r.Body):
		return fmt.Errorf("make a fault: cutAfter %d is not within the body", r.CutAfter)
	}
	return nil
}

// rule is a Rule at work; the lock guards it, except for removed.
type rule struct {
	Rule
	id      int
	made    time.Time
	used    int
	holding int           // calls that hang or are slow by this rule
	removed chan struct{} // closed when the rule is removed by hand
}

func newRule(r Rule, id int, now time.Time) *rule {
	if !isFingerprint(r.Token) && r.Token != "" {
		r.Token = tenantOf(r.Token).String()
	}
	r.Reset = roundUp(r.Reset, time.Millisecond)
	r.RetryAfter = roundUp(r.RetryAfter, time.Second)
	return &rule{Rule: r, id: id, made: now, removed: make(chan struct{})}
}

func isFingerprint(s string) bool {
	return len(s) == 12 && strings.Trim(s, "0123456789abcdef") == ""
}

func (r *rule) spent(now time.Time) bool {
	return (r.Count > 0 && r.used >= r.Count) || (r.For > 0 && now.Sub(r.made) >= r.For)
}

// matches is asked under the lock.
func (r *rule) matches(s *Split, x *exchange, now time.Time) bool {
	if r.spent(now) ||
		(r.Token != "" && r.Token != x.target.Tenant.String()) ||
		(r.Environment != "" && r.Environment != x.target.Environment) ||
		(r.Segment != "" && r.Segment != x.target.Segment) ||
		(r.Verb != 0 && r.Verb != x.verb) {
		return false
	}
	switch r.Kind {
	case NotActive:
		seg := s.find(x.target, x.start)
		return seg != nil && x.verb != 0 && now.Sub(seg.activated) < r.Delay
	case TooLarge:
		return len(x.body.Keys) > r.Keys
	case Poison:
		return slices.Contains(x.body.Keys, r.Key)
	case Full:
		return x.verb == audience.Add
	case CommentsRequired:
		return x.verb != 0 && (x.body.Title == "" || x.body.Comment == "")
	}
	return true
}
