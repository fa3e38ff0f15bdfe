package actors

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"audiences/audience"
	"audiences/journal"
	"audiences/sandbox"
	"audiences/splitclient"
	"audiences/status"
)

// scene is a relay before a look-alike of Split in a bubble of virtual time, for
// tests that tell one story each, with exact instants: nothing in it is drawn by
// lot. A key is a number, a tenant its token's text.
type scene struct {
	*testing.T
	site
	began   time.Time
	faulty  *meddler
	options Options
	off     bool          // the next relay makes no calls
	shown   int           // calls that were shown before
	watch   func()        // of the next meddler
	counts  time.Duration // how long they take, of the next meddler
}

// meddler is a faulty journal and client that can also be late, unreadable, and
// watched.
type meddler struct {
	*faulty
	loadTakes, unparkTakes atomic.Int64 // how long the journal's answers are on their way
	countTakes             time.Duration
	unreadable             atomic.Int32 // how many of the next reads fail
	watch                  func()       // called with every call to Split, by several goroutines
	beforeMove             func()       // called between a tenant's surrender and the move in the journal
	afterMove              func()       // handed to the journal behind the move
	moveFails              bool         // after all of it was done
}

func (m *meddler) MoveTenant(from, to audience.TenantID, done func([]audience.Segment, int, error)) {
	if m.beforeMove != nil {
		m.beforeMove()
	}
	if tell := done; m.moveFails {
		done = func(segments []audience.Segment, keys int, _ error) { tell(segments, keys, errStruck) }
	}
	m.faulty.MoveTenant(from, to, done)
	if m.afterMove != nil {
		m.afterMove()
	}
}

func (m *meddler) Load(l journal.Load) {
	if m.unreadable.Load() > 0 && m.unreadable.Add(-1) >= 0 {
		go l.Done(journal.Page{Err: errors.New("damaged by the test")})
		return
	}
	if takes := time.Duration(m.loadTakes.Load()); takes > 0 {
		done := l.Done
		l.Done = func(page journal.Page) { time.AfterFunc(takes, func() { done(page) }) }
	}
	m.faulty.Load(l)
}

func (m *meddler) Unpark(u journal.Unpark) {
	if takes := time.Duration(m.unparkTakes.Load()); takes > 0 {
		done := u.Done
		u.Done = func(n int, err error) { time.AfterFunc(takes, func() { done(n, err) }) }
	}
	m.faulty.Unpark(u)
}

func (m *meddler) Count(c journal.Count) {
	if done := c.Done; m.countTakes > 0 {
		c.Done = func(counts journal.Counts) { time.AfterFunc(m.countTakes, func() { done(counts) }) }
	}
	m.faulty.Count(c)
}

func (m *meddler) Deliver(ctx context.Context, c splitclient.Call) splitclient.Outcome {
	if m.watch != nil {
		m.watch()
	}
	return m.faulty.Deliver(ctx, c)
}

// play runs a story; the zero Options mean what they mean to the relay.
func play(t *testing.T, split sandbox.Options, o Options, story func(*scene)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &scene{T: t, site: site{failing: t}, began: time.Now(), options: o}
		s.prepare(split, 0, nil)
		s.start()
		defer s.end()
		story(s)
	})
}

func (s *scene) end() {
	s.leave()
	if violations := s.split.Violations(); len(violations) > 0 {
		s.Errorf("broken promises: %v", violations)
	}
}

func (s *scene) start() {
	s.open()
	s.faulty = &meddler{faulty: &faulty{Journal: s.store, deliver: s.client.Do}, watch: s.watch, countTakes: s.counts}
	o := s.options
	o.Journal, o.Deliver, o.heard = s.faulty, s.faulty.Deliver, s.faulty.heard
	if s.off {
		o.Deliver = nil
	}
	if o.Random == nil {
		o.Random = func() float64 { return 0 }
	}
	s.relay = Start(o)
	synctest.Wait()
}

func (s *scene) restart() {
	s.stop(0)
	s.start()
}

// crash loses the power: what was not synced is gone.
func (s *scene) crash() {
	s.losePower(&sync.Mutex{}, rand.New(rand.NewPCG(1, 1)))
	s.start()
}

func (s *scene) tenant(token string) audience.Tenant {
	parsed, err := audience.ParseToken(token)
	s.must(err)
	return audience.NewTenant(parsed)
}

func (s *scene) segment(token, name string) audience.Segment {
	return audience.Segment{Tenant: s.tenant(token).ID, Environment: "env", Name: name}
}

// accept hands in one change and waits until it is durable; keys are "1 2 5-9".
func (s *scene) accept(token, name string, verb audience.Verb, keys string) {
	s.Helper()
	reply := make(chan error, 1)
	s.relay.Accept(reply, audience.Change{Token: s.tenant(token).Token, Segment: s.segment(token, name), Verb: verb, Keys: audience.KeysOf(keysOf(keys)...)})
	s.must(<-reply)
	synctest.Wait()
}

// add and remove are accept for segment s of token.
func (s *scene) add(keys string)    { s.Helper(); s.accept("token", "s", audience.Add, keys) }
func (s *scene) remove(keys string) { s.Helper(); s.accept("token", "s", audience.Delete, keys) }

func keysOf(text string) (keys []audience.Key) {
	for _, field := range strings.Fields(text) {
		var first, last int64
		if n, _ := fmt.Sscanf(field, "%d-%d", &first, &last); n < 2 {
			last = first
		}
		for n := first; n <= last; n++ {
			keys = append(keys, audience.NumericKey(n))
		}
	}
	return keys
}

