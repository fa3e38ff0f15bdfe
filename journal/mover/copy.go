package mover

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"

	"audiences/audience"
	"audiences/journal"
)

// copy makes the target equal to the source.
func (m *Move) copy(ctx context.Context) error {
	m.begin("Copying")
	if err := m.copyTenants(); err != nil {
		return err
	}
	there := map[audience.Segment]journal.Listed{}
	for listed, err := range m.to.Segments(audience.AllSlots()) {
		if err != nil {
			return fmt.Errorf("list segments in %s: %w", m.to.Place, err)
		}
		if holds(listed) {
			there[listed.Segment] = listed
		}
	}
	var all []segmentPair
	for listed, err := range m.from.Segments(audience.AllSlots()) {
		if err != nil {
			return fmt.Errorf("list segments in %s: %w", m.from.Place, err)
		}
		if holds(listed) {
			at, known := there[listed.Segment]
			all = append(all, segmentPair{listed.Segment, listed, at, known})
			delete(there, listed.Segment)
		}
	}
	for segment, listed := range there { // the source has nothing of them any more
		all = append(all, segmentPair{segment, journal.Listed{}, listed, true})
	}
	if err := each(ctx, slices.Values(all), m.copySegment); err != nil {
		return err
	}
	if err := m.copyEvents(ctx); err != nil {
		return err
	}
	if err := m.to.Flush(); err != nil {
		return fmt.Errorf("write to %s: %w", m.to.Place, err)
	}
	return nil
}

// segmentPair is one segment on both sides.
type segmentPair struct {
	segment  audience.Segment
	from, to journal.Listed
	known    bool // the target has something of it
}

// workers is how many segments are in hand at once.
const workers = 4

// each calls f for the items, for some at once, until one of them fails.
func each[T any](ctx context.Context, items iter.Seq[T], f func(context.Context, T) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	queue := make(chan T)
	var working sync.WaitGroup
	for range workers {
		working.Go(func() {
			for item := range queue {
				if ctx.Err() != nil {
					continue
				}
				if err := f(ctx, item); err != nil {
					cancel(err)
				}
			}
		})
	}
	for item := range items {
		if ctx.Err() != nil {
			break
		}
		queue <- item
	}
	close(queue)
	working.Wait()
	return context.Cause(ctx)
}

// copySegment leaves alone what is equal. Anything else at the target is of an earlier
// attempt, or was moved to the source before: it goes.
func (m *Move) copySegment(ctx context.Context, p segmentPair) error {
	if err := errors.Join(m.from.Held(), m.to.Held()); err != nil {
		return err
	}
	if err := m.copyKeys(ctx, p); err != nil {
		return err
	}
	if p.from.State == p.to.State {
		return nil
	}
	err := failed(ctx, func(done func(error)) { m.to.SetSegmentState(p.segment, stateAsKept(p.from.State), done) })
	if err != nil {
		return fmt.Errorf("write the state of a segment to %s: %w", m.to.Place, err)
	}
	return nil
}

func (m *Move) copyKeys(ctx context.Context, p segmentPair) error {
	if p.known {
		r := SegmentReport{Segment: p.segment}
		if err := m.compare(ctx, &r); err != nil || r.From == r.To {
			return err
		}
		m.keys.Add(-int64(r.From.Pending + r.From.Parked)) // they are copied yet
		if err := m.clear(ctx, p.segment); err != nil {
			return err
		}
	}
	if err := m.copyPending(ctx, p.segment); err != nil {
		return err
	}
	return m.copyParked(ctx, p.segment)
}

func (m *Move) copyPending(ctx context.Context, segment audience.Segment) error {
	return m.from.pending(ctx, segment, func(page journal.Page) error {
		var packers [2]audience.Packer // adds, deletes
		for _, e := range page.Entries {
			packers[verbIndex(e.Verb)].Put(e.Key)
		}
		if _, err := m.to.append(ctx, segment.Tenant, changes(segment, &packers)...); err != nil {
			return err
		}
		m.keys.Add(int64(len(page.Entries)))
		return nil
	})
}

