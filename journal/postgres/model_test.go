//go:build e2e

package postgres

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"audiences/audience"
	"audiences/journal"
)

var modelTime = flag.Duration("model.time", 15*time.Second, "how long TestModel goes on with new histories")

// versioned is what a key of a segment has to be.
type versioned struct {
	verb    audience.Verb
	version journal.Version // of an Append; 0: a new one, that a retry or a move gave
}

// model is two nodes on one database, of which the first owns all tenants, beside maps.
type model struct {
	*cluster
	t        *rapid.T
	nodes    []*Journal
	segments []audience.Segment // of two tenants, in turn

	pending   map[audience.Segment]map[audience.Key]versioned
	parked    map[audience.Segment]map[audience.Key]audience.Verb
	delivered map[audience.Segment]map[audience.Key]int
	seen      [2][]journal.Version // of each node, that somebody may settle by
	page      map[audience.Segment][]journal.Entry
	calls     uint64
}

var modelKeys = []string{"1", "2", "3", "-3", "007", "a", "ü", "9223372036854775807", "\x00"}

func (m *model) some(label string) []audience.Key {
	var all []audience.Key
	for _, text := range rapid.SliceOfNDistinct(rapid.SampledFrom(modelKeys), 1, 5, rapid.ID[string]).Draw(m.t, label) {
		key, _ := audience.ParseKey(text)
		all = append(all, key)
	}
	return all
}

func (m *model) one() audience.Segment { return rapid.SampledFrom(m.segments).Draw(m.t, "segment") }

func (m *model) verb() audience.Verb {
	return rapid.SampledFrom([]audience.Verb{audience.Add, audience.Delete}).Draw(m.t, "verb")
}

// append hands in one post or several, which may come into one group, at either node.
func (m *model) append() {
	node := rapid.IntRange(0, 1).Draw(m.t, "node")
	n := rapid.IntRange(1, 3).Draw(m.t, "posts")
	done := make(chan error, n)
	for range n {
		s, verb, some := m.one(), m.verb(), m.some("keys")
		version := m.nodes[node].Append(journal.Append{Tenant: s.Tenant, Hint: node == 1, Done: func(err error) { done <- err },
			Changes: []journal.Change{{Segment: s, Verb: verb, Keys: audience.KeysOf(some...)}}})
		for _, key := range some {
			m.pending[s][key] = versioned{verb, version}
			delete(m.parked[s], key)
		}
		if slices.ContainsFunc(m.seen[node], func(earlier journal.Version) bool { return earlier.Covers(version) }) {
			m.t.Fatal("a version is not newer than all before")
		}
		m.seen[node] = append(m.seen[node], version)
	}
	for range n {
		if err := <-done; err != nil {
			m.t.Fatal(err)
		}
	}
}

// choose is a selection, and how the versions of its keys are compared.
func (m *model) choose(s audience.Segment) (journal.Selection, map[audience.Key]func(journal.Version) bool) {
	meant, selection := map[audience.Key]func(journal.Version) bool{}, journal.Selection{}
	node := rapid.IntRange(0, 1).Draw(m.t, "whose")
	if len(m.seen[node]) > 0 && rapid.Bool().Draw(m.t, "covered") {
		own := m.some("own")
		selection.Keys, selection.NotAfter = slices.Values(own), rapid.SampledFrom(m.seen[node]).Draw(m.t, "not after")
		for _, key := range own {
			meant[key] = selection.NotAfter.Covers
		}
	}
	drawn := map[audience.Key]journal.Version{}
	for _, e := range m.page[s] {
		if meant[e.Key] == nil && rapid.Bool().Draw(m.t, "drawn") {
			drawn[e.Key] = e.Version
			meant[e.Key] = func(v journal.Version) bool { return v == e.Version }
		}
	}
	selection.Drawn = maps.All(drawn)
	return selection, meant
}

// remove is what a selection removes, and what is newer.
func (m *model) remove(s audience.Segment, meant map[audience.Key]func(journal.Version) bool) (removed, newer []audience.Key) {
	for key, means := range meant {
		switch was, pending := m.pending[s][key]; {
		case pending && means(was.version):
			removed = append(removed, key)
			delete(m.pending[s], key)
		case pending:
			newer = append(newer, key)
		}
	}
	return removed, newer
}

