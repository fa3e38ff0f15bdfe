package actors

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"audiences/audience"
	"audiences/placement"
	"audiences/sandbox"
	"audiences/splitclient"
	"audiences/status"
)

// cluster is several nodes that share a table, in a bubble of virtual time, before a
// look-alike of Split, and the model that they are held against.
type cluster struct {
	site
	table   *table
	lots    *lots
	healed  chan struct{} // closed at the end of the history
	running sync.WaitGroup
	allowed allowed
	last    change // of the history
	off     bool   // nodes that begin make no calls

	mu       sync.Mutex
	nodes    []*clusterNode // nil: it is down
	closing  bool
	tenants  map[string]audience.Tenant // of an organisation
	model    map[placedKey]*keyModel
	posts    int // under way
	diary    []clusterNote
	findings []string
}

// keyModel is what Split may say of a key once everything is at rest. Nobody sends a change
// of it while the caller of another one waits for its answer.
type keyModel struct {
	may  map[audience.Verb]bool // the verbs that may have come last; 0: none has come
	busy bool
}

type clusterNote struct {
	at     time.Time
	format string
	args   []any
}

var clusterPlaces = []place{{"one", "sA"}, {"one", "sB"}, {"two", "sA"}, {"three", "sA"}, {"four", "sA"}}

var clusterKeys = []string{"1", "2", "3", "a", "b"}

// callerWaits is how long a caller waits for an answer (the lambda's timeout). Before that
// time is over it sends no other change of the key, also where it was refused earlier.
const callerWaits = 3 * time.Second

func newCluster(fail interface {
	Helper()
	Fatal(...any)
}, off without, seed uint64, nodes int) *cluster {
	c := &cluster{site: site{failing: fail}, lots: newLots(seed), healed: make(chan struct{}), allowed: allowed{changes: map[string]bool{}},
		nodes: make([]*clusterNode, nodes), tenants: map[string]audience.Tenant{}, model: map[placedKey]*keyModel{}}
	c.table = newTable(off, c.note)
	c.prepare(sandbox.Options{MaxKeys: 3, History: true, Allowed: c.allowed.has}, 0, nil)
	for _, at := range clusterPlaces {
		token, err := audience.ParseToken("token-" + at.organisation)
		c.must(err)
		c.tenants[at.organisation] = audience.NewTenant(token)
		c.split.Assign("token-"+at.organisation, at.organisation)
		for _, key := range clusterKeys {
			c.model[placedKey{at, key}] = &keyModel{may: map[audience.Verb]bool{0: true}}
		}
	}
	for i := range c.nodes {
		c.nodes[i] = c.begin(i)
	}
	return c
}

// note writes the diary.
func (c *cluster) note(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.diary = append(c.diary, clusterNote{time.Now(), format, args})
}

// find notes what must not be.
func (c *cluster) find(format string, args ...any) {
	c.note("WRONG: "+format, args...)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.findings = append(c.findings, fmt.Sprintf(format, args...))
}

// story is the diary as text.
func (c *cluster) story() (lines string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.diary {
		lines += "\n" + n.at.Format("04:05.000000 ") + fmt.Sprintf(n.format, n.args...)
	}
	return lines
}

func (c *cluster) segment(at place) audience.Segment {
	return audience.Segment{Tenant: c.tenants[at.organisation].ID, Environment: "env", Name: at.name}
}

// node is the node of that number, or another one where it is down; nil: all are.
func (c *cluster) node(index int) *clusterNode {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.nodes {
		if n := c.nodes[(index+i)%len(c.nodes)]; n != nil {
			return n
		}
	}
	return nil
}

// again begins another life of a node that has ended, after a while.
func (c *cluster) again(n *clusterNode, after time.Duration) {
	c.mu.Lock()
	if c.nodes[n.index] != n {
		c.mu.Unlock()
		return
	}
	c.nodes[n.index] = nil
	c.mu.Unlock()
	select {
	case <-time.After(after):
	case <-c.healed:
	}
	c.mu.Lock()
	closing := c.closing
	c.mu.Unlock()
	if closing {
		return
	}
	born := c.begin(n.index)
	c.mu.Lock()
	c.nodes[n.index] = born
	closing = c.closing
	c.mu.Unlock()
	if closing {
		born.crash()
	}
}

