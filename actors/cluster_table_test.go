package actors

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"audiences/audience"
	"audiences/journal"
	"audiences/placement"
)

// without switches fences off, to see what each is for.
type without struct {
	deadline bool // F1
	versions bool // F2
	lease    bool // F3
}

// table stands for the database that the nodes of a cluster share: what journal/postgres
// keeps in it, and what each statement does there. mu is held while one is carried out, and
// by all of the methods' callers.
type table struct {
	mu       sync.Mutex
	without  without
	ahead    time.Duration // of the nodes' clocks
	setAhead time.Duration // of the clock by which leases are counted, in steps that nobody foresees
	lives    placement.NodeID
	nodes    map[placement.NodeID]*tableNode
	slots    [audience.SlotCount]placement.NodeID
	tenants  map[audience.TenantID]*tableTenant
	proven   map[audience.TenantID]struct{}
	segments map[audience.Segment]*tableSegment
	hints    map[audience.Segment]struct{}
	events   []journal.Event
	note     func(format string, args ...any)
}

type tableNode struct {
	placement.Member
	dead  bool
	beat  int64     // the number of its newest one
	until time.Time // when its lease is over, had nobody set the clock ahead
}

type tableTenant struct {
	tenant audience.Tenant
	named  bool // it has a token
	state  journal.TenantState
}

type tableSegment struct {
	state   journal.SegmentState
	pending map[audience.Key]journal.Entry
	parked  map[audience.Key]journal.ParkedEntry
}

func newTable(off without, note func(string, ...any)) *table {
	return &table{without: off, note: note, ahead: 17 * time.Minute, nodes: map[placement.NodeID]*tableNode{}, tenants: map[audience.TenantID]*tableTenant{},
		proven: map[audience.TenantID]struct{}{}, segments: map[audience.Segment]*tableSegment{}, hints: map[audience.Segment]struct{}{}}
}

func (t *table) now() time.Time { return time.Now().Add(t.ahead) }

// leaseTime is the clock by which leases are counted.
func (t *table) leaseTime() time.Time { return t.now().Add(t.setAhead) }

func (t *table) segment(name audience.Segment) *tableSegment {
	s := t.segments[name]
	if s == nil {
		s = &tableSegment{pending: map[audience.Key]journal.Entry{}, parked: map[audience.Key]journal.ParkedEntry{}}
		t.segments[name] = s
	}
	return s
}

func (t *table) tenant(id audience.TenantID) *tableTenant {
	if t.tenants[id] == nil {
		t.tenants[id] = &tableTenant{tenant: audience.Tenant{ID: id}}
	}
	return t.tenants[id]
}

// enter gives a life of a node its number.
func (t *table) enter(lease time.Duration) placement.NodeID {
	t.lives++
	t.nodes[t.lives] = &tableNode{Member: placement.Member{ID: t.lives, Expires: t.leaseTime().Add(lease)}, until: t.now().Add(lease)}
	return t.lives
}

func (t *table) alive(id placement.NodeID) bool { return t.nodes[id] != nil && !t.nodes[id].dead }

func (t *table) beat(self placement.NodeID, number int64, b placement.Beat) (view placement.View) {
	view.Now = t.leaseTime()
	if view.Dead = !t.alive(self) || number <= t.nodes[self].beat; view.Dead {
		return view
	}
	me := t.nodes[self]
	buries := me.Expires.After(view.Now) && !view.Now.After(b.Bury.Foreseen)
	for id, n := range t.nodes {
		if buries && id != self && !n.dead && n.Expires.Add(b.Bury.Late).Before(view.Now) {
			n.dead = true
			t.note("%d is buried by %d", id, self)
		}
	}
	me.beat, me.until = number, t.now().Add(b.Lease)
	me.Expires, me.Leaving, me.Demand, me.Blocked = view.Now.Add(b.Lease), b.Leaving, b.Demand, b.Blocked
	for slot := range b.Release.All() {
		if t.slots[slot] == self {
			t.slots[slot] = 0
		}
	}
	for slot := range b.Claim.All() {
		if !t.alive(t.slots[slot]) {
			t.slots[slot] = self
		}
	}
	for _, id := range slices.Sorted(maps.Keys(t.nodes)) {
		if n := t.nodes[id]; !n.dead {
			view.Members = append(view.Members, n.Member)
		}
	}
	view.Owners = t.slots
	return view
}

func (t *table) leave(self placement.NodeID) {
	for slot, owner := range t.slots {
		if owner == self {
			t.slots[slot] = 0
		}
	}
	delete(t.nodes, self)
}

// row is the place of one key.
type row struct {
	segment audience.Segment
	key     audience.Key
}

// append writes a group; false: it is fenced off (F1).
func (t *table) append(self placement.NodeID, deadline time.Time, tenants map[audience.TenantID]audience.Tenant, version journal.Version, segments map[audience.Segment]struct{}, rows map[row]audience.Verb) bool {
	if !t.alive(self) || !t.now().Before(deadline) {
		t.note("%d: group %d is fenced off", self, version.Counter())
		return false
	}
	for id, tenant := range tenants {
		known := t.tenant(id)
		known.tenant, known.named = tenant, true
	}
	for name := range segments {
		t.segment(name)
	}
	for at, verb := range rows {
		s := t.segment(at.segment)
		s.pending[at.key] = journal.Entry{Key: at.key, Verb: verb, Version: version}
		delete(s.parked, at.key)
		t.note("%d: %s %s %s is pending, %d", self, at.segment.Name, verb, at.key.Text(), version.Counter())
	}
	return true
}

