package postgres

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"slices"
	"sync"
	"time"

	"audiences/audience"
	"audiences/journal"
)

// segmentID is a segment's number: the slot of its tenant, and a hash of its whole name.
// Every node comes to the same one without asking.
type segmentID [16]byte

func idOf(s audience.Segment) segmentID {
	hash := sha256.New()
	hash.Write(s.Tenant[:])
	for _, part := range []string{s.Workspace, s.Environment, s.TrafficType, s.Name} {
		hash.Write([]byte{byte(len(part) >> 8), byte(len(part))}) // at most audience.MaxNameLength
		hash.Write([]byte(part))
	}
	var id segmentID
	hash.Sum(id[:0:0])
	copy(id[:], hash.Sum(nil))
	id[0] = byte(s.Tenant.Slot())
	return id
}

// group is what one statement writes: all that was handed in while the one before was
// under way. Of two changes of one key the later one counts.
//
// Each Append has a version of its own, though it shares the statement: a chunk that was
// cut after one Append must not settle what the next one of the same group did to a key.
type group struct {
	audience.Hidden[group]
	first    journal.Version // of its first Append
	began    time.Time       // when the earliest of its posts came
	rows     map[row]change
	segments map[segmentID]audience.Segment
	hints    map[segmentID]struct{} // that nobody here delivers
	dones    []func(error)
	posts    int
	ended    chan struct{} // closed once it is written, or never will be
	err      error         // why it is not; after ended
}

// wait waits until the group is written, or never will be. It may be nil.
func (g *group) wait(ctx context.Context) error {
	if g == nil {
		return nil
	}
	select {
	case <-g.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// row is the place of one key.
type row struct {
	segment segmentID
	key     string // as journal.AppendKey writes it
}

// change is what a group does to a key.
type change struct {
	verb    audience.Verb
	version journal.Version
}

// mostRows is how many keys a group has at most, unless it is one post that alone has more.
const mostRows = 10_000

// intake is the groups that wait, and the one that gathers.
type intake struct {
	j  *Journal
	mu sync.Mutex

	waiting []*group                              // in the order of their versions; the last one gathers
	under   *group                                // that is being written; nil: none is
	counter uint64                                // of the last version
	tenants map[audience.TenantID]audience.Tenant // whose tokens are to be written with a group, until one was
	closed  bool
	wake    chan struct{}
}

func (in *intake) begin(j *Journal) {
	in.j, in.wake, in.tenants = j, make(chan struct{}, 1), map[audience.TenantID]audience.Tenant{}
}

// gathering is the group that takes a post of so many keys, which came then; mu is locked.
func (in *intake) gathering(came time.Time, keys int) *group {
	if n := len(in.waiting); n > 0 && len(in.waiting[n-1].rows)+keys <= mostRows {
		g := in.waiting[n-1]
		if came.Before(g.began) {
			g.began = came
		}
		return g
	}
	g := &group{began: came, rows: map[row]change{}, segments: map[segmentID]audience.Segment{},
		hints: map[segmentID]struct{}{}, ended: make(chan struct{})}
	in.waiting = append(in.waiting, g)
	return g
}

// Append puts the changes into the group that gathers.
func (j *Journal) Append(a journal.Append) journal.Version {
	version, err := j.intake.put(a)
	if err != nil && a.Done != nil {
		a.Done(err)
	}
	return version
}

// put refuses where the journal is closed, or its database is away.
func (in *intake) put(a journal.Append) (journal.Version, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	now, keys := time.Now(), 0
	for _, c := range a.Changes {
		keys += c.Keys.Len()
	}
	came := now
	if !a.Came.IsZero() && !in.j.o.Without.Deadline {
		came = a.Came
	}
	switch {
	case in.closed:
		return in.number(now), journal.ErrClosed
	case in.j.away.Load() != nil:
		return in.number(now), ErrAway
	case now.Sub(came) > timeFor(keys, acceptWithin):
		return in.number(now), errLate
	}
	g := in.gathering(came, keys)
	version := in.number(now)
	if g.posts++; g.posts == 1 {
		g.first = version
	}
	for _, c := range a.Changes {
		id := idOf(c.Segment)
		g.segments[id] = c.Segment
		if a.Hint && c.Keys.Len() > 0 {
			g.hints[id] = struct{}{}
		}
		for key := range c.Keys.All() {
			g.rows[row{id, string(journal.AppendKey(nil, key))}] = change{c.Verb, version}
		}
	}
	if a.Done != nil {
		g.dones = append(g.dones, a.Done)
	}
	in.signal()
	return version, nil
}

func (in *intake) signal() {
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

// PutTenant keeps the tenant's token with the next group that is written.
func (j *Journal) PutTenant(t audience.Tenant) {
	if j.known.isFresh(t.ID) {
		return
	}
	j.intake.mu.Lock()
	defer j.intake.mu.Unlock()
	j.intake.tenants[t.ID] = t
}

// unwritten is the tenants whose tokens are to be written.
func (in *intake) unwritten() (all []audience.Tenant) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, t := range in.tenants {
		all = append(all, t)
	}
	return all
}

// wrote takes those out whose tokens are.
func (in *intake) wrote(tenants []audience.Tenant) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, t := range tenants {
		delete(in.tenants, t.ID)
	}
}

// take is the next group to write; nil: there is none, and after the end none will come.
func (in *intake) take() (next *group, ended bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.waiting) == 0 {
		return nil, in.closed
	}
	in.under = in.waiting[0]
	in.waiting = in.waiting[1:]
	return in.under, false
}

// posts is how many posts wait in the group that is next.
func (in *intake) posts() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.waiting) == 0 {
		return 0
	}
	return in.waiting[0].posts
}

// end ends the group that was taken.
func (in *intake) end(g *group, err error) {
	in.mu.Lock()
	in.under = nil
	in.mu.Unlock()
	g.err = err
	close(g.ended)
	for _, done := range g.dones {
		done(err)
	}
}

// until is the newest group that is not ended and has an Append which is not newer than the
// version; nil: there is none. The groups end in their order.
func (in *intake) until(v journal.Version) (last *group) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.under != nil && in.under.first <= v {
		last = in.under
	}
	for _, g := range in.waiting {
		if g.first <= v {
			last = g
		}
	}
	return last
}

// refuse ends all groups that wait; it reports whether none will come.
func (in *intake) refuse(err error) (ended bool) {
	for {
		g, ended := in.take()
		if g == nil {
			return ended
		}
		in.end(g, err)
	}
}

func (in *intake) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.closed = true
	in.signal()
}

// sorted is the keys of a group in the order in which all statements lock rows.
func (g *group) sorted() (s columns) {
	rows := make([]row, 0, len(g.rows))
	for r := range g.rows {
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Or(bytes.Compare(a.segment[:], b.segment[:]), cmp.Compare(a.key, b.key))
	})
	s.segments, s.keys = make([]segmentID, len(rows)), make([][]byte, len(rows))
	s.verbs, s.versions = make([]int16, len(rows)), make([]int64, len(rows))
	for i, r := range rows {
		c := g.rows[r]
		s.segments[i], s.keys[i], s.verbs[i], s.versions[i] = r.segment, []byte(r.key), int16(c.verb), int64(c.version)
	}
	return s
}

// columns are rows as the database takes them.
type columns struct {
	audience.Hidden[columns]
	segments []segmentID
	keys     [][]byte
	verbs    []int16
	versions []int64
}
