package mover

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"audiences/audience"
	"audiences/journal"
	"audiences/journal/embedded"
)

// store is a journal of some kind.
type store interface {
	Journal
	Close() error
}

// place is where a journal lies: it can be opened as a relay or as the mover does.
type place interface {
	open(moving bool) (store, error)
	crash(*rand.Rand) place // what is found after a power loss
}

// disk is one in memory.
type disk struct{ *embedded.Memory }

func (d disk) open(moving bool) (store, error) {
	return embedded.Open(embedded.Options{Dir: "/j", Memory: d.Memory, Moving: moving})
}

func (d disk) crash(random *rand.Rand) place { return disk{d.CrashClone(random)} }

// site is two journals, of which each may be opened and killed.
type site struct {
	*testing.T
	random *rand.Rand
	places [2]place
	odd    string // what messages of refusals begin with
}

func newSite(t *testing.T, seed uint64) *site {
	return &site{T: t, random: rand.New(rand.NewPCG(seed, 0)), places: [2]place{disk{embedded.NewMemory()}, disk{embedded.NewMemory()}}, odd: "no\x00"}
}

func (s *site) open(which int, moving bool) (store, error) { return s.places[which].open(moving) }

// use opens one as a relay does, for a moment.
func (s *site) use(which int, f func(Side)) {
	s.Helper()
	j, err := s.open(which, false)
	if err != nil {
		s.Fatal(err)
	}
	f(Side{Journal: j, page: 7})
	if err := j.Close(); err != nil {
		s.Fatal(err)
	}
}

// mortal is a journal whose process is killed after some operations.
type mortal struct {
	Journal
	left *atomic.Int64 // of both journals
}

func (m mortal) dead() bool { return m.left.Add(-1) < 0 }

func (m mortal) Append(a journal.Append) journal.Version {
	if m.dead() {
		a.Done(journal.ErrClosed)
		return 0
	}
	return m.Journal.Append(a)
}

func (m mortal) Park(p journal.Park) {
	if m.dead() {
		p.Done(nil, journal.ErrClosed)
		return
	}
	m.Journal.Park(p)
}

func (m mortal) Unpark(u journal.Unpark) {
	if m.dead() {
		u.Done(0, journal.ErrClosed)
		return
	}
	m.Journal.Unpark(u)
}

func (m mortal) Settle(s journal.Settle) {
	if m.dead() {
		s.Done(nil, journal.ErrClosed)
		return
	}
	m.Journal.Settle(s)
}

func (m mortal) SetSegmentState(segment audience.Segment, state journal.SegmentState, done func(error)) {
	if m.dead() {
		done(journal.ErrClosed)
		return
	}
	m.Journal.SetSegmentState(segment, state, done)
}

func (m mortal) SetTenantState(tenant audience.TenantID, state journal.TenantState, done func(error)) {
	if m.dead() {
		done(journal.ErrClosed)
		return
	}
	m.Journal.SetTenantState(tenant, state, done)
}

func (m mortal) NoteEvent(e journal.Event, done func(error)) {
	if m.dead() {
		done(journal.ErrClosed)
		return
	}
	m.Journal.NoteEvent(e, done)
}

func (m mortal) Flush() error {
	if m.dead() {
		return journal.ErrClosed
	}
	return m.Journal.Flush()
}

func (m mortal) SetMark(ctx context.Context, mark *journal.Mark) error {
	if m.dead() {
		return journal.ErrClosed
	}
	return m.Journal.SetMark(ctx, mark)
}

// move moves, and is killed after so many operations; the disks lose their power then.
func (s *site) move(from, to, operations int) (Report, error) {
	s.Helper()
	left := &atomic.Int64{}
	left.Store(int64(operations))
	var sides [2]Side
	for i, which := range []int{from, to} {
		j, err := s.open(which, true)
		if err != nil {
			s.Fatal(err)
		}
		defer func() {
			if err := j.Close(); err != nil {
				s.Error(err)
			}
		}()
		sides[i] = Side{Journal: mortal{j, left}, Place: fmt.Sprint("journal ", which)}
	}
	m := New(sides[0], sides[1])
	m.from.page, m.to.page = 7, 7
	report, err := m.Run(s.Context())
	if left.Load() < 0 {
		for i := range s.places {
			s.places[i] = s.places[i].crash(s.random)
		}
	}
	return report, err
}

