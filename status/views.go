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
// needs an operator most, or what concerns all of them; where the one is that a segment is
// Parked, Also tells the other.
type Tenant struct {
	Tenant string `json:"tenant"`         // the fingerprint of its apiToken
	Name   string `json:"name,omitempty"` // what people call it, see tenantNames; "": nothing
	Node   string `json:"node,omitempty"` // which node delivers for it; "": there is only one
	Condition
	Counts
	Paused   bool          `json:"paused"` // all of it is; State says that, too, where only a segment is
	Sentence string        `json:"sentence"`
	States   map[State]int `json:"states"` // how many segments are in each state
	Segments []Segment     `json:"segments,omitempty"`
	// ID is the tenant's own; people and programs are shown the fingerprint.
	ID   audience.TenantID `json:"-"`
	kept map[State]Counts  // of the segments in each state
}

// NewTenant sums up what its segments say.
func NewTenant(fingerprint string, gate TenantGate, segments []Segment, now time.Time) Tenant {
	t := Tenant{Tenant: fingerprint, Paused: gate.Paused, States: map[State]int{}, Segments: segments, kept: map[State]Counts{}}
	worst, parked := &Segment{Condition: Condition{State: Idle}}, (*Segment)(nil)
	for i := range segments {
		s := &segments[i]
		t.States[s.State]++
		t.Counts, t.kept[s.State] = t.Plus(s.Counts), t.kept[s.State].Plus(s.Counts)
		if s.Also != "" {
			t.kept[s.Also] = t.kept[s.Also].Plus(s.Counts)
		}
		if s.State.Rank() < worst.State.Rank() {
			worst = s
		}
		if s.State == Parked && parked == nil {
			parked = s
		}
	}
	t.Condition = worst.Condition
	whole := Resolve(Phase{Condition: Condition{State: Idle}}, gate, AddressGate{}, t.Pending, now)
	switch {
	case whole.State == Idle && t.troubled():
		t.Sentence = t.of(worst, now)
	case whole.State == Idle:
		t.Sentence = Sentence(t.Condition, t.Counts, now)
	case parked != nil:
		if t.Condition = parked.Besides(whole); whole.State.Rank() < Parked.Rank() {
			t.Condition = whole.Besides(parked.Condition)
		}
		t.Sentence = Sentence(whole, t.Counts, now) + t.parkedOf(parked, now)
	default:
		t.Condition, t.Sentence = whole, Sentence(whole, t.Counts, now)
	}
	return t
}

// Is reports whether that is its state, or in trouble that of one of its segments.
func (t *Tenant) Is(state State) bool {
	_, some := t.kept[state]
	return t.Condition.Is(state) || some && state.Rank() <= Repeating.Rank()
}

// troubled: a single segment of it is what has to be said.
func (t *Tenant) troubled() bool {
	return t.State == Parked || t.State == Repeating || t.State == Paused
}

// of is the sentence of the tenant's worst segment, with its name, and how many others
// are in the same state.
func (t *Tenant) of(worst *Segment, now time.Time) string {
	return worst.Environment + "/" + worst.Segment + ": " + Sentence(worst.Condition, worst.Counts, now) + t.others(t.State)
}

// others says how many segments are in a state beside the one that was named.
func (t *Tenant) others(state State) string {
	others := t.States[state] - 1
	if others < 1 {
		return ""
	}
	return " So it is with " + Count(others, "more segment") + "."
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
