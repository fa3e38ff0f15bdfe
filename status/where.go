package status

import "time"

// KeyState is where a key is.
type KeyState string

// The states of a key.
const (
	KeyPending    KeyState = "pending"    // accepted, and not in a call
	KeyInFlight   KeyState = "in_flight"  // in a call that is under way or is repeated
	KeyParked     KeyState = "parked"     // Split refused it for good
	KeyDelivered  KeyState = "delivered"  // Split took it
	KeySuperseded KeyState = "superseded" // a newer change of it came before it was sent; told only of keys in memory
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
	At          time.Time `json:"at,omitzero"`       // accepted, refused or delivered; zero: not known
	Call        uint64    `json:"call,omitempty"`    // delivered, in flight: the number of the call
	Reason      string    `json:"reason,omitempty"`  // parked
	Message     string    `json:"message,omitempty"` // parked: Split's own words, with keys masked
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
