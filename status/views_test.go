package status

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func segmentIn(state State, pending, parked int) Segment {
	c := Condition{State: state, Since: now.Add(-time.Minute)}
	return Segment{Segment: "s", Condition: c, Counts: Counts{Pending: pending, Parked: parked}}
}

// TestTenantShowsTheWorst of what its segments say, and what concerns all of them.
func TestTenantShowsTheWorst(t *testing.T) {
	for what, c := range map[string]struct {
		gate     TenantGate
		segments []Segment
		state    State
		counts   Counts
	}{
		"none":             {TenantGate{}, nil, Idle, Counts{}},
		"all well":         {TenantGate{}, []Segment{segmentIn(Idle, 0, 0), segmentIn(Calling, 3, 0), segmentIn(Gathering, 2, 0)}, Calling, Counts{Pending: 5}},
		"one parked":       {TenantGate{}, []Segment{segmentIn(Repeating, 7, 0), segmentIn(Parked, 1, 4)}, Parked, Counts{Pending: 8, Parked: 4}},
		"token refused":    {TenantGate{Refused: true}, []Segment{segmentIn(TokenRefused, 2, 0), segmentIn(Parked, 1, 0)}, TokenRefused, Counts{Pending: 3}},
		"refused, nothing": {TenantGate{Refused: true}, []Segment{segmentIn(Idle, 0, 0)}, Idle, Counts{}},
		"paused":           {TenantGate{Paused: true}, []Segment{segmentIn(Paused, 2, 0)}, Paused, Counts{Pending: 2}},
		"paused, nothing":  {TenantGate{Paused: true}, nil, Paused, Counts{}},
	} {
		got := NewTenant("f", c.gate, c.segments, now)
		if got.State != c.state || got.Counts != c.counts || len(got.Segments) != len(c.segments) {
			t.Errorf("%s: %+v", what, got)
		}
		n := 0
		for _, of := range got.States {
			n += of
		}
		if n != len(c.segments) {
			t.Errorf("%s: %d of %d segments are counted", what, n, len(c.segments))
		}
	}
}