// fill gives a journal random contents.
func (s *site) fill(which int) {
	s.Helper()
	s.use(which, func(side Side) {
		wait := make(chan error, 1)
		done := func(err error) { wait <- err }
		check := func() {
			if err := <-wait; err != nil {
				s.Fatal(err)
			}
		}
		for n := range 1 + s.random.IntN(4) {
			tenant := tenantOf(n)
			side.PutTenant(tenant)
			if s.random.IntN(2) == 0 {
				side.Prove(tenant.ID)
			}
			if s.random.IntN(3) == 0 {
				side.SetTenantState(tenant.ID, journal.TenantState{Paused: true, PausedBy: "kim", PausedSince: time.Unix(int64(s.random.IntN(1e9)), 0)}, done)
				check()
			}
			for i := range s.random.IntN(4) {
				s.fillSegment(side, segmentOf(tenant, i))
			}
		}
		for n := range s.random.IntN(6) {
			side.NoteEvent(journal.Event{Number: uint64(n + 1), Text: fmt.Appendf(nil, "event %d of %d", n, s.random.IntN(1e9))}, done)
			check()
		}
		if err := side.Flush(); err != nil {
			s.Fatal(err)
		}
	})
}

func tenantOf(n int) audience.Tenant {
	token, err := audience.ParseToken(fmt.Sprint("token-", n))
	if err != nil {
		panic(err)
	}
	return audience.NewTenant(token)
}

func segmentOf(tenant audience.Tenant, n int) audience.Segment {
	return audience.Segment{Tenant: tenant.ID, Workspace: "w", Environment: "e", Name: fmt.Sprint("s", n)}
}

func (s *site) fillSegment(side Side, segment audience.Segment) {
	s.Helper()
	for range s.random.IntN(4) {
		verb := audience.Add
		if s.random.IntN(2) == 0 {
			verb = audience.Delete
		}
		var keys []audience.Key
		for range 1 + s.random.IntN(20) {
			text := fmt.Sprint(s.random.IntN(60) - 20)
			if s.random.IntN(4) == 0 {
				text = "x" + text
			}
			key, err := audience.ParseKey(text)
			if err != nil {
				s.Fatal(err)
			}
			keys = append(keys, key)
		}
		version, err := side.append(s.Context(), segment.Tenant, journal.Change{Segment: segment, Verb: verb, Keys: audience.KeysOf(keys...), Describe: true})
		if err != nil {
			s.Fatal(err)
		}
		if s.random.IntN(3) > 0 {
			continue
		}
		refusal := journal.Refusal{Reason: "bad_request", Message: fmt.Sprint(s.odd, s.random.IntN(3)), At: time.Unix(int64(s.random.IntN(3)), 0), Status: 400}
		if err := side.parkAll(s.Context(), segment, version, verb, refusal, keys[:1+s.random.IntN(len(keys))]); err != nil {
			s.Fatal(err)
		}
	}
	if s.random.IntN(3) == 0 {
		state := journal.SegmentState{Paused: true, PausedUntil: time.Unix(1e9, 0)}
		if s.random.IntN(2) == 0 {
			state.Parked = &journal.Refusal{Reason: "not_found", At: time.Unix(7, 0)}
		}
		if err := failed(s.Context(), func(done func(error)) { side.SetSegmentState(segment, state, done) }); err != nil {
			s.Fatal(err)
		}
	}
}

func (s Side) parkAll(ctx context.Context, segment audience.Segment, version journal.Version, verb audience.Verb, refusal journal.Refusal, keys []audience.Key) error {
	return failed(ctx, func(done func(error)) {
		s.Park(journal.Park{Segment: segment, Verb: verb, Refusal: refusal, Selection: journal.Selection{Keys: slices.Values(keys), NotAfter: version},
			Done: func(_ []audience.Key, err error) { done(err) }})
	})
}