// chosen is a journal.Selection: the versions that are meant of each key.
type chosen map[audience.Key][2]journal.Version

func choose(s journal.Selection) chosen {
	c := chosen{}
	if s.Keys != nil {
		for key := range s.Keys {
			c[key] = [2]journal.Version{journal.MakeVersion(s.NotAfter.Node(), 0), s.NotAfter}
		}
	}
	if s.Drawn != nil {
		for key, version := range s.Drawn {
			c[key] = [2]journal.Version{version, version}
		}
	}
	return c
}

// remove takes the chosen keys away that are pending with a version that is meant (F2).
func (t *table) remove(self placement.NodeID, name audience.Segment, which chosen) (removed, newer []audience.Key) {
	s := t.segment(name)
	for key, meant := range which {
		at, pending := s.pending[key]
		switch {
		case !pending:
		case t.without.versions, meant[0] <= at.Version && at.Version <= meant[1]:
			delete(s.pending, key)
			removed = append(removed, key)
			t.note("%d: %s %s %s is not pending any more, %d of %d", self, name.Name, at.Verb, key.Text(), at.Version.Counter(), at.Version.Node())
		default:
			newer = append(newer, key)
		}
	}
	return removed, newer
}

func (t *table) park(self placement.NodeID, p journal.Park, which chosen) (newer []audience.Key) {
	removed, newer := t.remove(self, p.Segment, which)
	for _, key := range removed {
		t.segment(p.Segment).parked[key] = journal.ParkedEntry{Key: key, Verb: p.Verb, Refusal: p.Refusal}
	}
	return newer
}

func (t *table) unpark(self placement.NodeID, u journal.Unpark, listed map[audience.Key]struct{}, version journal.Version) (n int) {
	s := t.segment(u.Segment)
	for key, parked := range s.parked {
		if _, meant := listed[key]; !meant && listed != nil {
			continue
		}
		if _, pending := s.pending[key]; !u.Discard && !pending {
			s.pending[key] = journal.Entry{Key: key, Verb: parked.Verb, Version: version}
			t.note("%d: %s %s %s is taken back, %d", self, u.Segment.Name, parked.Verb, key.Text(), version.Counter())
		}
		delete(s.parked, key)
		n++
	}
	return n
}

// load is a page, but for its Newest.
func (t *table) load(segment audience.Segment, after journal.Cursor, limit int) journal.Page {
	page := journal.Page{Next: after, More: true}
	s := t.segments[segment]
	if s != nil {
		page.State, page.Parked = s.state, len(s.parked) > 0
	}
	if limit == 0 {
		return page
	}
	page.More = false
	for _, e := range t.sorted(segment) {
		if at := journal.CursorAt(e.Key); !after.Before(at) {
			continue
		}
		if page.More = len(page.Entries) == limit; page.More {
			break
		}
		page.Entries = append(page.Entries, e)
		page.Next = journal.CursorAt(e.Key)
	}
	return page
}

// sorted is what is pending, in the journal's order.
func (t *table) sorted(segment audience.Segment) (all []journal.Entry) {
	if s := t.segments[segment]; s != nil {
		all = slices.SortedFunc(maps.Values(s.pending), func(a, b journal.Entry) int {
			return bytes.Compare(journal.AppendKey(nil, a.Key), journal.AppendKey(nil, b.Key))
		})
	}
	return all
}

// names are the segments of slots, or of one of their tenants, in an order that does not
// depend on the run.
func (t *table) names(of func(audience.TenantID) bool) []audience.Segment {
	all := slices.DeleteFunc(slices.Collect(maps.Keys(t.segments)), func(s audience.Segment) bool { return !of(s.Tenant) })
	slices.SortFunc(all, func(a, b audience.Segment) int {
		return cmp.Or(bytes.Compare(a.Tenant[:], b.Tenant[:]), strings.Compare(a.Name, b.Name))
	})
	return all
}

func (t *table) list(of func(audience.TenantID) bool) (all []journal.Listed) {
	for _, name := range t.names(of) {
		s := t.segments[name]
		all = append(all, journal.Listed{Segment: name, Pending: len(s.pending) > 0, Keys: len(s.pending), Parked: len(s.parked) > 0, State: s.state})
	}
	return all
}

// waiting says what is pending or parked; "": nothing is.
func (t *table) waiting() (lines string) {
	for _, l := range t.list(func(audience.TenantID) bool { return true }) {
		s := t.segments[l.Segment]
		for _, e := range t.sorted(l.Segment) {
			lines += "\n" + l.Segment.Tenant.String() + " " + l.Segment.Name + " " + e.Verb.String() + " " + e.Key.Text() + " is pending"
		}
		for _, e := range s.parked {
			lines += "\n" + l.Segment.Tenant.String() + " " + l.Segment.Name + " " + e.Verb.String() + " " + e.Key.Text() + " is parked: " + e.Refusal.Reason
		}
	}
	return lines
}