func (m *model) settle() {
	s := m.one()
	selection, meant := m.choose(s)
	_, newer := m.remove(s, meant)
	m.calls++
	for key := range meant {
		m.delivered[s][key]++
	}
	receipt := journal.Receipt{At: time.Now(), Verb: audience.Add, Call: m.calls}
	equal(m.cluster, "newer", m.cluster.settle(m.nodes[0], s, selection, receipt), texts(newer))
}

func (m *model) park() {
	s, verb := m.one(), m.verb()
	selection, meant := m.choose(s)
	removed, newer := m.remove(s, meant)
	for _, key := range removed {
		m.parked[s][key] = verb
	}
	equal(m.cluster, "newer", m.cluster.park(m.nodes[0], s, verb, selection, "why"), texts(newer))
}

func (m *model) unpark() {
	s := m.one()
	u := journal.Unpark{Segment: s, Discard: rapid.Bool().Draw(m.t, "discard")}
	some := slices.Collect(maps.Keys(m.parked[s]))
	if rapid.Bool().Draw(m.t, "listed") {
		some = m.some("keys")
		u.Keys = slices.Values(some)
	}
	want := 0
	for _, key := range some {
		verb, there := m.parked[s][key]
		if !there {
			continue
		}
		want++
		delete(m.parked[s], key)
		if _, newer := m.pending[s][key]; !newer && !u.Discard {
			m.pending[s][key] = versioned{verb: verb}
		}
	}
	got := wait(m.cluster, func(done func(int)) {
		u.Done = func(n int, err error) {
			if err != nil {
				m.Error(err)
			}
			done(n)
		}
		m.nodes[0].Unpark(u)
	})
	equal(m.cluster, "unparked", got, want)
	m.look(s)
}

func (m *model) move() {
	from := rapid.IntRange(0, 1).Draw(m.t, "from")
	want := 0
	for n := from; n < len(m.segments); n += 2 {
		s, to := m.segments[n], m.segments[n^1]
		take := func(key audience.Key, verb audience.Verb) {
			_, pending := m.pending[to][key]
			if _, parked := m.parked[to][key]; !pending && !parked {
				m.pending[to][key] = versioned{verb: verb}
				want++
			}
		}
		for key, was := range m.pending[s] {
			take(key, was.verb)
		}
		for key, verb := range m.parked[s] {
			take(key, verb)
		}
		clear(m.pending[s])
		clear(m.parked[s])
	}
	keys := wait(m.cluster, func(done func(int)) {
		m.nodes[0].MoveTenant(m.segments[from].Tenant, m.segments[from^1].Tenant, func(_ []audience.Segment, keys int, err error) {
			if err != nil {
				m.Error(err)
			}
			done(keys)
		})
	})
	equal(m.cluster, "moved", keys, want)
	for _, s := range m.segments {
		m.look(s)
	}
}

// look compares a segment as either node sees it, and learns the versions that were given
// without a post.
func (m *model) look(s audience.Segment) {
	page := m.load(m.nodes[rapid.IntRange(0, 1).Draw(m.t, "who looks")], s)
	if len(page.Entries) != len(m.pending[s]) {
		m.t.Fatalf("%s: %d keys are pending, want %d", s.Name, len(page.Entries), len(m.pending[s]))
	}
	for _, e := range page.Entries {
		want, ok := m.pending[s][e.Key]
		if want.version == 0 {
			want.version = e.Version
		}
		if got := (versioned{e.Verb, e.Version}); !ok || got != want {
			m.t.Fatalf("%s: %s is %v, want %v", s.Name, e.Key.Text(), got, want)
		}
		m.pending[s][e.Key] = want
	}
	m.page[s] = page.Entries
	parked := map[audience.Key]audience.Verb{}
	p := wait(m.cluster, func(done func(journal.ParkedPage)) {
		m.nodes[0].Parked(journal.ParkedQuery{Segment: s, Limit: 100, Done: done})
	})
	for _, e := range p.Entries {
		parked[e.Key] = e.Verb
	}
	if p.Err != nil || !maps.Equal(parked, m.parked[s]) {
		m.t.Fatalf("%s: parked %d keys, want %d, or others: %v", s.Name, len(parked), len(m.parked[s]), p.Err)
	}
	counts := wait(m.cluster, func(done func(journal.Counts)) { m.nodes[0].Count(journal.Count{Segment: s, Done: done}) })
	equal(m.cluster, "counts", counts, journal.Counts{Pending: len(m.pending[s]), Parked: len(m.parked[s])})
}

