package actors

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"audiences/audience"
	"audiences/sandbox"
	"audiences/status"
)

// setNode puts a life of a node in the place of another one, which is not begun again.
func (c *cluster) setNode(index int, n *clusterNode) (before *clusterNode) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.nodes) <= index {
		c.nodes = append(c.nodes, nil)
	}
	before, c.nodes[index] = c.nodes[index], n
	return before
}

// inCluster tells one story of several nodes; fences are on.
func inCluster(t *testing.T, nodes int, story func(*cluster)) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, without{}, 1, nodes)
		time.Sleep(clusterLease)
		story(c)
		c.rest()
		c.close()
		if len(c.findings) > 0 {
			t.Errorf("%v\nthe story: %s", c.findings, c.story())
		}
	})
}

// TestHandOverOfDormantTenants: what a tenant that dozes has in flight is not counted as in
// memory any more once another node owns it. The first seed of the model that failed.
func TestHandOverOfDormantTenants(t *testing.T) {
	inCluster(t, 1, func(c *cluster) {
		c.split.Fault(sandbox.Rule{Kind: sandbox.Status, Code: 500})
		for _, at := range clusterPlaces {
			c.post(c.nodes[0], change{at, audience.Add, clusterKeys})
		}
		time.Sleep(time.Minute)
		first := c.nodes[0]
		if first.relay.inMemory.Load() == 0 {
			t.Fatal("no call is to be repeated")
		}
		c.setNode(1, c.begin(1))
		time.Sleep(time.Second) // until the first one has heard of it
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		first.place.Leave(ctx)
		if n := first.relay.inMemory.Load(); n != 0 {
			t.Errorf("%d keys are counted as in memory, and it owns no tenant", n)
		}
		first.leave(time.Second)
	})
}

// TestChangeDuringHandOver: while the last call of a slot that goes to another node is under
// way, its former owner accepts a newer change of a key in it, in the same group as one that
// the segment knows of. The settle of the call leaves the newer change where it is (F2).
func TestChangeDuringHandOver(t *testing.T) {
	inCluster(t, 2, func(c *cluster) {
		at := place{"one", "sA"}
		former := c.owner(at)
		post := func(n *clusterNode, verb audience.Verb, key string) { c.post(n, change{at, verb, []string{key}}) }
		c.split.Fault(sandbox.Rule{Kind: sandbox.Slow, Delay: 2 * time.Second, Count: 1})
		post(former, audience.Add, "1")
		time.Sleep(clusterFlush - 50*time.Millisecond)

		var groups door // none is written while it is shut
		groups.close()
		former.holdGroups.Store(&groups)
		post(former, audience.Add, "a")
		time.Sleep(20 * time.Millisecond)
		former.journal.silent.close()
		time.Sleep(80 * time.Millisecond) // now key 1 is being read, for a call
		post(former, audience.Add, "b")   // and this one begins another group, which the segment hears of
		time.Sleep(20 * time.Millisecond)
		former.journal.silent.open()
		time.Sleep(50 * time.Millisecond) // key 1 is in flight
		former.leave(time.Minute)
		time.Sleep(50 * time.Millisecond) // no call begins here any more
		post(former, audience.Delete, "1")
		time.Sleep(50 * time.Millisecond)
		groups.open()
		time.Sleep(10 * time.Second)
	})
}

// TestLateBeat: a beat that released slots, and comes once more when the node owns them
// anew, frees none of them: a call may be under way.
func TestLateBeat(t *testing.T) {
	inCluster(t, 1, func(c *cluster) {
		first := c.nodes[0]
		c.setNode(1, c.begin(1))
		time.Sleep(clusterLease)
		at := clusterPlaces[slices.IndexFunc(clusterPlaces, func(at place) bool { return c.owner(at) != first })]
		late := first.journal.release.Load()
		c.setNode(1, nil).leave(0)
		time.Sleep(clusterLease)
		c.split.Fault(sandbox.Rule{Kind: sandbox.Slow, Delay: 4 * time.Second})
		c.post(first, change{at, audience.Add, clusterKeys})
		time.Sleep(clusterFlush + 500*time.Millisecond) // the call is under way
		c.setNode(1, c.begin(1))
		time.Sleep(500 * time.Millisecond)
		first.leave(0)
		time.Sleep(100 * time.Millisecond) // and the call is waited for
		c.table.mu.Lock()
		c.table.beat(first.self, late.number, late.Beat)
		c.table.mu.Unlock()
		time.Sleep(10 * time.Second)
	})
}

