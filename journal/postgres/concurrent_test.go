//go:build e2e

package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"audiences/audience"
	"audiences/journal"
	"audiences/placement"
)

// answeredChange is a change of one key: when it was handed in and when it was answered, as counted by
// all writers together.
type answeredChange struct {
	verb            audience.Verb
	asked, answered int64
	refused         bool
}

// crowd is nodes that are written to and read from at once, and what was told them.
type crowd struct {
	*cluster
	nodes    []*Journal
	segments []audience.Segment
	moment   atomic.Int64
	ended    context.Context

	mu    sync.Mutex
	told  map[audience.Segment]map[audience.Key][]answeredChange
	split map[audience.Segment]map[audience.Key]audience.Verb // what was delivered last
}

func newCrowd(c *cluster, nodes []*Journal, segments []audience.Segment, ended context.Context) *crowd {
	w := &crowd{cluster: c, nodes: nodes, segments: segments, ended: ended,
		told: map[audience.Segment]map[audience.Key][]answeredChange{}, split: map[audience.Segment]map[audience.Key]audience.Verb{}}
	for _, s := range segments {
		w.told[s], w.split[s] = map[audience.Key][]answeredChange{}, map[audience.Key]audience.Verb{}
	}
	return w
}

// write posts until the end: some keys of some segments of one tenant each time, in any order.
func (w *crowd) write(j *Journal, keysOf func(audience.Segment) (from, n int)) {
	for w.ended.Err() == nil {
		of := w.segments[rand.IntN(len(w.segments))].Tenant
		a, now := journal.Append{Tenant: of}, w.moment.Add(1)
		for _, s := range w.segments {
			if s.Tenant != of || rand.IntN(3) == 0 {
				continue
			}
			from, n := keysOf(s)
			some := audience.NewKeySet(40)
			for range 1 + rand.IntN(40) {
				some.Add(audience.NumericKey(int64(from + rand.IntN(n))))
			}
			a.Changes = append(a.Changes, journal.Change{Segment: s, Verb: []audience.Verb{audience.Add, audience.Delete}[rand.IntN(2)], Keys: audience.KeysOf(slices.Collect(some.All())...)})
		}
		done := make(chan error, 1)
		a.Done = func(err error) { done <- err }
		j.Append(a)
		w.note(a, now, <-done)
	}
}