// contents is all that a journal holds and that is to be moved, as text.
func (s *site) contents(which int) string {
	s.Helper()
	j, err := s.open(which, true)
	if err != nil {
		s.Fatal(err)
	}
	defer j.Close()
	side := Side{Journal: j, page: 5}
	var lines []string
	used := map[audience.TenantID]bool{} // a journal on disk forgets the tokens of others when it is opened
	line := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for listed, err := range side.Segments(audience.AllSlots()) {
		if err != nil {
			s.Fatal(err)
		}
		if !holds(listed) {
			continue
		}
		name := fmt.Sprint(listed.Segment.Tenant, listed.Segment.Name)
		used[listed.Segment.Tenant] = true
		line("%s state %s", name, text(stateAsKept(listed.State)))
		err := errors.Join(
			side.pending(s.Context(), listed.Segment, func(page journal.Page) error {
				for _, e := range page.Entries {
					line("%s pending %s %d", name, e.Key.Text(), e.Verb)
				}
				return nil
			}),
			side.parked(s.Context(), listed.Segment, func(entries []journal.ParkedEntry) error {
				for _, e := range entries {
					line("%s parked %s %d %s", name, e.Key.Text(), e.Verb, text(e.Refusal))
				}
				return nil
			}))
		if err != nil {
			s.Fatal(err)
		}
	}
	for known, err := range side.Tenants(audience.AllSlots()) {
		if err != nil {
			s.Fatal(err)
		}
		if used[known.Tenant.ID] || known.State != (journal.TenantState{}) {
			line("tenant %s %s %s", known.Tenant.ID, known.Tenant.Token.Reveal(), text(known.State))
		}
	}
	for id, err := range side.Proven(audience.AllSlots()) {
		if err != nil {
			s.Fatal(err)
		}
		line("proven %s", id)
	}
	for e, err := range side.Events() {
		if err != nil {
			s.Fatal(err)
		}
		line("event %d %s", e.Number, e.Text)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// startable tells on which journals a relay would start.
func (s *site) startable() (which []int) {
	s.Helper()
	for i := range s.places {
		if j, err := s.open(i, false); err == nil {
			which = append(which, i)
			_ = j.Close()
		}
	}
	return which
}

// TestKilledAndResumed moves random contents, is killed after every number of operations
// until one is enough, and goes on from there. A relay can never be started on both journals
// once one key is at the target (I3, I4), and in the end all is where it should be.
func TestKilledAndResumed(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			killedAndResumed(newSite(t, seed), 1)
		})
	}
}

func killedAndResumed(s *site, step int) {
	t := s.T
	s.fill(0)
	s.use(1, func(Side) {})
	want, empty := s.contents(0), s.contents(1)
	for operations := 0; ; operations += step {
		if operations > 5_000 {
			t.Fatal("it does not end")
		}
		report, err := s.move(0, 1, operations)
		if err == nil {
			if report.From != report.To {
				t.Errorf("%+v", report)
			}
			break
		}
		switch can := s.startable(); {
		case len(can) == 2 && s.contents(1) != empty:
			t.Fatalf("after %d operations both can be started", operations)
		case slices.Contains(can, 1) && len(can) == 1:
			return // killed with the last mark on its way
		}
		if got := s.contents(0); got != want {
			t.Fatalf("after %d operations the source is\n%s\nwant\n%s", operations, got, want)
		}
	}
	if got := s.contents(1); got != want {
		t.Errorf("at the target is\n%s\nwant\n%s", got, want)
	}
	if can := s.startable(); !slices.Equal(can, []int{1}) {
		t.Errorf("relays start on %v", can)
	}
	if _, err := s.move(0, 1, 1e9); !errors.Is(err, ErrDone) {
		t.Errorf("once more: %v", err)
	}
}

// TestThereAndBack: the journal that was left takes back what became of its contents, and
// nothing of what it had.
func TestThereAndBack(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		thereAndBack(newSite(t, 100+seed))
	}
}

func thereAndBack(s *site) {
	t := s.T
	s.fill(0)
	s.use(1, func(Side) {})
	if _, err := s.move(0, 1, 1e9); err != nil {
		t.Fatal(err)
	}
	s.use(1, func(side Side) { // some is delivered, some comes in
		m := &Move{to: side}
		for listed, err := range side.Segments(audience.AllSlots()) {
			if err != nil {
				t.Fatal(err)
			}
			if s.random.IntN(2) == 0 {
				if err := m.clear(t.Context(), listed.Segment); err != nil {
					t.Fatal(err)
				}
			}
			if s.random.IntN(2) == 0 {
				s.fillSegment(side, listed.Segment)
			}
		}
	})
	want := s.contents(1)
	for operations := s.random.IntN(10); ; operations += 1 + s.random.IntN(20) {
		if _, err := s.move(1, 0, operations); err == nil || errors.Is(err, ErrDone) {
			break
		}
	}
	if got := s.contents(0); got != want {
		t.Errorf("back at the first one is\n%s\nwant\n%s", got, want)
	}
	if can := s.startable(); !slices.Equal(can, []int{0}) {
		t.Errorf("relays start on %v", can)
	}
}

// TestSourceUsedMeanwhile: a relay goes on with the source of a move that was killed; the
// same move then brings what there is by then.
func TestSourceUsedMeanwhile(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	segment := segmentOf(tenantOf(1), 1)
	add := func(keys ...int64) {
		s.use(0, func(side Side) {
			var packer audience.Packer
			for _, key := range keys {
				packer.Put(audience.NumericKey(key))
			}
			side.PutTenant(tenantOf(1))
			if _, err := side.append(t.Context(), segment.Tenant, journal.Change{Segment: segment, Verb: audience.Add, Keys: packer.Keys(), Describe: true}); err != nil {
				t.Fatal(err)
			}
		})
	}
	add(1, 2, 3)
	s.use(1, func(Side) {})
	if _, err := s.move(0, 1, 3); err == nil {
		t.Fatal("it was not killed")
	}
	s.use(0, func(side Side) {
		if err := (&Move{to: side}).clear(t.Context(), segment); err != nil {
			t.Fatal(err)
		}
	})
	add(4)
	want := s.contents(0)
	if _, err := s.move(0, 1, 1e9); err != nil {
		t.Fatal(err)
	}
	if got := s.contents(1); got != want {
		t.Errorf("at the target is\n%s\nwant\n%s", got, want)
	}
}

