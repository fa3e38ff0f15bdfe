package status

import (
	"fmt"
	"strings"
	"time"
)

// EventKind is what happened. The texts are part of the JSON API.
type EventKind string

// The kinds. Those of the first group are an operator's deeds.
const (
	EventFlushed     EventKind = "flushed"
	EventPaused      EventKind = "paused"
	EventResumed     EventKind = "resumed"
	EventRetried     EventKind = "retried"
	EventDiscarded   EventKind = "discarded"
	EventMoved       EventKind = "moved"
	EventRevealed    EventKind = "revealed"               // keys were shown unmasked
	EventReloaded    EventKind = "configuration_reloaded" // what has changed in it was taken, or needs a restart
	EventNotReloaded EventKind = "configuration_refused"  // it has a fault: all stays as it was

	EventSegmentFails     EventKind = "segment_fails"
	EventSegmentRecovered EventKind = "segment_recovered"
	EventSegmentParked    EventKind = "segment_parked"
	EventSegmentUnparked  EventKind = "segment_unparked"
	EventKeysParked       EventKind = "keys_parked"
	EventTokenRefused     EventKind = "token_refused"
	EventTokenAccepted    EventKind = "token_accepted"
	EventTenantLimited    EventKind = "tenant_limited"  // a 429 of the organisation: its tenant waits
	EventAddressLimited   EventKind = "address_limited" // a 429 of the address: all tenants wait
	EventPauseOver        EventKind = "pause_over"      // a pause has ended by itself
)

// Event is something that happened: to a tenant or a segment, or to all.
type Event struct {
	Number      uint64         `json:"number"` // rises from event to event, also over restarts
	At          time.Time      `json:"at"`
	Kind        EventKind      `json:"kind"`
	Who         string         `json:"who,omitempty"`    // the operator; "": the relay itself
	Tenant      string         `json:"tenant,omitempty"` // the fingerprint
	Environment string         `json:"environment,omitempty"`
	Segment     string         `json:"segment,omitempty"`
	Keys        int            `json:"keys,omitempty"`
	Until       time.Time      `json:"until,omitzero"`
	Reason      string         `json:"reason,omitempty"`      // as in docs/metrics.md
	Status      int            `json:"status,omitempty"`      // of HTTP, where Split answered
	Sentence    string         `json:"sentence"`              // all of it in words, see EventSentence
	To          string         `json:"to,omitempty"`          // EventMoved: the fingerprint of the new tenant
	Name        string         `json:"name,omitempty"`        // of the tenant, see tenantNames; "": nothing
	Paused      int            `json:"paused,omitempty"`      // EventMoved: segments that stay paused under the new tenant
	Others      []EventSubject `json:"others,omitempty"`      // some of those, beside the one above
	Taken       []string       `json:"taken,omitempty"`       // EventReloaded: keys of the configuration, never their values
	NeedRestart []string       `json:"needRestart,omitempty"` // the same
	Fault       string         `json:"fault,omitempty"`       // EventNotReloaded
	Node        string         `json:"node,omitempty"`        // of several nodes the one that it happened to, where it is one's own matter
	Segments    int            `json:"segments,omitempty"`    // that it happened to at about that time, where it is more than one; of tenants, where no segment is named
}

// EventSubject is one of many that an event happened to: a segment, or a tenant.
type EventSubject struct {
	Tenant      string `json:"tenant"` // the fingerprint
	Environment string `json:"environment,omitempty"`
	Segment     string `json:"segment,omitempty"`
	Reason      string `json:"reason,omitempty"` // as in Event
	Name        string `json:"name,omitempty"`   // of the tenant; "": nothing
}

// MostNamed is how many an event names of those that it happened to, with the first.
const MostNamed = 5

// eventTexts say what happened to something that the sentence begins with.
var eventTexts = map[EventKind]string{
	EventFlushed: "flushed", EventPaused: "paused", EventResumed: "resumed", EventRetried: "retried", EventDiscarded: "discarded",
	EventMoved: "moved", EventRevealed: "keys revealed",
	EventReloaded: "the configuration was read again", EventNotReloaded: "the configuration was read again and has a fault: all stays as it was",
	EventSegmentFails:     "calls to Split fail and are repeated",
	EventSegmentRecovered: "calls to Split go through again", EventSegmentParked: "Split refuses the segment: parked",
	EventSegmentUnparked: "Split takes the parked segment again", EventKeysParked: "Split refuses keys: parked",
	EventTokenRefused: "Split refuses the token", EventTokenAccepted: "the token works again",
	EventTenantLimited:  "the limit of the organisation is used up: the tenant waits",
	EventAddressLimited: "the limit of the relay's address is used up: all tenants wait",
	EventPauseOver:      "the pause is over",
}

// EventSentence says an event in words.
func EventSentence(e Event) string {
	said := eventTexts[e.Kind]
	if of := subject(e); of != "" {
		said = of + ": " + said
	}
	if e.Keys > 0 {
		said += ", " + keys(e.Keys)
	}
	if e.To != "" {
		said += ", to tenant " + e.To
	}
	if e.Paused > 0 {
		said += fmt.Sprintf(" (%s %s paused there)", Count(e.Paused, "segment"), stays(e.Paused))
	}
	if len(e.Taken) > 0 {
		said += "; taken: " + strings.Join(e.Taken, ", ")
	}
	if len(e.NeedRestart) > 0 {
		said += "; needs a restart: " + strings.Join(e.NeedRestart, ", ")
	}
	if e.Fault != "" {
		said += "; " + e.Fault
	}
	said += inBrackets(Answer(e.Reason, e.Status, ""))
	said += others(e)
	switch e.Kind {
	case EventSegmentFails, EventSegmentParked, EventTokenRefused:
		if !e.Until.IsZero() && e.Segments <= 1 { // of many each has a time of its own
			said += "; tried again at " + Clock(e.Until, e.At)
		}
	default:
		if !e.Until.IsZero() {
			said += " until " + Clock(e.Until, e.At)
		}
	}
	return upper(said) + by(e.Who) + "."
}

// subject is what the event happened to; "": to all.
func subject(e Event) string {
	switch {
	case e.Tenant == "" && e.Node != "":
		return "node " + e.Node
	case e.Tenant == "":
		return ""
	case e.Segment == "":
		return "tenant " + Title(e.Tenant, e.Name)
	}
	return fmt.Sprintf("%s/%s of tenant %s", e.Environment, e.Segment, Title(e.Tenant, e.Name))
}

// others says whom else it happened to: some by name, and how many more.
func others(e Event) string {
	more := max(0, e.Segments-1-len(e.Others))
	if len(e.Others) == 0 {
		if more == 0 {
			return ""
		}
		return fmt.Sprintf(", and %s more", Number(more))
	}
	var names []string
	for _, o := range e.Others {
		name := o.Environment + "/" + o.Segment
		if o.Segment == "" || o.Tenant != e.Tenant {
			name = subject(Event{Tenant: o.Tenant, Name: o.Name, Environment: o.Environment, Segment: o.Segment})
		}
		if o.Reason != e.Reason {
			name += inBrackets(o.Reason)
		}
		names = append(names, name)
	}
	said := "; so it is with " + strings.Join(names, ", ")
	if more > 0 {
		said += fmt.Sprintf(", and %s more", Number(more))
	}
	return said
}

// upper begins with a capital letter, unless with somebody's name.
func upper(said string) string {
	if first, _, named := strings.Cut(said, "/"); named && !strings.Contains(first, " ") {
		return said
	}
	return capital(said)
}
