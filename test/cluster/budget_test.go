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

var budgetFor = flag.Duration("cluster.budget", 20*time.Second, "how long TestAddressBudget lasts")

// TestAddressBudget: three nodes behind one address use what Split allows it, and no more,
// while nodes come and go.
func TestAddressBudget(t *testing.T) {
	t.Parallel()
	const allowed = 40 // calls a second
	s := newSite(t, map[string]any{"maxCallsPerSecond": 0.95 * allowed, "segmentsFlushRateInSeconds": 0.1},
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
	for time.Since(began) < *budgetFor {
		time.Sleep(5 * time.Second)
		victim := s.all()[0]
		victim.process.Kill()
		s.forget(victim)
		time.Sleep(2 * time.Second)
		s.begin()
	}
	after, took := s.Split.Counts(), time.Since(began).Seconds()
	calls, refused := after.Calls-before.Calls, after.Statuses[429]-before.Statuses[429]
	used := float64(calls) / took / allowed
	t.Logf("%d calls in %.0f s: %.0f %% of what the address may do; %d were answered 429", calls, took, 100*used, refused)
	if refused*1000 > calls {
		t.Errorf("%d of %d calls were answered 429", refused, calls)
	}
	if used > 1 {
		t.Errorf("more calls than the address may make")
	}
	close(stop)
	<-done
}