func verbIndex(v audience.Verb) int {
	if v == audience.Delete {
		return 1
	}
	return 0
}

func changes(segment audience.Segment, packers *[2]audience.Packer) []journal.Change {
	return []journal.Change{
		{Segment: segment, Verb: audience.Add, Keys: packers[0].Keys(), Describe: true},
		{Segment: segment, Verb: audience.Delete, Keys: packers[1].Keys()},
	}
}

// refused is what many parked keys have in common.
type refused struct {
	verb    audience.Verb
	refusal journal.Refusal
}

// copyParked has the keys pending first: not every journal parks a key that is not.
func (m *Move) copyParked(ctx context.Context, segment audience.Segment) error {
	return m.from.parked(ctx, segment, func(entries []journal.ParkedEntry) error {
		if len(entries) == 0 {
			return nil
		}
		var packers [2]audience.Packer
		groups := map[refused][]audience.Key{}
		for _, e := range entries {
			packers[verbIndex(e.Verb)].Put(e.Key)
			group := refused{e.Verb, e.Refusal}
			groups[group] = append(groups[group], e.Key)
		}
		version, err := m.to.append(ctx, segment.Tenant, changes(segment, &packers)...)
		if err != nil {
			return err
		}
		if err := m.park(ctx, segment, version, groups); err != nil {
			return fmt.Errorf("write parked keys to %s: %w", m.to.Place, err)
		}
		m.keys.Add(int64(len(entries)))
		return nil
	})
}

