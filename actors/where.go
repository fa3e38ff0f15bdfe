package actors

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"

	"audiences/audience"
	"audiences/journal"
	"audiences/status"
)

// This is what an operator asks of one segment, and of one key.

func sortBudgets(all []status.Budget) {
	sort.Slice(all, func(i, j int) bool { return all[i].Tenant < all[j].Tenant })
}

// oldestOf is how many pending keys Segment looks at to find the oldest one.
const oldestOf = 1000

// Segment is one segment with its last calls. It activates the segment, but makes none:
// one that neither the journal nor an actor knows is status.ErrUnknown.
func (r *Relay) Segment(ctx context.Context, segment audience.Segment) (d status.Detail, err error) {
	defer r.caught(&err)
	if err := r.exists(ctx, segment); err != nil {
		return d, err
	}
	inner, err := r.Inspect(ctx, segment)
	if err != nil {
		return d, err
	}
	asked, err := r.list(ctx, segment)
	if err != nil {
		return d, err
	}
	d = status.Detail{
		Tenant: segment.Tenant.String(), Segment: asked.describeOne(inner.SegmentView, time.Now()),
		Adds: inner.Adds, Deletes: inner.Deletes, Stored: inner.Stored,
		Due: inner.Due, RepeatAt: inner.RepeatAt, ProbeAt: inner.ProbeAt, LastReason: string(inner.LastReason),
		Planned: inner.Planned,
	}
	if d.Oldest, err = r.oldest(ctx, segment); err != nil {
		return d, err
	}
	d.Calls, err = r.lastCalls(ctx, segment)
	return d, err
}

// exists is status.ErrUnknown for a segment that neither the journal nor an actor knows.
func (r *Relay) exists(ctx context.Context, segment audience.Segment) error {
	views, err := r.views(ctx, segment)
	if err == nil {
		_, err = r.lookAtOne(ctx, segment, views)
	}
	return err
}

// describeOne is a segment of the tenant that was asked, with its sentence.
func (l *listing) describeOne(view SegmentView, now time.Time) status.Segment {
	gate := status.TenantGate{}
	for _, t := range l.all() {
		gate = t.gate
	}
	return describe(view.Segment.Tenant, gate, l.address, []SegmentView{view}, now).Segments[0].WithSentence(now)
}

// why is what a segment says of itself; "": it is not shown.
func (r *Relay) why(ctx context.Context, segment audience.Segment) (string, error) {
	asked, err := r.list(ctx, segment)
	if err != nil {
		return "", err
	}
	for _, t := range asked.all() {
		for _, view := range t.views {
			return asked.describeOne(view, time.Now()).Sentence, nil
		}
	}
	return "", nil
}

// oldest is when the oldest of the segment's first pending keys was accepted, as far as
// the journal knows; zero: it does not, or none is pending.
func (r *Relay) oldest(ctx context.Context, segment audience.Segment) (oldest time.Time, err error) {
	page, err := reply(ctx, func(done func(journal.Page)) {
		r.Journal.Load(journal.Load{Segment: segment, Limit: oldestOf, Done: done})
	})
	if err = errors.Join(err, page.Err); err != nil {
		return oldest, fmt.Errorf("read pending keys: %w", err)
	}
	for _, e := range page.Entries {
		if at, ok := r.Journal.Since(e.Version); ok && (oldest.IsZero() || at.Before(oldest)) {
			oldest = at
		}
	}
	return oldest, nil
}

// Parked lists a segment's parked keys with their reasons: at most limit, after the
// cursor that an earlier page ended with, or from the start with "". A segment that neither
// the journal nor an actor knows is status.ErrUnknown.
func (r *Relay) Parked(ctx context.Context, segment audience.Segment, after string, limit int) (listed status.ParkedPage, err error) {
	defer r.caught(&err)
	var cursor journal.Cursor
	if after != "" {
		if cursor, err = journal.ParseCursor(after); err != nil {
			return listed, fmt.Errorf("%w: %w", status.ErrImpossible, err)
		}
	}
	page, err := r.parked(ctx, segment, cursor, limit)
	if err == nil && len(page.Entries) == 0 {
		err = r.exists(ctx, segment)
	}
	if err != nil {
		return listed, err
	}
	for _, e := range page.Entries {
		listed.Keys = append(listed.Keys, status.ParkedKey{Key: e.Key, Verb: e.Verb.String(), At: e.Refusal.At,
			Reason: e.Refusal.Reason, Message: e.Refusal.Message, Status: e.Refusal.Status, Transaction: e.Refusal.Transaction})
	}
	if page.More {
		listed.Next = page.Next.Text()
	}
	return listed, nil
}

