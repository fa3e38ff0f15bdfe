//go:build e2e

package cluster

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"audiences/sandbox"
	"audiences/test/harness"
)

var (
	budgetFor   = flag.Duration("cluster.budget", 20*time.Second, "how long TestAddressBudget lasts")
	budgetKills = flag.Duration("cluster.every", 7*time.Second, "TestAddressBudget kills a node each time")
)

// TestAddressBudget: three nodes behind one address use what Split allows it, and no more,
// while nodes come and go. A node that was killed keeps its third until its lease is over:
// with a kill every fifteen seconds and a lease of 3 s that is 7 %, every seven seconds with a
// lease of 5 s it is 24 %. Another 5 % are left out by the configuration.
func TestAddressBudget(t *testing.T) {
	t.Parallel()
	const allowed, configured = 40, 38 // calls a second
	s := newSite(t, map[string]any{"maxCallsPerSecond": configured, "segmentsFlushRateInSeconds": 0.1},
		func(o *sandbox.Options) {
			o.Limits = sandbox.Limits{IP: sandbox.Limit{Calls: 10 * allowed, Window: 10 * time.Second}}
		})
	for range 3 {
		s.begin()
	}
	s.spread()
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() { // a hundred segments that always have something to send
		defer close(done)
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			c := harness.Change{Token: fmt.Sprint("token-", n%20), Segment: fmt.Sprint("s", n/20%5), Keys: []string{fmt.Sprint(n)}}
			s.ledger.Try(c)
			for _, node := range s.all() {
				if node.process.PostKept(t.Context(), c) == nil {
					s.ledger.Accept(c)
					break
				}
			}
			time.Sleep(2 * time.Millisecond)
		}
	}()
	time.Sleep(5 * time.Second)
	before, began := s.Split.Counts(), time.Now()
	killed := 0
	for time.Since(began) < *budgetFor {
		round := time.Now()
		time.Sleep(*budgetKills - 2*time.Second)
		victim := s.all()[0]
		victim.process.Kill()
		s.forget(victim)
		killed++
		time.Sleep(2 * time.Second)
		s.begin()
		time.Sleep(time.Until(round.Add(*budgetKills)))
	}
	after, took := s.Split.Counts(), time.Since(began).Seconds()
	calls, refused := after.Calls-before.Calls, after.Statuses[429]-before.Statuses[429]
	used := float64(calls) / took / allowed
	most := float64(configured) / allowed * (1 - float64(killed)*leaseTime.Seconds()/3/took) // a dead node has a third
	t.Logf("%d calls in %.0f s with %d kills: %.0f %% of what the address may do, of %.0f %% with these kills; %d were answered 429", calls, took, killed, 100*used, 100*most, refused)
	if refused*1000 > calls {
		t.Errorf("%d of %d calls were answered 429", refused, calls)
	}
	if used > 1 {
		t.Errorf("more calls than the address may make")
	}
	close(stop)
	<-done
}
