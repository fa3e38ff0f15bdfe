package status

import (
	"errors"
	"fmt"
	"time"

	"audiences/audience"
)

// Remedy is what an operator may do. The texts are part of the JSON API and the names of
// commands.
type Remedy string

// The remedies.
const (
	Flush   Remedy = "flush"   // send now what is pending
	Pause   Remedy = "pause"   // make no calls, until a time or until Resume
	Resume  Remedy = "resume"  // end a pause
	Retry   Remedy = "retry"   // make parked keys pending, and try a parked segment at once
	Discard Remedy = "discard" // delete parked keys, and what is pending of a parked segment
	Move    Remedy = "move"    // hand the keys of a tenant to another one: the customer's new token
)

// Errors of remedies, which callers tell apart.
var (
	ErrUnknown    = errors.New("not known here")                                // no such tenant or segment
	ErrPausedNow  = errors.New("it is paused: resume it first")                 // Flush of something that is paused
	ErrOff        = errors.New("delivery is switched off in the configuration") // Flush while it is
	ErrNotNeeded  = errors.New("there is nothing that this changes")            // Resume of what is not paused, Retry where nothing is parked
	ErrImpossible = errors.New("this cannot be done")                           // a pause that ends in the past, a tenant that is moved to itself
)

// Wish is what an operator wants done. Each one that is carried out is an event.
type Wish struct {
	Remedy  Remedy
	Segment audience.Segment  // with a Tenant alone: everything of that tenant
	To      audience.TenantID // Move: the new tenant
	Until   time.Time         // Pause: when it ends by itself; zero: with Resume
	Who     string            // the operator's name
	DryRun  bool              // change nothing: say what would be done
}

// Whole reports whether everything of the tenant is meant.
func (w Wish) Whole() bool { return w.Segment == audience.Segment{Tenant: w.Segment.Tenant} }

// Effect is what a remedy does, or would do.
type Effect struct {
	Segments int  `json:"segments"`         // that it concerns
	Keys     int  `json:"keys"`             // that it concerns, about
	More     bool `json:"more"`             // there may be more keys: they are still being counted
	DryRun   bool `json:"dryRun"`           // nothing was changed
	Paused   int  `json:"paused,omitempty"` // Move: segments of them that stay paused under the new tenant
	Held     int  `json:"held,omitempty"`   // segments of these that a pause still keeps from calling
	// Until is when a pause ends by itself; zero: with Resume.
	Until    time.Time `json:"until,omitzero"`
	Sentence string    `json:"sentence"`
}

// Detail is one segment with all that explains it.
type Detail struct {
	Tenant string `json:"tenant"`
	Segment
	Adds       int       `json:"adds"`              // keys to add, in memory or in flight
	Deletes    int       `json:"deletes"`           // keys to delete, in the same way
	Stored     int       `json:"stored"`            // keys that are in the journal alone
	Due        time.Time `json:"due,omitzero"`      // when the next call is due
	RepeatAt   time.Time `json:"repeatAt,omitzero"` // when the call that failed is made again
	ProbeAt    time.Time `json:"probeAt,omitzero"`  // when a parked segment is tried
	LastReason string    `json:"lastReason,omitempty"`
	Oldest     time.Time `json:"oldest,omitzero"` // when the oldest pending key was accepted, as far as is known
	Planned    []Planned `json:"planned"`         // the calls that its keys in memory make
	Calls      []Call    `json:"calls"`           // the last 20, the newest first
	Name       string    `json:"name,omitempty"`  // of the tenant, see tenantNames; "": nothing
}

// ParkedKey is one key that Split refused for good. Keys are masked until an operator
// has them revealed (I7), so the key itself takes no part in JSON.
type ParkedKey struct {
	Key     audience.Key `json:"-"`
	Shown   string       `json:"key"` // masked, or revealed
	Verb    string       `json:"verb"`
	Reason  string       `json:"reason"`
	Message string       `json:"message,omitempty"` // Split's own words, with the key masked in the same way
	At      time.Time    `json:"at"`

	Status      int    `json:"status,omitempty"`      // of HTTP; 0: there was no answer, or it is not known any more
	Transaction string `json:"transaction,omitempty"` // Split's own id of the call, for its support
}

// ParkedPage is a part of a segment's parked keys.
type ParkedPage struct {
	Keys []ParkedKey `json:"keys"`
	Next string      `json:"next,omitempty"` // cursor of the next page; "": that was all
}

// deeds are what a remedy did, or would do.
var deeds = map[Remedy]struct{ done, would string }{
	Flush:   {"Flushed", "Would flush"},
	Pause:   {"Paused", "Would pause"},
	Resume:  {"Resumed", "Would resume"},
	Retry:   {"Retried", "Would retry"},
	Discard: {"Discarded", "Would discard"},
	Move:    {"Moved", "Would move"},
}

// EffectSentence says in words what a remedy did, or with DryRun would do. It ends in a
// full stop.
func EffectSentence(w Wish, e Effect, now time.Time) string {
	deed := deeds[w.Remedy].done
	if e.DryRun {
		deed = deeds[w.Remedy].would
	}
	return fmt.Sprintf("%s %s%s.", deed, concerned(w, e), consequence(w, e, now))
}

// concerned is what a remedy is about.
func concerned(w Wish, e Effect) string {
	about := keys(e.Keys)
	if e.More {
		about = "at least " + about
	}
	segments := Count(e.Segments, "segment")
	switch {
	case w.Remedy == Discard:
		return about + " of " + segments
	case w.Whole() && (w.Remedy == Pause || w.Remedy == Resume):
		return "the tenant with " + segments + " and " + about
	}
	return segments + " with " + about
}

// consequence is what a remedy leaves behind.
func consequence(w Wish, e Effect, now time.Time) string {
	switch w.Remedy {
	case Pause:
		return pauseEnd(e.Until, now)
	case Move:
		where := fmt.Sprintf(" to tenant %s", w.To)
		if e.Paused > 0 {
			where += fmt.Sprintf(", where %s of them %s paused", Number(e.Paused), stays(e.Paused))
		}
		if e.DryRun {
			return where + ", and pause the old one"
		}
		return where + ", and paused the old one"
	}
	return ""
}

func stays(n int) string {
	if n == 1 {
		return "stays"
	}
	return "stay"
}
