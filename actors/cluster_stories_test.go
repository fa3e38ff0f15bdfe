package actors

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"audiences/audience"
	"audiences/sandbox"
)

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
		c.nodes = append(c.nodes, c.begin(1))
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