// TestRefusedMoves: each is refused before anything is changed.
func TestRefusedMoves(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	s.fill(0)
	s.use(1, func(side Side) { s.fillSegment(side, segmentOf(tenantOf(1), 1)) })
	s.use(1, func(side Side) {
		if _, err := side.append(t.Context(), tenantOf(1).ID, journal.Change{Segment: segmentOf(tenantOf(1), 9), Verb: audience.Add, Keys: audience.KeysOf(audience.NumericKey(1)), Describe: true}); err != nil {
			t.Fatal(err)
		}
	})
	before := s.contents(1)
	if _, err := s.move(0, 1, 1e9); err == nil {
		t.Error("a target that is not empty is taken")
	}
	if can := s.startable(); len(can) != 2 || s.contents(1) != before {
		t.Errorf("a refused move changed something; relays start on %v", can)
	}
	third := newSite(t, 4)
	third.places[0] = s.places[0]
	third.use(1, func(Side) {})
	if _, err := third.move(0, 1, 5); err == nil {
		t.Fatal("it was not killed")
	}
	third.places[0] = disk{embedded.NewMemory()}
	third.fill(0)
	if _, err := third.move(0, 1, 1e9); err == nil {
		t.Error("the target of another move is taken")
	}
}

// TestDifferenceIsSeen: what is missing, or different, at the target is an error, and the
// source stays as it was.
func TestDifferenceIsSeen(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(forgetful) forgetful{
		"a key":      func(f forgetful) forgetful { f.keys = true; return f },
		"a state":    func(f forgetful) forgetful { f.states = true; return f },
		"an event":   func(f forgetful) forgetful { f.events = true; return f },
		"a proof":    func(f forgetful) forgetful { f.proofs = true; return f },
		"everything": func(f forgetful) forgetful { return forgetful{f.Journal, true, true, true, true} },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, 5)
			s.use(0, func(side Side) {
				tenant, segment := tenantOf(1), segmentOf(tenantOf(1), 1)
				side.PutTenant(tenant)
				side.Prove(tenant.ID)
				_, err := side.append(t.Context(), tenant.ID, journal.Change{Segment: segment, Verb: audience.Delete, Keys: audience.KeysOf(audience.NumericKey(1)), Describe: true})
				err = errors.Join(err, failed(t.Context(), func(done func(error)) { side.SetSegmentState(segment, journal.SegmentState{Paused: true}, done) }),
					failed(t.Context(), func(done func(error)) { side.NoteEvent(journal.Event{Number: 1, Text: []byte("e")}, done) }))
				if err != nil {
					t.Fatal(err)
				}
			})
			from, err := s.open(0, true)
			if err != nil {
				t.Fatal(err)
			}
			defer from.Close()
			to, err := s.open(1, true)
			if err != nil {
				t.Fatal(err)
			}
			defer to.Close()
			_, err = New(Side{Journal: from, Place: "here"}, Side{Journal: spoil(forgetful{Journal: to}), Place: "there"}).Run(t.Context())
			if !errors.Is(err, ErrDiffers) {
				t.Errorf("%v", err)
			}
			if from.Mark() != nil || to.Mark() == nil {
				t.Error("the marks are not as before the end of the move")
			}
		})
	}
}

// forgetful is a journal that loses something without a word.
type forgetful struct {
	Journal
	keys, states, events, proofs bool
}

func (f forgetful) Append(a journal.Append) journal.Version {
	if f.keys {
		for i := range a.Changes {
			a.Changes[i].Verb = audience.Add
		}
	}
	return f.Journal.Append(a)
}

func (f forgetful) SetSegmentState(s audience.Segment, state journal.SegmentState, done func(error)) {
	if f.states {
		done(nil)
		return
	}
	f.Journal.SetSegmentState(s, state, done)
}

func (f forgetful) NoteEvent(e journal.Event, done func(error)) {
	if f.events {
		done(nil)
		return
	}
	f.Journal.NoteEvent(e, done)
}

func (f forgetful) Prove(id audience.TenantID) {
	if !f.proofs {
		f.Journal.Prove(id)
	}
}
