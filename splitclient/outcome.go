package splitclient

import "time"

// Kind is what an outcome means for the keys of the call; nothing above this
// package looks at a status code.
type Kind uint8

// The four kinds.
const (
	Delivered Kind = iota + 1 // settle the keys
	Throttled                 // keep the keys; no call before Outcome.Delay has passed
	Transient                 // keep the keys; back off and repeat the same call
	Permanent                 // repeating the same call is pointless; see Outcome.Scope
)

// String is the kind in lower case.
func (k Kind) String() string {
	switch k {
	case Delivered:
		return "delivered"
	case Throttled:
		return "throttled"
	case Transient:
		return "transient"
	case Permanent:
		return "permanent"
	}
	return "no kind"
}

// Scope is what a permanent refusal concerns.
type Scope uint8

// The scopes, from narrow to wide.
const (
	ScopeKeys    Scope = iota + 1 // something in this body: halve it, park the offender
	ScopeSegment                  // this segment in this environment
	ScopeTenant                   // everything under this token
)

// Reason says why, from a closed set: it is a metric label and the operator's
// first word on a waiting key. Its texts are part of docs/metrics.md.
type Reason string

// Outcome is what became of one call.
type Outcome struct {
	Kind    Kind
	Reason  Reason
	Scope   Scope         // set for Permanent only
	Delay   time.Duration // for Throttled: the least time to wait, MinThrottle to MaxThrottle
	DelayIP time.Duration // for ThrottledIP: the least time that every tenant waits; it may be shorter than Delay

	// Doubtful: the answer names a wait that cannot be believed, so Delay is
	// MinThrottle or what little else it says; the caller lets it grow from one
	// such answer to the next. DoubtfulIP says the same of DelayIP.
	Doubtful, DoubtfulIP bool

	Status int // of HTTP; 0: there was no answer
	// Transaction is Split's own id of the call, for its support; "": the answer has none.
	Transaction string

	Limits  Limits // what the answer said of the rate limits, on any answer
	Message string // the answer's own words, cleaned and cut; may name a key, so it is never logged
	Cause   string // why no connection came about, in the transport's words; names no key and no token, may be logged
}

// Limits are Split's rate headers (Split docs: rate limiting). A negative
// value: the header was absent or cannot be believed. A reset is a time from
// now, at most MaxThrottle, also where the header held a point in time.
type Limits struct {
	RemainingOrg, RemainingIP float64
	ResetOrg, ResetIP         time.Duration
}
