package actors

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing/synctest"
	"time"

	"audiences/audience"
	"audiences/sandbox"
	"audiences/status"
)

// clusterHistory is what happens to a cluster.
type clusterHistory struct {
	nodes int
	seed  uint64 // of how long things take, and what gets lost
	steps []clusterStep
}

// clusterStep is one thing that happens. Which of its fields mean something depends on what
// it is.
type clusterStep struct {
	what string
	node int
	at   place
	verb audience.Verb
	keys []string
	d    time.Duration
	rule sandbox.Rule
}

// String is the step as Go, so that what failed can become a test.
func (s clusterStep) String() string {
	text := fmt.Sprintf("{what: %q, node: %d", s.what, s.node)
	if s.at != (place{}) {
		text += fmt.Sprintf(", at: place{%q, %q}", s.at.organisation, s.at.name)
	}
	if s.keys != nil {
		text += fmt.Sprintf(", verb: %d, keys: %#v", s.verb, s.keys)
	}
	if s.d != 0 {
		text += fmt.Sprintf(", d: %d", s.d)
	}
	if s.rule.Kind != "" {
		text += fmt.Sprintf(", rule: %#v", s.rule)
	}
	return text + "}"
}

// String is the history, a step a line.
func (h clusterHistory) String() string {
	text := fmt.Sprintf("%d nodes, seed %d", h.nodes, h.seed)
	for _, s := range h.steps {
		text += "\n" + s.String()
	}
	return text
}

// drawn numbers from 0 to n-1.
type drawNumber func(n int, what string) int

func drawHistory(draw drawNumber, steps int, whats []string) clusterHistory {
	h := clusterHistory{nodes: 2 + draw(2, "third node"), seed: uint64(draw(1<<30, "seed"))}
	for range steps {
		h.steps = append(h.steps, drawClusterStep(draw, whats))
	}
	return h
}

// clusterWhats are the kinds of steps, each as often as it is to be drawn.
var clusterWhats = func() (all []string) {
	for _, some := range []struct {
		n    int
		what string
	}{
		{10, "post"}, {4, "posts"}, {6, "opposite"}, {6, "wait"}, {3, "still"}, {3, "silent"}, {1, "cut"}, {2, "slow"}, {1, "slowCommits"},
		{2, "inside"}, {2, "crash"}, {2, "leave"}, {1, "clock"}, {3, "fault"}, {1, "heal"}, {1, "pause"}, {1, "resume"}, {1, "retry"},
	} {
		all = append(all, slices.Repeat([]string{some.what}, some.n)...)
	}
	return all
}()

func drawOf[T any](draw drawNumber, what string, from ...T) T { return from[draw(len(from), what)] }

func drawClusterStep(draw drawNumber, whats []string) clusterStep {
	const ms = time.Millisecond
	s := clusterStep{what: drawOf(draw, "what", whats...)}
	switch s.what {
	case "post", "posts":
		s.node, s.at = draw(3, "node"), drawOf(draw, "place", clusterPlaces...)
		s.verb = drawOf(draw, "verb", audience.Add, audience.Delete)
		for bits, i := 1+draw(1<<len(clusterKeys)-1, "keys"), 0; i < len(clusterKeys); i++ {
			if bits>>i&1 == 1 {
				s.keys = append(s.keys, clusterKeys[i])
			}
		}
	case "clock":
		s.d = drawOf(draw, "d", 1500*ms, 400*ms, 2900*ms, 3200*ms, 60_000*ms)
	case "wait":
		s.d = drawOf(draw, "d", 1*ms, 50*ms, 300*ms, 1000*ms, 2500*ms, 5000*ms)
	case "opposite", "inside":
		s.node = draw(3, "node")
	case "still", "silent", "cut", "crash", "leave":
		s.node = draw(3, "node")
		s.d = drawOf(draw, "d", 1000*ms, 20*ms, 300*ms, 700*ms, 1500*ms, 3100*ms, 5000*ms, 12000*ms, 30000*ms)
	case "slow", "slowCommits":
		s.node, s.d = draw(3, "node"), drawOf(draw, "d", 1*ms, 20*ms, 200*ms, 600*ms)
	case "fault":
		s.rule = drawClusterFault(draw)
	case "pause", "resume", "retry":
		s.at, s.node = drawOf(draw, "place", clusterPlaces...), draw(2, "whole")
		if s.what == "pause" {
			s.d = drawOf(draw, "until", 0, 5*time.Second)
		}
	}
	return s
}

