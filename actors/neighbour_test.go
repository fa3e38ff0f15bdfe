package actors

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"audiences/audience"
	"audiences/sandbox"
	"audiences/splitclient"
)

// crowd is so many tenants with so many segments each, every one of which gets a
// key now and then.
type crowd struct {
	name              string
	tenants, segments int
	every             time.Duration // on average
	fault             *sandbox.Rule // what Split does to them; Token is filled in
}

func (c crowd) token(i int) string { return fmt.Sprintf("%s-%d", c.name, i) }

// live lets the crowds get their keys for a while.
func (b *bubble) live(during time.Duration, crowds ...crowd) {
	const tick = 100 * time.Millisecond
	key, random := int64(0), make([]*rand.Rand, len(crowds))
	for i, c := range crowds {
		random[i] = rand.New(rand.NewPCG(uint64(len(c.name)), 5)) // the same for a crowd whoever else is there
		for n := range c.tenants {
			if c.fault != nil {
				rule := *c.fault
				rule.Token = c.token(n)
				b.split.Fault(rule)
			}
		}
	}
	for range during / tick {
		var changes []numbered
		for i, c := range crowds {
			for n := range c.tenants * c.segments {
				if random[i].Float64()*float64(c.every) < float64(tick) {
					key++
					at := place{c.token(n % c.tenants), fmt.Sprintf("s%d", n/c.tenants)}
					changes = append(changes, numbered{at, audience.Add, []int64{key}})
				}
			}
		}
		b.accept(changes...)
		time.Sleep(tick)
	}
}

// freshnessOf is the freshness of one crowd's keys.
func (b *bubble) freshnessOf(c crowd) []time.Duration {
	of := map[string]bool{}
	for n := range c.tenants {
		of[c.token(n)] = true
	}
	return b.freshness(func(call sentCall) bool { return of[call.organisation] })
}

// TestNoisyNeighbour: a huge tenant, one in a 429 storm, one whose calls hang and
// one with a revoked token want more than all that may be sent, and leave the 20
// healthy ones alone (I6): their p99 from accept to Split stays within a tenth.
func TestNoisyNeighbour(t *testing.T) {
	healthy := crowd{name: "healthy", tenants: 20, segments: 10, every: 10 * time.Second}
	noise := []crowd{
		{name: "huge", tenants: 1, segments: 300, every: 5 * time.Second},
		{name: "storm", tenants: 1, segments: 1000, every: 30 * time.Second, fault: &sandbox.Rule{Kind: sandbox.Throttle}},
		{name: "hanging", tenants: 1, segments: 200, every: 30 * time.Second, fault: &sandbox.Rule{Kind: sandbox.Hang}},
		{name: "revoked", tenants: 1, segments: 200, every: 30 * time.Second, fault: &sandbox.Rule{Kind: sandbox.Unauthorized}},
	}
	// Of both runs with noise together: who happens to be asked first decides a percent
	// of the p99 of one.
	all := map[string][]time.Duration{}
	loud := append([]crowd{healthy}, noise...)
	for _, c := range []struct {
		name   string
		crowds []crowd
	}{
		{"without noise", []crowd{healthy}},
		{"with noise", loud},
		{"with noise", loud},
	} {
		inBubble(t, sandbox.Options{Faults: []sandbox.Rule{slow}}, nil, func(b *bubble) {
			b.live(5*time.Minute, c.crowds...)
			calls := perTenant(b.calls(), func(sentCall) int { return 1 })
			var tokens []string
			for n := range healthy.tenants {
				tokens = append(tokens, healthy.token(n))
			}
			b.settle(time.Minute, tokens...)
			waits := b.freshnessOf(healthy)
			all[c.name] = slices.Sorted(slices.Values(append(all[c.name], waits...)))
			t.Logf("%-13s accept to Split of %d keys of healthy tenants: p50 %v, p99 %v, last %v; calls: %d for healthy-0, %d huge, %d in the storm, %d hanging, %d revoked",
				c.name, len(waits), percentile(waits, 50).Round(time.Millisecond), percentile(waits, 99).Round(time.Millisecond), waits[len(waits)-1].Round(time.Millisecond),
				calls[healthy.token(0)], calls["huge-0"], calls["storm-0"], calls["hanging-0"], calls["revoked-0"])
		})
	}
	if without, with := percentile(all["without noise"], 99), percentile(all["with noise"], 99); with > without*11/10 {
		t.Errorf("p99 %v with noise, %v without: more than a tenth worse", with, without)
	}
}

// TestHangingTenantsLeaveSlots: tenants whose calls hang do not get all the calls
// that may be under way at once, not even when there are several of them and no
// rate holds them back: the healthy one's keys are sent the moment they are due.
func TestHangingTenantsLeaveSlots(t *testing.T) {
	hanging := crowd{name: "hanging", tenants: 3, segments: 50, every: 5 * time.Second, fault: &sandbox.Rule{Kind: sandbox.Hang}}
	healthy := crowd{name: "healthy", tenants: 1, segments: 10, every: 10 * time.Second}
	adjust := func(o *Options) {
		o.MaxConcurrentCalls, o.MaxCallsPerSecond, o.MaxCallsPerSecondPerTenant = 16, 0, 0
	}
	inBubble(t, sandbox.Options{}, adjust, func(b *bubble) {
		b.live(5*time.Minute, healthy, hanging)
		b.settle(time.Minute, healthy.token(0))
		waits := b.freshnessOf(healthy)
		timeouts := 0
		for _, c := range b.calls() {
			if c.outcome.Reason == splitclient.Timeout {
				timeouts++
			}
		}
		t.Logf("%d keys, accept to Split: p50 %v, last %v; %d calls hung", len(waits), percentile(waits, 50), waits[len(waits)-1], timeouts)
		if worst := waits[len(waits)-1]; worst > 10*time.Second {
			t.Errorf("a key of the healthy tenant waited %v, want at most its flush interval", worst)
		}
	})
}