// judge notes a call that its node must not make: another one may own the tenant (F3).
func (c *cluster) judge(n *clusterNode, call splitclient.Call) {
	c.table.mu.Lock()
	row, owner := c.table.nodes[n.self], c.table.slots[call.Segment.Tenant.Slot()]
	over := row == nil || row.dead || row.until.Before(c.table.now())
	c.table.mu.Unlock()
	var texts []string
	for key := range call.Keys.All() {
		texts = append(texts, key.Text())
	}
	c.note("%d calls: %s %s %v", n.self, call.Segment.Name, call.Verb, texts)
	switch {
	case over:
		c.find("%d calls Split, and its lease is over", n.self)
	case owner != n.self:
		c.find("%d calls Split for a tenant of %d", n.self, owner)
	}
}

// post sends a change of those keys that nobody else is sending a change of.
func (c *cluster) post(n *clusterNode, sent change) {
	c.mu.Lock()
	sent.keys = slices.DeleteFunc(slices.Clone(sent.keys), func(key string) bool { return c.model[placedKey{sent.place, key}].busy })
	for _, key := range sent.keys {
		m := c.model[placedKey{sent.place, key}]
		m.busy, m.may[sent.verb] = true, true
	}
	c.posts++
	c.mu.Unlock()
	c.running.Go(func() {
		if len(sent.keys) > 0 {
			c.send(n, sent)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.posts--
	})
}

// busy: somebody waits for the answer to a change of one of the keys.
func (c *cluster) busy(sent change) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(sent.keys, func(key string) bool { return c.model[placedKey{sent.place, key}].busy })
}

func (c *cluster) send(n *clusterNode, sent change) {
	tenant := c.tenants[sent.organisation]
	full := audience.Change{Token: tenant.Token, Segment: c.segment(sent.place), Verb: sent.verb}
	var keys audience.Packer
	for _, text := range sent.keys {
		c.must(keys.Add([]byte(text)))
	}
	full.Keys = keys.Keys()
	c.allowed.note(sent)
	c.note("post to %d: %v %v %v", n.self, sent.place, sent.verb, sent.keys)
	answers, gaveUp := make(chan bool, 1), make(chan struct{})
	over := time.NewTimer(callerWaits)
	defer over.Stop()
	c.running.Go(func() { answers <- n.accept(full, gaveUp) })
	answered, waiting := false, true
	select {
	case answered = <-answers:
	case <-over.C:
		waiting = false
		close(gaveUp)
	}
	if c.note("answered %v: %v %v %v", answered, sent.place, sent.verb, sent.keys); !answered && waiting {
		<-over.C
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, key := range sent.keys {
		m := c.model[placedKey{sent.place, key}]
		if m.busy = false; answered {
			m.may = map[audience.Verb]bool{sent.verb: true}
		}
	}
}

// owner is the node that the table gives a place's tenant to; nil: it is down.
func (c *cluster) owner(at place) *clusterNode {
	c.table.mu.Lock()
	id := c.table.slots[c.tenants[at.organisation].ID.Slot()]
	c.table.mu.Unlock()
	return c.life(id)
}

func (c *cluster) life(id placement.NodeID) *clusterNode {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.nodes {
		if n != nil && n.self == id {
			return n
		}
	}
	return nil
}

// nodeID is the life of the node of that number; 0: it is down.
func (c *cluster) nodeID(index int) placement.NodeID {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := c.nodes[index]; n != nil {
		return n.self
	}
	return 0
}

// wish has the owner of a place do something for an operator, in the background.
func (c *cluster) wish(at place, remedy status.Remedy, whole bool, until time.Duration) {
	n := c.owner(at)
	if n == nil {
		return
	}
	w := status.Wish{Remedy: remedy, Segment: c.segment(at), Who: "ana"}
	if whole {
		w.Segment = audience.Segment{Tenant: w.Segment.Tenant}
	}
	if until > 0 {
		w.Until = time.Now().Add(until)
	}
	c.note("%d is to %v %v", n.self, remedy, at)
	c.running.Go(func() {
		n.operate(func(ctx context.Context) error {
			_, err := n.relay.Remedy(ctx, w)
			return err
		})
	})
}