// TestClaimDuringStop: a replay that a claim is about to begin does not begin once a stop
// waits for those under way: the journal may be closed by then. The race detector found it in
// the model.
func TestClaimDuringStop(t *testing.T) {
	inCluster(t, 1, func(c *cluster) {
		n, begun := c.setNode(0, nil), 0
		relay := n.relay
		relay.placing.unlessEnded(func() { begun++ })
		stopped, cancel := context.WithCancel(context.Background())
		cancel()
		n.stopRelay(stopped)
		n.crash()
		c.setNode(0, c.begin(0))
		relay.placing.unlessEnded(func() { begun++ })
		if begun != 1 {
			t.Errorf("%d of 1 replays began", begun)
		}
	})
}

// TestHandOverAfterCrash: calls are under way whose segments have crashed, and know of them no
// more. Their slots go to another node when the calls have ended, not before (I4).
func TestHandOverAfterCrash(t *testing.T) {
	inCluster(t, 1, func(c *cluster) {
		former := c.nodes[0]
		for _, at := range clusterPlaces {
			c.post(former, change{at, audience.Add, []string{"3"}})
		}
		time.Sleep(10 * time.Second) // now the tenants are proven
		c.split.Fault(sandbox.Rule{Kind: sandbox.Slow, Delay: 4 * time.Second, Count: 3})
		for _, at := range clusterPlaces {
			c.post(former, change{at, audience.Add, []string{"1"}})
		}
		time.Sleep(clusterFlush + 500*time.Millisecond) // calls are under way
		former.crashes.Store(int32(len(clusterPlaces)))
		for _, at := range clusterPlaces {
			c.post(former, change{at, audience.Add, []string{"2"}})
		}
		time.Sleep(100 * time.Millisecond)
		if former.crashes.Load() > 0 {
			t.Error("not all segments have crashed")
		}
		c.setNode(1, c.begin(1))
		time.Sleep(20 * time.Second)
		if !slices.ContainsFunc(clusterPlaces, func(at place) bool { return c.owner(at) != former }) {
			t.Error("no slot was handed over")
		}
	})
}

// TestClaimThatCannotRead: a node that takes slots over, and cannot read their tenants at first,
// knows of their pauses before it calls.
func TestClaimThatCannotRead(t *testing.T) {
	inCluster(t, 2, func(c *cluster) {
		at := place{"one", "sA"}
		former := c.owner(at)
		other := c.nodes[0]
		if other == former {
			other = c.nodes[1]
		}
		c.post(former, change{at, audience.Add, []string{"1"}})
		time.Sleep(10 * time.Second)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		tenant := audience.Segment{Tenant: c.tenants[at.organisation].ID}
		if _, err := former.relay.Remedy(ctx, status.Wish{Segment: tenant, Remedy: status.Pause}); err != nil {
			t.Fatal(err)
		}
		c.post(other, change{at, audience.Add, []string{"2"}})
		time.Sleep(time.Second)
		calls := c.split.Counts().Calls
		other.journal.failTenants.Store(1)
		c.setNode(former.index, nil)
		former.leave(time.Hour)
		time.Sleep(10 * time.Second)
		c.post(other, change{at, audience.Add, []string{"3"}})
		time.Sleep(10 * time.Second)
		if n := c.split.Counts().Calls - calls; n > 0 || c.owner(at) != other || other.journal.failTenants.Load() >= 0 {
			t.Errorf("%d calls of a tenant that is paused; taken over: %v", n, c.owner(at) == other)
		}
		if _, err := other.relay.Remedy(ctx, status.Wish{Segment: tenant, Remedy: status.Resume}); err != nil {
			t.Error(err)
		}
	})
}

// TestDeliveryOffOfNodes: what a node owns whose delivery is switched off is held, also
// where another such node takes it over. It goes out when nodes that deliver own it.
func TestDeliveryOffOfNodes(t *testing.T) {
	inCluster(t, 2, func(c *cluster) {
		node := func(index int) *clusterNode {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.nodes[index]
		}
		replaceAll := func() {
			for index := range 2 {
				node(index).leave(time.Second)
				time.Sleep(40 * time.Second) // until it has begun anew
			}
		}
		c.off = true
		replaceAll()
		for _, at := range clusterPlaces {
			c.post(node(0), change{at, audience.Add, clusterKeys})
		}
		time.Sleep(time.Minute)
		node(0).leave(time.Second)
		time.Sleep(time.Minute)
		if calls := c.split.Counts().Calls; calls > 0 {
			t.Errorf("%d calls were made", calls)
		}
		c.off = false
		replaceAll()
		for _, at := range clusterPlaces {
			if got := c.split.Members(at.organisation, "env", at.name); len(got) != len(clusterKeys) {
				t.Errorf("%s of %s has %q", at.name, at.organisation, got)
			}
		}
	})
}