// find compares where one key is.
func (m *model) find() {
	s, key, node := m.one(), m.some("key")[0], rapid.IntRange(0, 1).Draw(m.t, "who finds")
	var pending, parked, delivered int
	find := journal.Find{Segment: s, Key: key, Limit: rapid.IntRange(1, 4).Draw(m.t, "limit")}
	for more := true; more; {
		found := wait(m.cluster, func(done func(journal.Found)) { find.Done = done; m.nodes[node].Find(find) })
		if found.Err != nil {
			m.t.Fatal(found.Err)
		}
		for _, sighting := range found.Sightings {
			switch sighting.State {
			case journal.Pending:
				pending++
			case journal.Parked:
				parked++
			case journal.Delivered:
				delivered++
			}
		}
		more, find.After = found.More, found.Next
	}
	_, isPending := m.pending[s][key]
	_, isParked := m.parked[s][key]
	equal(m.cluster, "pending", pending == 1, isPending)
	equal(m.cluster, "parked", parked == 1, isParked)
	equal(m.cluster, "delivered", delivered, m.delivered[s][key])
}

// again has one of the nodes leave, and come back as another life.
func (m *model) again() {
	if rapid.IntRange(0, 9).Draw(m.t, "restart") != 0 { // it takes as long as a hundred others
		return
	}
	node := rapid.IntRange(0, 1).Draw(m.t, "who restarts")
	if err := m.nodes[node].Leave(context.Background()); err != nil {
		m.t.Fatal(err)
	}
	if err := m.nodes[node].Close(); err != nil {
		m.t.Fatal(err)
	}
	if m.nodes[node] = m.node(); node == 0 {
		m.nodes[0] = m.own(m.nodes[0])
	}
	m.seen[node] = append(m.seen[node], m.nodes[node].Newest())
}

// TestModel is I2 and I3: random histories on two nodes leave what plain maps do.
func TestModel(t *testing.T) {
	ended := time.Now().Add(*modelTime)
	histories := 0
	c := newCluster(t)
	nodes := []*Journal{c.owner(), c.node()}
	check := func(rt *rapid.T) {
		if time.Now().After(ended) && histories > 0 {
			return
		}
		histories++
		a, b := tenant(fmt.Sprint("a", histories)), tenant(fmt.Sprint("b", histories))
		m := &model{cluster: c, t: rt, nodes: nodes,
			segments: []audience.Segment{segment(a, "s"), segment(b, "s"), segment(a, "t"), segment(b, "t")},
			pending:  map[audience.Segment]map[audience.Key]versioned{}, parked: map[audience.Segment]map[audience.Key]audience.Verb{},
			delivered: map[audience.Segment]map[audience.Key]int{}, page: map[audience.Segment][]journal.Entry{}}
		for _, s := range m.segments {
			m.pending[s], m.parked[s], m.delivered[s] = map[audience.Key]versioned{}, map[audience.Key]audience.Verb{}, map[audience.Key]int{}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"append":  func(t *rapid.T) { m.t = t; m.append() },
			"again":   func(t *rapid.T) { m.t = t; m.again() },
			"settle":  func(t *rapid.T) { m.t = t; m.settle() },
			"settle2": func(t *rapid.T) { m.t = t; m.settle() },
			"park":    func(t *rapid.T) { m.t = t; m.park() },
			"park2":   func(t *rapid.T) { m.t = t; m.park() },
			"unpark":  func(t *rapid.T) { m.t = t; m.unpark() },
			"move":    func(t *rapid.T) { m.t = t; m.move() },
			"find":    func(t *rapid.T) { m.t = t; m.find() },
			"look":    func(t *rapid.T) { m.t = t; m.look(m.one()) },
		})
		for _, s := range m.segments {
			m.look(s)
		}
		if t.Failed() {
			rt.Fatal("this history")
		}
	}
	rapid.Check(t, check)
	t.Logf("%d histories", histories)
}
