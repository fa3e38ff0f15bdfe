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
	ID   audience.TenantID `json:"-"`
	kept map[State]Counts  // of the segments in each state
}

// NewTenant sums up what its segments say.
func NewTenant(fingerprint string, gate TenantGate, segments []Segment, now time.Time) Tenant {
	t := Tenant{Tenant: fingerprint, Paused: gate.Paused, States: map[State]int{}, Segments: segments, kept: map[State]Counts{}}
	worst := &Segment{Condition: Condition{State: Idle}}
	for i := range segments {
		s := &segments[i]
		t.States[s.State]++
		t.Counts, t.kept[s.State] = t.Plus(s.Counts), t.kept[s.State].Plus(s.Counts)
		if s.State.Rank() < worst.State.Rank() {
			worst = s
		}
	}
	t.Condition = worst.Condition
	if whole := Resolve(Phase{Condition: Condition{State: Idle}}, gate, AddressGate{}, t.Pending, now); whole.State != Idle {
		t.Condition = whole
	} else if t.troubled() {
		t.Sentence = t.of(worst, now)
		return t
	}
	t.Sentence = Sentence(t.Condition, t.Counts, now)
	return t
}

// troubled: a single segment of it is what has to be said.
func (t *Tenant) troubled() bool {
	return t.State == Parked || t.State == Repeating || t.State == Paused
}

// of is the sentence of the tenant's worst segment, with its name, and how many others
// are in the same state.
func (t *Tenant) of(worst *Segment, now time.Time) string {
	said := worst.Environment + "/" + worst.Segment + ": " + Sentence(worst.Condition, worst.Counts, now)
	if others := t.States[t.State] - 1; others > 0 {
		said += " So it is with " + Count(others, "more segment") + "."
	}
	return said
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