// at lets time pass until so long after the begin of the story.
func (s *scene) at(since time.Duration) {
	s.Helper()
	if wait := since - time.Since(s.began); wait < 0 {
		s.Fatalf("it is %v already, later than %v", time.Since(s.began), since)
	} else {
		time.Sleep(wait)
	}
	synctest.Wait()
}

// expectCalls compares the calls since the last time with lines like
// "10s add 3: 200", preceded by the token and the segment where they are others
// than "token" and "s".
func (s *scene) expectCalls(want ...string) {
	s.Helper()
	if got := s.calls(); !slices.Equal(got, want) {
		s.Errorf("calls\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func (s *scene) calls() (lines []string) {
	all := s.split.Calls()
	for _, c := range all[s.shown:] {
		of := ""
		if c.Segment != "s" {
			of = c.Segment + " "
		}
		if c.Organisation != s.tenant("token").ID.String() {
			of = c.Organisation + " " + of
		}
		lines = append(lines, fmt.Sprintf("%v %s%s %d: %d", c.Start.Sub(s.began), of, c.Verb, c.Keys, c.Status))
	}
	s.shown = len(all)
	return lines
}

// expectMembers compares what Split has in segment s of token.
func (s *scene) expectMembers(keys string) { s.Helper(); s.expectMembersOf("token", "s", keys) }

func (s *scene) expectMembersOf(token, name, keys string) {
	s.Helper()
	want := texts(keysOf(keys))
	if got := s.split.Members(token, "env", name); !slices.Equal(got, want) {
		s.Errorf("%s of %s has %d keys %.20v, want %d: %.20v", name, token, len(got), got, len(want), want)
	}
}

func texts(keys []audience.Key) (texts []string) {
	for _, key := range keys {
		texts = append(texts, key.Text())
	}
	slices.Sort(texts)
	return texts
}

// expectParked compares the parked keys of segment s of token, as
// "add 1: bad_request", and that none of them is pending as well (I3).
func (s *scene) expectParked(want ...string) {
	s.Helper()
	pending := s.pending("token", "s")
	var got []string
	for _, entry := range s.parked("token", "s", 1000).Entries {
		got = append(got, fmt.Sprintf("%s %s: %s", entry.Verb, entry.Key.Text(), entry.Refusal.Reason))
		if pending[entry.Key.Text()] != 0 {
			s.Errorf("key %s is parked and pending", entry.Key.Text())
		}
	}
	if !slices.Equal(got, want) {
		s.Errorf("parked %v, want %v", got, want)
	}
}

func (s *scene) parked(token, name string, limit int) journal.ParkedPage {
	s.Helper()
	page, err := s.relay.parked(context.Background(), s.segment(token, name), journal.Cursor{}, limit)
	s.must(err)
	return page
}

// pending is what the journal has to deliver.
func (s *scene) pending(token, name string) map[string]audience.Verb {
	s.Helper()
	reply := make(chan journal.Page, 1)
	s.store.Load(journal.Load{Segment: s.segment(token, name), Limit: 1_000_000, Done: func(p journal.Page) { reply <- p }})
	page := <-reply
	s.must(page.Err)
	keys := map[string]audience.Verb{}
	for _, entry := range page.Entries {
		keys[entry.Key.Text()] = entry.Verb
	}
	return keys
}

func (s *scene) expectPending(token, name, keys string) {
	s.Helper()
	if got, want := slices.Sorted(maps.Keys(s.pending(token, name))), texts(keysOf(keys)); !slices.Equal(got, want) {
		s.Errorf("%s of %s: pending %.20v, want %.20v", name, token, got, want)
	}
}

// expectRest: nothing is pending, in the journal or in memory.
func (s *scene) expectRest() {
	s.Helper()
	for listed, err := range s.store.Segments(audience.AllSlots()) {
		s.must(err)
		if listed.Pending {
			s.Errorf("%s has pending keys", listed.Segment.Name)
		}
	}
	if n := s.relay.inMemory.Load(); n != 0 {
		s.Errorf("at rest %d keys are counted as in memory", n)
	}
}

func (s *scene) inspect(token, name string) SegmentDetail {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	detail, err := s.relay.Inspect(ctx, s.segment(token, name))
	s.must(err)
	return detail
}

// operate does something to segment s of token.
func (s *scene) operate(op status.Remedy) { s.Helper(); s.operateOn("token", "s", op, time.Time{}) }

// operateOn does something to a segment, or with name "" to the tenant.
func (s *scene) operateOn(token, name string, op status.Remedy, until time.Time) {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err := s.relay.Remedy(ctx, s.wish(token, name, op, until))
	if op != status.Resume || !errors.Is(err, status.ErrNotNeeded) { // what is not paused goes on
		s.must(err)
	}
	synctest.Wait()
}

// wish is what an operator wants of a segment, or with name "" of the tenant.
func (s *scene) wish(token, name string, remedy status.Remedy, until time.Time) status.Wish {
	w := status.Wish{Remedy: remedy, Segment: audience.Segment{Tenant: s.tenant(token).ID}, Until: until, Who: "ana"}
	if name != "" {
		w.Segment = s.segment(token, name)
	}
	return w
}

func (s *scene) moving(from, to string) status.Wish {
	return status.Wish{Remedy: status.Move, Segment: audience.Segment{Tenant: s.tenant(from).ID}, To: s.tenant(to).ID, Who: "ana"}
}

func (s *scene) move(from, to string) (keys int) {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	effect, err := s.relay.Remedy(ctx, s.moving(from, to))
	s.must(err)
	synctest.Wait()
	return effect.Keys
}