func (m *Move) park(ctx context.Context, segment audience.Segment, version journal.Version, groups map[refused][]audience.Key) error {
	done := make(chan error, len(groups))
	for group, keys := range groups {
		m.to.Park(journal.Park{Segment: segment, Verb: group.verb, Refusal: group.refusal,
			Selection: journal.Selection{Keys: slices.Values(keys), NotAfter: version},
			Done:      func(_ []audience.Key, err error) { done <- err }})
	}
	for range groups {
		select {
		case err := <-done:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// clear takes all keys of a segment out of the target.
func (m *Move) clear(ctx context.Context, segment audience.Segment) error {
	err := failed(ctx, func(done func(error)) {
		m.to.Unpark(journal.Unpark{Segment: segment, Discard: true, Done: func(_ int, err error) { done(err) }})
	})
	if err != nil {
		return fmt.Errorf("clear a segment in %s: %w", m.to.Place, err)
	}
	return m.to.pending(ctx, segment, func(page journal.Page) error {
		drawn := func(yield func(audience.Key, journal.Version) bool) {
			for _, e := range page.Entries {
				if !yield(e.Key, e.Version) {
					return
				}
			}
		}
		err := failed(ctx, func(done func(error)) {
			m.to.Settle(journal.Settle{Segment: segment, Selection: journal.Selection{Drawn: drawn}, Done: func(_ []audience.Key, err error) { done(err) }})
		})
		if err != nil {
			return fmt.Errorf("clear a segment in %s: %w", m.to.Place, err)
		}
		return nil
	})
}

// tenantsAtOnce is how many tokens are written with one change.
const tenantsAtOnce = 1_000

// copyTenants copies tokens, the states of tenants, and which are proven.
func (m *Move) copyTenants() error {
	from, err := m.from.tenants()
	if err != nil {
		return err
	}
	to, err := m.to.tenants()
	if err != nil {
		return err
	}
	var writing sync.WaitGroup
	var failures failures
	n := 0
	for id, known := range from {
		if _, there := to[id]; !there {
			m.to.PutTenant(known.Tenant)
		}
		if n++; n%tenantsAtOnce == 0 {
			failures.add(m.to.Flush())
		}
		if known.State != to[id].State {
			writing.Add(1)
			m.to.SetTenantState(id, known.State, func(err error) {
				failures.add(err)
				writing.Done()
			})
		}
		delete(to, id)
	}
	for id, known := range to {
		if known.State != (journal.TenantState{}) {
			writing.Add(1)
			m.to.SetTenantState(id, journal.TenantState{}, func(err error) {
				failures.add(err)
				writing.Done()
			})
		}
	}
	writing.Wait()
	for id, err := range m.from.Proven(audience.AllSlots()) {
		if err != nil {
			return fmt.Errorf("list proven tenants in %s: %w", m.from.Place, err)
		}
		m.to.Prove(id)
	}
	failures.add(m.to.Flush())
	if err := failures.first(); err != nil {
		return fmt.Errorf("write tenants to %s: %w", m.to.Place, err)
	}
	return nil
}

// failures keeps the first of the errors of several goroutines.
type failures struct {
	mu  sync.Mutex
	err error
}

func (f *failures) add(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
	}
}

func (f *failures) first() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// tenants lists the tenants with their states as they are compared.
func (s Side) tenants() (map[audience.TenantID]journal.KnownTenant, error) {
	all := map[audience.TenantID]journal.KnownTenant{}
	for known, err := range s.Tenants(audience.AllSlots()) {
		if err != nil {
			return nil, fmt.Errorf("list tenants in %s: %w", s.Place, err)
		}
		known.State.PausedUntil, known.State.PausedSince = known.State.PausedUntil.UTC(), known.State.PausedSince.UTC()
		all[known.Tenant.ID] = known
	}
	return all, nil
}

// copyEvents copies those that are not there. Their numbers stay, unless the target has
// another event with the same one.
func (m *Move) copyEvents(ctx context.Context) error {
	there, numbers, last := map[string]bool{}, map[uint64]bool{}, uint64(0)
	note := func(e journal.Event) {
		there[string(e.Text)], numbers[e.Number], last = true, true, max(last, e.Number)
	}
	for e, err := range m.to.Events() {
		if err != nil {
			return fmt.Errorf("list events in %s: %w", m.to.Place, err)
		}
		note(e)
	}
	var copied []chan error
	for e, err := range m.from.Events() {
		if err != nil {
			return fmt.Errorf("list events in %s: %w", m.from.Place, err)
		}
		if there[string(e.Text)] {
			continue
		}
		if numbers[e.Number] {
			e.Number = last + 1
		}
		note(e)
		done := make(chan error, 1)
		m.to.NoteEvent(e, func(err error) { done <- err })
		copied = append(copied, done)
	}
	for _, done := range copied {
		select {
		case err := <-done:
			if err != nil {
				return fmt.Errorf("write events to %s: %w", m.to.Place, err)
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// plain is a refusal as both sides keep it: times in UTC, and no NUL, which PostgreSQL takes
// in no text.
func plain(r journal.Refusal) journal.Refusal {
	r.At = r.At.UTC()
	for _, text := range []*string{&r.Reason, &r.Message, &r.Transaction, &r.Shown} {
		*text = strings.ReplaceAll(*text, "\x00", "\uFFFD")
	}
	return r
}

// stateAsKept is the same of a segment's state.
func stateAsKept(s journal.SegmentState) journal.SegmentState {
	s.PausedUntil, s.PausedSince = s.PausedUntil.UTC(), s.PausedSince.UTC()
	if s.Parked != nil {
		refusal := plain(*s.Parked)
		s.Parked = &refusal
	}
	return s
}

// sorted is the segments in the order in which they are shown.
func sorted(segments map[audience.Segment]bool) []audience.Segment {
	return slices.SortedFunc(maps.Keys(segments), func(a, b audience.Segment) int {
		if c := slices.Compare(a.Tenant[:], b.Tenant[:]); c != 0 {
			return c
		}
		return slices.Compare([]string{a.Environment, a.Name, a.Workspace, a.TrafficType}, []string{b.Environment, b.Name, b.Workspace, b.TrafficType})
	})
}