func drawClusterFault(draw drawNumber) sandbox.Rule {
	rule := drawOf(draw, "fault",
		sandbox.Rule{Kind: sandbox.Status, Code: 500},
		sandbox.Rule{Kind: sandbox.Status, Code: 503, Applied: true},
		sandbox.Rule{Kind: sandbox.Status, Code: 404},
		sandbox.Rule{Kind: sandbox.Throttle, Reset: time.Second},
		sandbox.Rule{Kind: sandbox.Throttle, Reset: time.Second, Scope: sandbox.IP},
		sandbox.Rule{Kind: sandbox.Hang},
		sandbox.Rule{Kind: sandbox.Hang, Applied: true},
		sandbox.Rule{Kind: sandbox.Slow, Delay: 300 * time.Millisecond},
		sandbox.Rule{Kind: sandbox.Slow, Delay: 1500 * time.Millisecond},
		sandbox.Rule{Kind: sandbox.Slow, Delay: 4 * time.Second},
		sandbox.Rule{Kind: sandbox.Reset, Applied: true},
		sandbox.Rule{Kind: sandbox.Conflict},
		sandbox.Rule{Kind: sandbox.Unauthorized},
		sandbox.Rule{Kind: sandbox.Forbidden},
		sandbox.Rule{Kind: sandbox.EmptyBadRequest},
		sandbox.Rule{Kind: sandbox.Poison, Key: "1"},
		sandbox.Rule{Kind: sandbox.Poison, Key: "a"},
		sandbox.Rule{Kind: sandbox.TooLarge, Keys: 1},
	)
	if draw(2, "counted") == 0 {
		rule.Count = 1 + draw(3, "count")
	} else {
		rule.For = time.Duration(1+draw(20, "seconds")) * time.Second
	}
	return rule
}

// play has the history happen, in a bubble, and tells what was wrong; and the story of it.
func (h clusterHistory) play(fail interface {
	Helper()
	Fatal(...any)
}, off without) (findings []string, story func() string) {
	c := newCluster(fail, off, h.seed, h.nodes)
	time.Sleep(time.Second)
	for _, s := range h.steps {
		c.do(s)
	}
	c.rest()
	c.close()
	return c.findings, c.story
}

func (c *cluster) do(s clusterStep) {
	n := c.node(s.node)
	switch s.what {
	case "wait":
		time.Sleep(s.d)
		return
	case "clock":
		c.note("the table's clock is set ahead by %v", s.d)
		c.table.mu.Lock()
		c.table.setAhead += s.d
		c.table.mu.Unlock()
		return
	case "opposite":
		c.changeAgain(s.node)
		time.Sleep(20 * time.Millisecond)
		return
	case "inside": // the next step finds a change on its way
		c.changeAgain(s.node)
		time.Sleep(c.lots.upTo(20 * time.Millisecond))
		return
	case "fault":
		c.note("fault %+v", s.rule)
		c.split.Fault(s.rule)
		return
	case "heal":
		c.split.ClearFaults()
		return
	case "pause":
		c.wish(s.at, status.Pause, s.node == 1, s.d)
		return
	case "resume":
		c.wish(s.at, status.Resume, s.node == 1, 0)
		return
	case "retry":
		c.wish(s.at, status.Retry, false, 0)
		return
	}
	if n == nil {
		time.Sleep(100 * time.Millisecond)
		return
	}
	switch s.what {
	case "post", "posts":
		c.last = change{s.at, s.verb, s.keys}
		c.post(n, c.last)
		if s.what == "posts" {
			synctest.Wait() // and the next step follows at once
		} else {
			time.Sleep(20 * time.Millisecond)
		}
	case "still":
		n.stand(s.d)
	case "silent", "cut":
		c.disturb(n, s)
	case "slow":
		n.journal.slow.Store(int64(s.d))
	case "slowCommits":
		n.journal.commits.Store(int64(s.d))
	case "crash":
		c.running.Go(func() {
			n.crash()
			c.again(n, s.d)
		})
	case "leave":
		n.leave(s.d)
	}
}

// changeAgain sends the opposite of the last change, at any node, once its caller does not
// wait any more.
func (c *cluster) changeAgain(node int) {
	again := c.last
	if again.verb == 0 {
		return
	}
	again.verb = again.verb.Opposite()
	for c.busy(again) {
		time.Sleep(50 * time.Millisecond)
	}
	if n := c.node(node); n != nil {
		c.last = again
		c.post(n, again)
	}
}

