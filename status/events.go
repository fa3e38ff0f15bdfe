package status

import "time"

// EventKind is what happened. The texts are part of the JSON API.
type EventKind string

// The kinds. Those of the first group are an operator's deeds.
const (
	EventFlushed   EventKind = "flushed"
	EventPaused    EventKind = "paused"
	EventResumed   EventKind = "resumed"
	EventRetried   EventKind = "retried"
	EventDiscarded EventKind = "discarded"
	EventMoved     EventKind = "moved"
	EventRevealed  EventKind = "revealed" // keys were shown unmasked

	EventStarted          EventKind = "started"
	EventStopping         EventKind = "stopping"
	EventPauseOver        EventKind = "pause_over" // the time of a pause is up
	EventSegmentFails     EventKind = "segment_fails"
	EventSegmentRecovered EventKind = "segment_recovered"
	EventSegmentParked    EventKind = "segment_parked"
	EventSegmentUnparked  EventKind = "segment_unparked"
	EventKeysParked       EventKind = "keys_parked"
	EventTokenRefused     EventKind = "token_refused"
	EventTokenAccepted    EventKind = "token_accepted"
	EventAddressLimited   EventKind = "address_limited" // a 429 of the address: all tenants wait
)

// Event is something that happened, as it is kept in the journal.
type Event struct {
	Number      uint64    `json:"number"` // rises from event to event, also over restarts
	At          time.Time `json:"at"`
	Kind        EventKind `json:"kind"`
	Who         string    `json:"who,omitempty"`    // the operator; "": the relay itself
	Tenant      string    `json:"tenant,omitempty"` // the fingerprint
	Environment string    `json:"environment,omitempty"`
	Segment     string    `json:"segment,omitempty"`
	Keys        int       `json:"keys,omitempty"`
	Until       time.Time `json:"until,omitzero"`
	Reason      string    `json:"reason,omitempty"` // as in docs/metrics.md
	Status      int       `json:"status,omitempty"` // of HTTP, where Split answered
	Sentence    string    `json:"sentence"`         // all of it in words, see EventSentence
	To          string    `json:"to,omitempty"`     // EventMoved: the fingerprint of the new tenant
	Name        string    `json:"name,omitempty"`   // of the tenant, see tenantNames; "": nothing
}
