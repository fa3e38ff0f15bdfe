package status

import (
	"time"

	"audiences/audience"
)

// Segment is one segment of a tenant.
type Segment struct {
	Workspace   string `json:"workspace"`
	Environment string `json:"environment"`
	TrafficType string `json:"trafficType"`
	Segment     string `json:"segment"`
	Condition
	Counts
	Oldest   time.Time `json:"oldest,omitzero"` // about when the oldest pending key in memory was accepted, or before that; zero: not known
	Sentence string    `json:"sentence"`        // of who is shown alone, see WithSentence
}

// WithSentence is the segment with its condition in words. Who lists many segments makes
// it only of those that are shown: it costs more than all the rest.
func (s Segment) WithSentence(now time.Time) Segment {
	s.Sentence = Sentence(s.Condition, s.Counts, now)
	return s
}

// Tenant is one tenant with its segments. Its condition is that of the segment that
// needs an operator most, or what concerns all of them.
type Tenant struct {
	Tenant string `json:"tenant"`         // the fingerprint of its apiToken
	Name   string `json:"name,omitempty"` // what people call it, see tenantNames; "": nothing
	Condition
	Counts
	Paused   bool          `json:"paused"` // all of it is; State says that, too, where only a segment is
	Sentence string        `json:"sentence"`
	States   map[State]int `json:"states"` // how many segments are in each state
	Segments []Segment     `json:"segments,omitempty"`
	// ID is the tenant's own; people and programs are shown the fingerprint.
	ID audience.TenantID `json:"-"`
}

// NewTenant sums up what its segments say.
func NewTenant(fingerprint string, gate TenantGate, segments []Segment, now time.Time) Tenant {
	t := Tenant{Tenant: fingerprint, Paused: gate.Paused, States: map[State]int{}, Segments: segments}
	worst := Condition{State: Idle}
	for _, s := range segments {
		t.States[s.State]++
		t.Counts = t.Plus(s.Counts)
		if s.State.Rank() < worst.State.Rank() {
			worst = s.Condition
		}
	}
	if whole := Resolve(Phase{Condition: Condition{State: Idle}}, gate, AddressGate{}, t.Pending, now); whole.State != Idle {
		worst = whole
	}
	t.Condition = worst
	t.Sentence = Sentence(t.Condition, t.Counts, now)
	return t
}

// Rank is the place of a state among States: the one that needs an operator most is 0.
func (s State) Rank() int {
	if rank, known := ranks[s]; known {
		return rank
	}
	return len(ranks)
}

// ranks are made once: lists are sorted by them.
var ranks = func() map[State]int {
	made := map[State]int{}
	for rank, state := range States() {
		made[state] = rank
	}
	return made
}()
