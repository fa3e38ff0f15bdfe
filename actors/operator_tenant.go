package actors

import (
	"slices"
	"time"

	"audiences/audience"
	"audiences/journal"
	"audiences/status"

	"github.com/asynkron/protoactor-go/actor"
)

// This is what a tenant does for an operator.

// operate pauses or resumes the whole tenant, or passes on what concerns a segment.
func (t *tenant) operate(ctx actor.Context, m *operate) {
	if m.segment != (audience.Segment{}) {
		t.segments.tell(ctx, t.segment(ctx, m.segment), m)
		return
	}
	switch m.remedy {
	case status.Pause:
		t.calls.Pause(m.pause.PausedUntil, m.pause.PausedSince, m.pause.PausedBy)
		*m.recalls = t.recall(ctx)
		t.keepState(m, m.pause)
	case status.Resume:
		t.calls.Resume()
		t.keepState(m, journal.TenantState{})
	}
	t.ask(ctx)
}

// recall asks all segments for their permits that are not used yet, so that no call begins
// in a pause.
func (t *tenant) recall(ctx actor.Context) recalls {
	names := t.calls.Permitted()
	done := make(chan error, len(names))
	for _, name := range names {
		t.segments.tell(ctx, t.segment(ctx, name), &recall{answer: answer{done}})
	}
	return recalls{segments: len(names), done: done}
}

// keepState keeps the state that an operator wants; the journal answers.
func (t *tenant) keepState(m *operate, state journal.TenantState) {
	t.Journal.SetTenantState(t.id, state, through(m.to))
	m.handed()
}

// surrender has segments give up their keys: all of them, or some. One without an actor
// has none to give up, and one that is started until the regain waits like the others.
func (t *tenant) surrender(ctx actor.Context, m *surrender) {
	told := t.surrendering(ctx, m.only)
	t.moves++
	calling := slices.DeleteFunc(t.calls.Permitted(), func(s audience.Segment) bool { return m.only != nil && !slices.Contains(m.only, s) })
	done := make(chan error, len(told)+len(calling))
	for _, c := range told {
		t.segments.tell(ctx, c, &surrenderSegment{answer: answer{done}})
	}
	// A segment that crashed knows nothing of its call, which goes on (I4).
	for _, s := range calling {
		if t.outcomes == nil {
			t.outcomes = map[audience.Segment][]chan<- error{}
		}
		t.outcomes[s] = append(t.outcomes[s], done)
	}
	*m.told = surrendering{answers: len(told) + len(calling), done: done}
	m.give(nil)
}

func (t *tenant) surrendering(ctx actor.Context, only []audience.Segment) (told []*child) {
	if only == nil {
		t.wakeAll(ctx)
		for name := range t.resting {
			t.begin(ctx, name, true)
		}
		for _, c := range t.segments.children.All() {
			told = append(told, c)
		}
		return told
	}
	for _, segment := range only {
		name := localNameOf(segment)
		c := t.segments.find(name)
		if c == nil && slices.ContainsFunc(t.dormant, func(d dormantSegment) bool { return d.name == name }) {
			c = t.begin(ctx, name, true)
		}
		if c != nil {
			told = append(told, c)
		}
	}
	return told
}

// tellOutcome tells who waits that a segment's call has ended.
func (t *tenant) tellOutcome(segment audience.Segment, err error) {
	for _, done := range t.outcomes[segment] {
		done <- err
	}
	delete(t.outcomes, segment)
}

// regain has the segments look at what the move left them.
func (t *tenant) regain(ctx actor.Context, m *regain) {
	if t.moves = max(0, t.moves-1); t.moves == 0 {
		for _, c := range t.segments.children.All() {
			c.described = false // the move took its name away, if it came about
			t.segments.tell(ctx, c, &regain{})
		}
	}
	m.give(nil)
}

// list is what the segments show of themselves: all of them, or the one that is named.
func (t *tenant) list(of audience.Segment) []SegmentView {
	only, all := localNameOf(of), of.Name == ""
	if c := t.segments.find(only); !all && c != nil {
		return []SegmentView{c.survivor.view(of)}
	}
	views := t.resting.views(of, t.id, time.Now())
	for _, d := range t.dormant {
		if all || d.name == only {
			views = append(views, d.view(t.id))
		}
	}
	if all {
		views = slices.Grow(views, t.segments.len())
		for name, c := range t.segments.children.All() {
			views = append(views, c.survivor.view(name.of(t.id)))
		}
	}
	return views
}
