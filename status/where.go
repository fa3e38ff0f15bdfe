package status

import (
	"fmt"
	"time"
)

// KeyState is where a key is.
type KeyState string

// The states of a key.
const (
	KeyPending    KeyState = "pending"    // accepted, and not in a call
	KeyInFlight   KeyState = "in_flight"  // in a call that is under way or is repeated
	KeyParked     KeyState = "parked"     // Split refused it for good
	KeyDelivered  KeyState = "delivered"  // Split took it
	KeySuperseded KeyState = "superseded" // never sent: a later change of the key, with the other verb, took its place in memory
	KeyNotSeen    KeyState = "not_seen"   // neither pending nor parked, nor delivered since Whereabouts.Back
)

// Sighting is a key in one segment.
type Sighting struct {
	Tenant      string    `json:"tenant"`
	Workspace   string    `json:"workspace"`
	Environment string    `json:"environment"`
	TrafficType string    `json:"trafficType"`
	Segment     string    `json:"segment"`
	State       KeyState  `json:"state"`
	Verb        string    `json:"verb"`
	At          time.Time `json:"at,omitzero"`           // accepted, refused, delivered or superseded; zero: not known
	Call        uint64    `json:"call,omitempty"`        // delivered, in flight: the number of the call
	Reason      string    `json:"reason,omitempty"`      // parked
	Message     string    `json:"message,omitempty"`     // parked: Split's own words, with keys masked
	Status      int       `json:"status,omitempty"`      // parked: of HTTP; 0: there was no answer, or it is not known any more
	Transaction string    `json:"transaction,omitempty"` // parked: Split's own id of the call, for its support
	Why         string    `json:"why,omitempty"`         // pending, in flight: what its segment says of itself
	Sentence    string    `json:"sentence"`
	Name        string    `json:"name,omitempty"` // of the tenant, see tenantNames; "": nothing
}

// Whereabouts is the answer to where a key is.
type Whereabouts struct {
	Sightings []Sighting `json:"sightings"`
	Back      time.Time  `json:"back,omitzero"`  // deliveries are known from then on; zero: none are
	Next      string     `json:"next,omitempty"` // cursor of the next page; "": that was all
	Sentence  string     `json:"sentence"`       // of the whole; where nothing was seen it says how far back that goes
}

// SightingSentence says where a key is in one segment, and why it waits there.
func SightingSentence(s Sighting, now time.Time) string {
	at, why := since(s.At, now), ""
	if s.Why != "" {
		why = " Its segment: " + s.Why
	}
	switch s.State {
	case KeyPending:
		return fmt.Sprintf("Pending%s: Split has not been told to %s it.%s", at, s.Verb, why)
	case KeyInFlight:
		return fmt.Sprintf("In flight, in call %d: to %s it.%s", s.Call, s.Verb, why)
	case KeyParked:
		return fmt.Sprintf("Parked%s%s: Split refused to %s it. Retry or discard it.", at, inBrackets(Answer(s.Reason, s.Status, s.Transaction)), s.Verb)
	case KeySuperseded:
		return fmt.Sprintf("Superseded at %s (%s ago): an earlier change, to %s it, was never sent, as the opposite came before that.", Clock(s.At, now), Span(now.Sub(s.At)), s.Verb)
	case KeyDelivered:
		return fmt.Sprintf("Delivered at %s (%s ago), in call %d: %s.", Clock(s.At, now), Span(now.Sub(s.At)), s.Call, s.Verb)
	}
	return "Not seen."
}

// WhereSentence sums up what was found. first says that the page is the first one of a
// search: a later one cannot say that a key was not seen.
func WhereSentence(w Whereabouts, first bool, now time.Time) string {
	back := "; what was delivered before is not known"
	if w.Back.IsZero() {
		back = "; what was delivered is not known, as no receipts are kept"
	}
	switch n := len(w.Sightings); {
	case n > 0 && n == 1:
		return "Seen in 1 place."
	case n > 0:
		return fmt.Sprintf("Seen in %s places.", Number(n))
	case w.Next != "":
		return "Not seen so far; the search is not at its end."
	case !first:
		return "Nothing more was seen."
	case w.Back.IsZero():
		return "Not seen: it is neither pending nor parked" + back + "."
	}
	return fmt.Sprintf("Not seen since %s: it is neither pending nor parked%s.", Clock(w.Back, now), back)
}