// note notes what was told, and how it was answered.
func (w *crowd) note(a journal.Append, asked int64, err error) {
	if err != nil {
		w.refused(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range a.Changes {
		for key := range c.Keys.All() {
			w.told[c.Segment][key] = append(w.told[c.Segment][key], answeredChange{verb: c.Verb, asked: asked, answered: w.moment.Add(1), refused: err != nil})
		}
	}
}

// refused fails where a post was refused for anything but a machine that is too slow.
func (w *crowd) refused(err error) {
	if !errors.Is(err, errLate) && !errors.Is(err, errFenced) && !isCode(err, "57014") {
		w.Errorf("a post was refused: %v", err)
	}
}

// deliver does to one segment what its owner does, until the end.
func (w *crowd) deliver(j *Journal, s audience.Segment) {
	for w.ended.Err() == nil {
		page := wait(w.cluster, func(done func(journal.Page)) {
			j.Load(journal.Load{Segment: s, Limit: 50 + rand.IntN(200), NotBefore: j.Newest(), Done: done})
		})
		if page.Err != nil {
			w.Error(page.Err)
			return
		}
		verb := []audience.Verb{audience.Add, audience.Delete}[rand.IntN(2)]
		page.Entries = slices.DeleteFunc(page.Entries, func(e journal.Entry) bool { return e.Verb != verb })
		switch rand.IntN(5) {
		case 0:
			w.park(j, s, verb, drawn(page.Entries), "why")
		case 1:
			w.unpark(j, s, false, "")
		case 2:
			w.unpark(j, s, false, "1 2 3 4 5 6 7 8 101 102 103 104 1001 1002 1003")
		default:
			w.mu.Lock()
			for _, e := range page.Entries {
				w.split[s][e.Key] = e.Verb
			}
			w.mu.Unlock()
			w.settle(j, s, drawn(page.Entries), journal.Receipt{At: time.Now(), Verb: verb})
		}
	}
}

// final is what became of the keys of a segment; it fails where one is pending and parked.
func (w *crowd) final(j *Journal, s audience.Segment) map[audience.Key]audience.Verb {
	w.mu.Lock()
	defer w.mu.Unlock()
	final := w.split[s]
	seen := map[audience.Key]bool{}
	parked := wait(w.cluster, func(done func(journal.ParkedPage)) {
		j.Parked(journal.ParkedQuery{Segment: s, Limit: 10_000, Done: done})
	})
	for _, e := range parked.Entries {
		final[e.Key], seen[e.Key] = e.Verb, true
	}
	for _, e := range w.load(j, s).Entries {
		if seen[e.Key] {
			w.Errorf("%s: %s is pending and parked at once", s.Name, e.Key.Text())
		}
		final[e.Key] = e.Verb
	}
	return final
}

// judge compares what became of a key with the changes that no other one was told after.
func (w *crowd) judge(s audience.Segment, key audience.Key, got audience.Verb) {
	all := w.told[s][key]
	var fit []audience.Verb
	for _, t := range all {
		if !slices.ContainsFunc(all, func(later answeredChange) bool { return !later.refused && later.asked > t.answered }) {
			fit = append(fit, t.verb)
		}
	}
	if !slices.Contains(fit, got) {
		w.Errorf("%s: the last change of %s was %v, not %v; %d changes", s.Name, key.Text(), fit, got, len(all))
	}
}

// TestManyNodesAtOnce is I2 and I3: four nodes take opposite changes of the same keys while
// their owner settles, parks, tries again and moves, to a tenant whose rows come after those
// of the old one, or before. Nobody waits for one who waits for him, no post fails, and the
// last change of each key stands.
func TestManyNodesAtOnce(t *testing.T) {
	low, high := tenant("new"), tenant("old")
	if low.ID.Slot() > high.ID.Slot() {
		low, high = high, low
	}
	t.Run("upwards", func(t *testing.T) { atOnce(newCluster(t), low, high) })
	t.Run("downwards", func(t *testing.T) { atOnce(newCluster(t), high, low) })
}

// lowest keys of those that both tenants have; the ones below are one's own.
const sharedKeys = 1000

func atOnce(c *cluster, old, new audience.Tenant) {
	sqlAdmin(c, "ALTER DATABASE %s SET deadlock_timeout = '50ms'") // a deadlock is to be found before anything else ends
	other := tenant("other")
	nodes := []*Journal{c.owner(), c.node(), c.node(), c.node()}
	var segments []audience.Segment
	for _, name := range []string{"a", "b"} {
		segments = append(segments, segment(old, name), segment(new, name), segment(other, name))
	}
	ended, cancel := context.WithTimeout(c.Context(), 4*time.Second)
	defer cancel()
	w := newCrowd(c, nodes, segments, ended)
	var running sync.WaitGroup
	for _, j := range nodes {
		for range 3 {
			running.Go(func() {
				w.write(j, func(s audience.Segment) (from, n int) {
					if s.Tenant == old.ID || s.Tenant == new.ID && rand.IntN(2) == 0 {
						return sharedKeys, 100
					}
					return 0, 200
				})
			})
		}
		running.Go(func() {
			for ended.Err() == nil {
				c.beat(j, placement.Beat{Bury: always, Claim: nodesOwn(j == nodes[0])})
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
	for _, s := range segments {
		running.Go(func() { w.deliver(nodes[0], s) })
	}
	running.Go(func() {
		for ended.Err() == nil {
			if err := wait(c, func(done func(error)) {
				nodes[0].MoveTenant(old.ID, new.ID, func(_ []audience.Segment, _ int, err error) { done(err) })
			}); err != nil {
				c.Error(err)
			}
			if err := nodes[0].ask(nodes[0].tidy); err != nil {
				c.Error(err)
			}
		}
	})
	running.Wait()
	w.judgeAll(old, new)
	time.Sleep(1100 * time.Millisecond) // the sessions' statistics come in once a second
	equal(c, "deadlocks", sql[int64](c, `SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`), 0)
}

// judgeAll looks what became of each key. Of one that may have been moved it is known that it
// is somewhere, but not which change was the last one: two tenants had it.
func (w *crowd) judgeAll(old, new audience.Tenant) {
	finals := map[audience.Segment]map[audience.Key]audience.Verb{}
	for _, s := range w.segments {
		finals[s] = w.final(w.nodes[0], s)
	}
	changes := 0
	for _, s := range w.segments {
		for key, all := range w.told[s] {
			changes += len(all)
			got, ok := finals[s][key]
			moved := s
			moved.Tenant = new.ID
			_, there := finals[moved][key]
			n, _ := key.Numeric()
			switch {
			case !ok && !(there && s.Tenant == old.ID):
				w.Errorf("%s: %s is lost", s.Name, key.Text())
			case n < sharedKeys:
				w.judge(s, key, got)
			}
		}
	}
	w.Logf("%d changes of keys", changes)
}

func nodesOwn(all bool) audience.Slots {
	if all {
		return audience.AllSlots()
	}
	return audience.Slots{}
}

// sqlAdmin carries out a statement about the cluster's database as the superuser.
func sqlAdmin(c *cluster, statement string) {
	c.Helper()
	name := sql[string](c, `SELECT current_database()`)
	if _, err := shared.SQL(c.Context(), fmt.Sprintf(statement, name)); err != nil {
		c.Fatal(err)
	}
}