// Where looks for a key: in one segment, with a Tenant alone in all of its segments, with
// the zero Segment in all. A segment without a workspace or a traffic type stands for all
// that have its other names; one that nobody knows is status.ErrUnknown. What is pending or
// parked comes first, then the deliveries. after is what an earlier page ended with. One
// page is a bounded work, and may be empty and have more behind it.
func (r *Relay) Where(ctx context.Context, in audience.Segment, key audience.Key, after string) (w status.Whereabouts, err error) {
	defer r.caught(&err)
	find := journal.Find{Tenant: in.Tenant, Key: key, After: journal.FindCursor(after)}
	switch {
	case in.Name != "" && (in.Workspace == "" || in.TrafficType == ""):
		find.Like = in
	case in.Name != "":
		find.Segment = in
	}
	found, err := reply(ctx, func(done func(journal.Found)) {
		find.Done = done
		r.Journal.Find(find)
	})
	switch err = errors.Join(err, found.Err); {
	case errors.Is(err, journal.ErrBadCursor):
		return w, fmt.Errorf("%w: %w", status.ErrImpossible, err)
	case err == nil && in.Name != "" && !found.More && !found.Known:
		err = r.known(ctx, in)
	}
	if err != nil {
		return w, fmt.Errorf("look for a key: %w", err)
	}
	now := time.Now()
	places := []audience.Segment{in}
	for _, seen := range found.Sightings {
		if !slices.Contains(places, seen.Segment) {
			places = append(places, seen.Segment)
		}
		sighting := sightingOf(seen)
		if seen.State == journal.Pending {
			var flight keyInFlight
			err := r.ask(ctx, func(a answer) any {
				return &seek{answer: a, segment: seen.Segment, key: key, found: &flight}
			})
			if err != nil && !errors.Is(err, ErrElsewhere) { // its owner would tell
				return w, fmt.Errorf("look for a key: %w", err)
			}
			if flight.call != 0 {
				sighting.State, sighting.Call = status.KeyInFlight, flight.call
			}
			if sighting.Why, err = r.why(ctx, seen.Segment); err != nil {
				return w, fmt.Errorf("look for a key: %w", err)
			}
		}
		sighting.Sentence = status.SightingSentence(sighting, now)
		w.Sightings = append(w.Sightings, sighting)
	}
	if after == "" {
		if err := r.addSuperseded(ctx, &w, places, key, now); err != nil {
			return w, err
		}
	}
	w.Back = found.Since
	if found.More {
		w.Next = string(found.Next)
	}
	w.Sentence = status.WhereSentence(w, after == "", now)
	return w, nil
}

// known is status.ErrUnknown for a segment that has no actor, of which the journal has said
// that it has nothing either.
func (r *Relay) known(ctx context.Context, in audience.Segment) error {
	views, err := r.views(ctx, in)
	if err == nil && len(views) == 0 {
		err = fmt.Errorf("the segment is %w: there is no key of it, no state and no receipt", status.ErrUnknown)
	}
	return err
}

// addSuperseded adds the last change of the key in each of the places that was never sent.
func (r *Relay) addSuperseded(ctx context.Context, w *status.Whereabouts, places []audience.Segment, key audience.Key, now time.Time) error {
	for _, in := range places {
		var found replacement
		err := r.askOf(ctx, r.history, func(a answer) any {
			return &replacementOf{answer: a, place: keyPlace{segment: in, key: key}, found: &found}
		})
		if err != nil {
			return fmt.Errorf("look for a key: %w", err)
		}
		if found.at.IsZero() {
			continue
		}
		sighting := sightingOf(journal.Sighting{Segment: in, Verb: found.verb, At: found.at})
		sighting.State = status.KeySuperseded
		sighting.Sentence = status.SightingSentence(sighting, now)
		w.Sightings = append(w.Sightings, sighting)
	}
	return nil
}

var keyStates = map[journal.KeyState]status.KeyState{
	journal.Pending: status.KeyPending, journal.Parked: status.KeyParked, journal.Delivered: status.KeyDelivered,
}

func sightingOf(s journal.Sighting) status.Sighting {
	return status.Sighting{
		Tenant: s.Segment.Tenant.String(), Workspace: s.Segment.Workspace, Environment: s.Segment.Environment, TrafficType: s.Segment.TrafficType, Segment: s.Segment.Name,
		State: keyStates[s.State], Verb: s.Verb.String(), At: s.At, Call: s.Call,
		Reason: s.Refusal.Reason, Message: s.Refusal.Message, Status: s.Refusal.Status, Transaction: s.Refusal.Transaction,
	}
}

// keyInFlight is the call that a key is in, or that is to be repeated with it; 0: none.
type keyInFlight struct{ call uint64 }

// sought answers whether a key is in flight.
func (s *segment) sought(m *seek) {
	if flight := s.batch.Flight(); flight != nil && flight.Keys.Has(m.key) {
		m.found.call = flight.Call
	}
	m.give(nil)
}