// TestTenantSaysWhichSegment needs an operator, with the keys of that one alone; what
// concerns all of them is said of all.
func TestTenantSaysWhichSegment(t *testing.T) {
	named := func(name string, s Segment) Segment {
		s.Environment, s.Segment = "e", name
		return s
	}
	well, parked, failing, paused := named("well", segmentIn(Gathering, 5, 0)), named("bad", segmentIn(Parked, 3, 1)), named("slow", segmentIn(Repeating, 2, 0)), named("held", segmentIn(Paused, 7, 0))
	alone := named("s", segmentIn(Parked, 2, 0))
	for want, segments := range map[string][]Segment{
		Sentence(well.Condition, Counts{Pending: 10}, now):                                            {well, well},
		"e/bad: " + Sentence(parked.Condition, parked.Counts, now):                                    {well, parked, failing},
		"e/bad: " + Sentence(parked.Condition, parked.Counts, now) + " So it is with 1 more segment.": {parked, parked, well},
		"e/slow: " + Sentence(failing.Condition, failing.Counts, now):                                 {well, failing},
		"e/held: " + Sentence(paused.Condition, paused.Counts, now):                                   {paused, well},
		"e/s: " + Sentence(alone.Condition, alone.Counts, now):                                        {alone},
	} {
		if got := NewTenant("f", TenantGate{}, segments, now).Sentence; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	whole := NewTenant("f", TenantGate{Refused: true}, []Segment{named("a", segmentIn(TokenRefused, 2, 0)), parked}, now)
	if want := Sentence(whole.Condition, Counts{Pending: 5, Parked: 1}, now) + " Split refuses e/bad since 14:01:00 (1 min): parked."; whole.Sentence != want {
		t.Errorf("got  %s\nwant %s", whole.Sentence, want)
	}
}

// TestParkedSegmentIsSeenInItsTenant, whatever concerns all of that, and the tenant is
// found by everything that holds.
func TestParkedSegmentIsSeenInItsTenant(t *testing.T) {
	held := segmentIn(Parked, 3, 0)
	held.Condition = held.Besides(Condition{State: Paused})
	for what, c := range map[string]struct {
		gate        TenantGate
		segments    []Segment
		state, also State
		is          []State
		verdict     string
	}{
		"segment paused": {TenantGate{}, []Segment{held}, Parked, Paused, []State{Parked, Paused},
			"Tenant f: Split refuses a segment of it, 3 keys are kept. Tenant f: it is paused, or a segment of it, 3 keys are kept."},
		"tenant paused": {TenantGate{Paused: true}, []Segment{held, segmentIn(Paused, 4, 0)}, Parked, Paused, []State{Parked, Paused},
			"Tenant f: Split refuses a segment of it, 3 keys are kept. Tenant f: it is paused, or a segment of it, 7 keys are kept."},
		"token refused": {TenantGate{Refused: true}, []Segment{segmentIn(TokenRefused, 2, 0), segmentIn(Parked, 1, 0)}, TokenRefused, Parked, []State{TokenRefused, Parked},
			"Tenant f: its token is refused, 2 keys are kept. Tenant f: Split refuses a segment of it, 1 key is kept."},
		"another one paused": {TenantGate{}, []Segment{segmentIn(Parked, 1, 0), segmentIn(Paused, 1, 0), segmentIn(Gathering, 1, 0)}, Parked, "", []State{Parked, Paused},
			"Tenant f: Split refuses a segment of it, 1 key is kept."},
	} {
		got := NewTenant("f", c.gate, c.segments, now)
		if got.State != c.state || got.Also != c.also || !strings.Contains(got.Sentence, "Split refuses") {
			t.Errorf("%s: %s, also %s: %s", what, got.State, got.Also, got.Sentence)
		}
		for _, state := range States() {
			if got.Is(state) != slices.Contains(c.is, state) {
				t.Errorf("%s: is it %s? %v", what, state, got.Is(state))
			}
		}
		if said := Verdict([]Tenant{got}, Freshness{}); said != c.verdict {
			t.Errorf("%s:\ngot  %s\nwant %s", what, said, c.verdict)
		}
	}
}

// TestPauseOver: a pause that has ended by itself is not told, and what holds besides is.
func TestPauseOver(t *testing.T) {
	paused := Condition{State: Paused, Since: now.Add(-time.Hour), Until: now, By: "ana"}
	parked := Condition{State: Parked, Since: now.Add(-time.Hour), Reason: "forbidden"}
	later := Condition{State: Paused, Until: now.Add(time.Second)}
	for _, c := range []struct{ of, want Condition }{
		{paused, Condition{State: Idle}}, {parked.Besides(paused), parked}, {parked, parked}, {later, later}, {parked.Besides(later), parked.Besides(later)},
	} {
		if got := c.of.PauseOver(now); got != c.want {
			t.Errorf("%+v, want %+v", got, c.want)
		}
	}
}

// TestVerdict: one line that names who is in trouble and says that their keys are safe.
func TestVerdict(t *testing.T) {
	tenant := func(fingerprint string, gate TenantGate, segments ...Segment) Tenant {
		return NewTenant(fingerprint, gate, segments, now)
	}
	well := tenant("aa", TenantGate{}, segmentIn(Gathering, 1200, 0), segmentIn(Idle, 0, 0))
	refused := tenant("bb", TenantGate{Refused: true}, segmentIn(TokenRefused, 8120, 0))
	parked := tenant("cc", TenantGate{}, segmentIn(Parked, 1, 0), segmentIn(Calling, 1, 0))
	named := refused
	named.Name = "acme-prod"
	for want, tenants := range map[string][]Tenant{
		"Healthy. 0 tenants, 0 segments, 0 keys are pending.":                                                                 nil,
		"Healthy. 1 tenant, 2 segments, 1,200 keys are pending.":                                                              {well},
		"Tenant bb: its token is refused, 8,120 keys are kept.":                                                               {well, refused},
		"Tenant acme-prod (bb): its token is refused, 8,120 keys are kept.":                                                   {well, named},
		"2 tenants: their tokens are refused, 16,240 keys are kept. Tenant cc: Split refuses a segment of it, 1 key is kept.": {parked, refused, well, refused},
		"Tenant dd: it is paused, or a segment of it, 0 keys are kept.":                                                       {tenant("dd", TenantGate{Paused: true}), well},
		"Tenant ee: calls for it fail and are repeated, 1 key is kept. 3 keys are parked.":                                    {tenant("ee", TenantGate{}, segmentIn(Repeating, 1, 3))},
	} {
		if got := Verdict(tenants, Freshness{}); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// TestEveryStateHasARank of its own.
func TestEveryStateHasARank(t *testing.T) {
	for rank, state := range States() {
		if state.Rank() != rank {
			t.Errorf("%s: %d, want %d", state, state.Rank(), rank)
		}
	}
	if State("other").Rank() != len(States()) {
		t.Error("an unknown state has a place")
	}
}