// disturb has the node's link to the table silent, or cut, for a while.
func (c *cluster) disturb(n *clusterNode, s clusterStep) {
	c.note("the link of %d is %s for %v", n.self, s.what, s.d)
	if s.what == "cut" {
		n.journal.cut()
	} else if !n.journal.silent.close() {
		return
	}
	c.running.Go(func() {
		select {
		case <-time.After(s.d):
		case <-c.healed:
		}
		c.note("the link of %d works", n.self)
		if s.what == "cut" {
			n.journal.mend()
		} else {
			n.journal.silent.open()
		}
	})
}

// rest heals everything and waits until nothing is pending, and compares.
func (c *cluster) rest() {
	c.note("everything is healed")
	close(c.healed)
	c.split.ClearFaults()
	c.mu.Lock()
	for _, n := range c.nodes {
		if n != nil {
			n.journal.slow.Store(int64(clusterSlow))
			n.journal.commits.Store(0)
		}
	}
	c.mu.Unlock()
	for waited := time.Duration(0); !c.quiet(); waited += time.Second {
		if waited > 10*time.Minute {
			c.table.mu.Lock()
			waiting := c.table.waiting()
			c.table.mu.Unlock()
			c.find("at rest there is:%s", waiting)
			return
		}
		if waited%(5*time.Second) == 0 {
			c.remedy()
		}
		time.Sleep(time.Second)
	}
	c.compare()
	c.compareNodes()
}

// quiet: no post is under way, and nothing is left to deliver.
func (c *cluster) quiet() bool {
	c.mu.Lock()
	posts := c.posts
	c.mu.Unlock()
	c.table.mu.Lock()
	defer c.table.mu.Unlock()
	return posts == 0 && c.table.waiting() == ""
}

// remedy does what an operator has to: pauses are ended, and what Split refused is tried again.
func (c *cluster) remedy() {
	for _, at := range clusterPlaces {
		name := c.segment(at)
		c.table.mu.Lock()
		s, paused, parked := c.table.segments[name], c.table.tenants[name.Tenant] != nil && c.table.tenants[name.Tenant].state.Paused, false
		pausedSegment := s != nil && s.state.Paused
		parked = s != nil && len(s.parked) > 0
		c.table.mu.Unlock()
		if paused {
			c.wish(at, status.Resume, true, 0)
		}
		if pausedSegment {
			c.wish(at, status.Resume, false, 0)
		}
		if parked {
			c.wish(at, status.Retry, false, 0)
		}
	}
}

// compare holds Split against the model (I2, I3).
func (c *cluster) compare() {
	for _, at := range clusterPlaces {
		members := c.split.Members(at.organisation, "env", at.name)
		for _, key := range clusterKeys {
			may := c.model[placedKey{at, key}].may
			if has := slices.Contains(members, key); has && !may[audience.Add] || !has && !may[audience.Delete] && !may[0] {
				c.find("Split has %s of %v: %v, and that cannot be: %v", key, at, has, c.split.History(at.organisation, "env", at.name, key))
			}
		}
	}
	for _, v := range c.split.Violations() {
		if v.Promise != sandbox.TooSoon { // a node does not know at once what another one was told
			c.find("broken promise: %v", v)
		}
	}
}

// compareNodes: each slot has one owner, which knows that, and no node holds keys.
func (c *cluster) compareNodes() {
	time.Sleep(4*clusterIdle + clusterLease)
	c.table.mu.Lock()
	for slot, id := range c.table.slots {
		if !c.table.alive(id) {
			c.find("slot %d has no owner", slot)
			break
		}
	}
	c.table.mu.Unlock()
	for _, at := range clusterPlaces {
		owner := c.owner(at)
		for i := range c.nodes {
			n := c.life(c.nodeID(i))
			if n == nil {
				continue
			}
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			_, err := n.relay.Inspect(ctx, c.segment(at))
			cancel()
			if !errors.Is(err, status.ErrUnknown) && (err == nil) != (n == owner) {
				c.find("%d owns %v: %v, and says of it: %v", n.self, at, n == owner, err)
			}
		}
	}
	for i := range c.nodes {
		if n := c.life(c.nodeID(i)); n != nil && n.relay.inMemory.Load() != 0 {
			c.find("%d has %d keys in memory", n.self, n.relay.inMemory.Load())
		}
	}
}

// close takes everything down.
func (c *cluster) close() {
	c.mu.Lock()
	c.closing = true
	nodes := slices.Clone(c.nodes)
	c.mu.Unlock()
	for _, n := range nodes {
		if n != nil {
			n.crash()
		}
	}
	c.running.Wait()
	c.client.Close()
	c.pipe.Close()
	c.split.Close()
	time.Sleep(2 * time.Second) // as in site.leave
}
