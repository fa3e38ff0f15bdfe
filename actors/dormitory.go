package actors

import (
	"slices"
	"time"

	"audiences/actors/batch"
	"audiences/audience"
	"audiences/splitclient"
)

// dormant is what the registry keeps of a tenant that has keys to deliver and no
// actor. It is everything that the tenant's actors knew and the journal does not,
// so that they can be made again when the tenant's turn comes. While it is in the
// dormitory it does not change, so that others may read it.
type dormant struct {
	hidden[dormant]
	tenant   audience.Tenant
	segments []dormantSegment
	due      time.Time // when one of them wants to call; zero: none will by itself

	standing standing
	refused  int       // 401s in a row
	blocked  time.Time // no call before
	failing  bool      // as far as the log knows

	place int
	in    *pile[dormant] // nil: none, it has no due time
}

func (d *dormant) has(name localName) bool {
	return d != nil && slices.ContainsFunc(d.segments, func(s dormantSegment) bool { return s.name == name })
}

// dormantSegment is what is kept of a segment with keys and no actor. The keys are
// in the journal, but for those whose call has no outcome yet: that very call is
// repeated before anything newer for its keys (I4).
type dormantSegment struct {
	hidden[dormantSegment]
	name         localName
	due          time.Time // when it wants to call; zero: not by itself
	probeAt      time.Time // when it is tried again, if it is parked; zero: it is not, or one interval after the start
	missingSince time.Time // the first of the 404s in a row
	lastVerb     audience.Verb
	repeat       *batch.Remains // nil: nothing
	stored       int            // keys in the journal but for those of repeat
	more         bool           // there may be more of them
	last         splitclient.Reason
}

func (d *dormantSegment) view(tenant audience.TenantID) SegmentView {
	adds, deletes := d.repeat.Counts()
	return SegmentView{Segment: d.name.of(tenant), Adds: adds, Deletes: deletes, Stored: d.stored, Uncounted: d.more}
}

// dormitory is the dormant tenants, in the order in which they are to be called. It
// is pure. The new go before the failing, and who was due first before who was due
// later. To be called costs the same whatever their number.
type dormitory struct {
	tenants map[audience.TenantID]*dormant
	most    int // since the map was made
	later   pile[dormant]
	ready   [classes]pile[dormant] // that are due
	row     int                    // calls since the failing had one
}

func newDormitory() *dormitory {
	sorted := pile[dormant]{
		before: func(a, b *dormant) bool { return a.due.Before(b.due) },
		place:  func(d *dormant) *int { return &d.place },
	}
	d := &dormitory{tenants: make(map[audience.TenantID]*dormant), later: sorted}
	for c := range d.ready {
		d.ready[c] = sorted
	}
	return d
}

func (d *dormitory) len() int { return len(d.tenants) }

// add takes a tenant in.
func (d *dormitory) add(t *dormant) {
	d.tenants[t.tenant.ID] = t
	d.most = max(d.most, len(d.tenants))
	if !t.due.IsZero() {
		d.put(t, &d.later)
	}
}

// remove takes a tenant out; nil: it is not here.
func (d *dormitory) remove(id audience.TenantID) *dormant {
	t := d.tenants[id]
	if t == nil {
		return nil
	}
	d.take(t)
	delete(d.tenants, id)
	d.tenants = fitted(d.tenants, &d.most)
	return t
}

// call takes the tenant out whose turn it is; nil: none is due. Like turns, it does
// not forget the failing for newcomers.
func (d *dormitory) call(now time.Time) *dormant {
	for t := d.later.first(); t != nil && !t.due.After(now); t = d.later.first() {
		d.take(t)
		d.put(t, &d.ready[t.standing.class()])
	}
	failing := d.ready[classFailing].first()
	for c := range classFailing {
		if t := d.ready[c].first(); t != nil && (failing == nil || d.row < upperTurns) {
			d.row++
			return d.remove(t.tenant.ID)
		}
	}
	if failing == nil {
		return nil
	}
	d.row = 0
	return d.remove(failing.tenant.ID)
}

// nextDue is when the first of those becomes due that are not; zero: none will.
func (d *dormitory) nextDue() time.Time {
	if t := d.later.first(); t != nil {
		return t.due
	}
	return time.Time{}
}

func (d *dormitory) put(t *dormant, into *pile[dormant]) {
	t.in = into
	into.add(t)
}

func (d *dormitory) take(t *dormant) {
	if t.in != nil {
		t.in.remove(t)
		t.in = nil
	}
}
