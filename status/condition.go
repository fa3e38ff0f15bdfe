package status

import "time"

// State is what a segment or a tenant is about. The texts are part of the JSON API.
type State string

// The states, the one that needs an operator most first.
const (
	TokenRefused State = "token_refused" // Split answers 401: the tenant's token is tried now and then
	Parked       State = "parked"        // Split refuses the segment for good: one key is tried now and then
	Paused       State = "paused"        // by an operator
	Held         State = "held"          // delivery is switched off in the configuration
	Repeating    State = "repeating"     // a call failed for now, and the same call is made again
	Waiting      State = "waiting"       // keys are due, and something else has to come first: see Wait
	Calling      State = "calling"       // a call is under way
	Reading      State = "reading"       // what the journal has is being read
	Gathering    State = "gathering"     // keys come together until their interval is over
	Idle         State = "idle"          // no key is pending
)

// States are all of them, in the order of their constants.
func States() []State {
	return []State{TokenRefused, Parked, Paused, Held, Repeating, Waiting, Calling, Reading, Gathering, Idle}
}

// Wait is what a segment in the state Waiting waits for.
type Wait string

// The waits.
const (
	ForInterval     Wait = "interval"      // keys of before a restart, which get one flush interval
	ForTenantLimit  Wait = "tenant_limit"  // the limit of the tenant's organisation, Split's or the operator's
	ForAddressLimit Wait = "address_limit" // the limit of the relay's address, which all tenants share
	ForTurn         Wait = "turn"          // others that have waited longer
)

// Waits are all of them.
func Waits() []Wait { return []Wait{ForInterval, ForTenantLimit, ForAddressLimit, ForTurn} }

// Condition is a state with all that explains it. Times are zero, and numbers 0, where
// they do not apply.
type Condition struct {
	State    State     `json:"state"`
	WaitsFor Wait      `json:"waitsFor,omitempty"` // Waiting
	Since    time.Time `json:"since,omitzero"`     // when the state began, or the wait that it is in; zero: not known
	Until    time.Time `json:"until,omitzero"`     // when the next step comes: a call, an attempt, the end of a pause
	Behind   int       `json:"behind,omitempty"`   // Waiting for its turn: how many others are first
	Attempts int       `json:"attempts,omitempty"` // Repeating: calls made with the same keys
	By       string    `json:"by,omitempty"`       // Paused, itself or besides: who did it
	Reason   string    `json:"reason,omitempty"`   // TokenRefused, Parked, Repeating: why, as in docs/metrics.md
	OnlyAdds bool      `json:"onlyAdds,omitempty"` // Parked: its deletes go on, as the segment is full

	// Also is what holds besides: of what is Parked that it is Paused, Held, TokenRefused or
	// Calling, and Until and By are of that then; of what is Paused that it is TokenRefused;
	// of a tenant that is TokenRefused that a segment of it is Parked. "": nothing.
	Also      State     `json:"also,omitempty"`
	AlsoSince time.Time `json:"alsoSince,omitzero"` // when that began; zero: not known

	// Of Split's answer: Parked.
	Status      int    `json:"status,omitempty"`      // of HTTP; 0: there was no answer, or it is not known any more
	Transaction string `json:"transaction,omitempty"` // Split's own id of the call, for its support
	Message     string `json:"message,omitempty"`     // Split's own words, with what may be a key masked
}

// Counts are how many keys a segment or a tenant has.
type Counts struct {
	Pending int  `json:"pending"` // accepted and not settled
	More    bool `json:"more"`    // there may be more pending ones: they are still being counted
	Parked  int  `json:"parked"`  // refused for good; an upper bound
}

// Plus adds up.
func (c Counts) Plus(o Counts) Counts {
	return Counts{Pending: c.Pending + o.Pending, More: c.More || o.More, Parked: c.Parked + o.Parked}
}
