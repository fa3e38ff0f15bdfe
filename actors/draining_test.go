package actors

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"audiences/actors/pace"
	"audiences/audience"
	"audiences/sandbox"
)

// TestStopWithSplitDead: a dead destination is not tried by every segment. The stop
// takes about the time of one call, and makes few; with Split up it flushes all.
func TestStopWithSplitDead(t *testing.T) {
	const deadline = 25 * time.Second
	hangs := troubles["hanging"].takes
	for tenants, segments := range map[int]int{1: 1_000, 500: 500} {
		for name, c := range map[string]struct {
			takes time.Duration
			calls int
		}{"hanging": {hangs, 64}, "unreachable": {0, 64 + pace.MostFailures}, "failing": {latency, 64 + pace.MostFailures}, "up": {0, segments}} {
			t.Run(fmt.Sprintf("%d tenants, %s", tenants, name), func(t *testing.T) {
				dead := ""
				adjust := func(o *Options) {
					o.FlushInterval, o.IdleTimeout, o.MaxCallsPerSecond, o.MaxCallsPerSecondPerTenant = time.Hour, 24*time.Hour, 0, 0
					o.Deliver = standIn(func(string) (trouble, bool) { is, ok := troubles[dead]; return is, ok })
				}
				inBubble(t, sandbox.Options{}, adjust, func(b *bubble) {
					for round := range 2 { // the first proves the tenants
						for n := range segments {
							b.accept(numbered{place{fmt.Sprintf("t-%d", n%tenants), fmt.Sprintf("s%d", n)}, audience.Add, []int64{int64(round*segments + n)}})
						}
						if round == 0 {
							b.settle(2 * time.Hour)
						}
					}
					dead = name
					before, began := len(b.calls()), time.Now()
					ctx, cancel := context.WithTimeout(context.Background(), deadline)
					defer cancel()
					b.relay.Stop(ctx)
					took, calls, left := time.Since(began), len(b.calls())-before, len(b.pending())
					t.Logf("the stop took %v and made %d calls; %d segments are left", took, calls, left)
					if name == "up" {
						if left > 0 {
							t.Errorf("%d segments were not flushed", left)
						}
						return
					}
					if took > c.takes+pace.MostFailures*latency || calls > c.calls {
						t.Errorf("the stop took %v and made %d calls; want about the %v of one call, and at most %d", took, calls, c.takes, c.calls)
					}
					if left != segments {
						t.Errorf("%d segments have keys left, want %d (I3)", left, segments)
					}
				})
			})
		}
	}
}

// TestStopBesideTheDead: neither unproven tenants whose calls hang nor a tenant that has
// begun to hang keep the stop from flushing the others, whose rate is limited.
func TestStopBesideTheDead(t *testing.T) {
	const tenants = 100
	hung := false
	adjust := func(o *Options) {
		o.MaxCallsPerSecond = defaultCalls
		o.FlushInterval = time.Minute
		o.Deliver = standIn(func(word string) (trouble, bool) { return troubles["hanging"], hung && word == "once" })
	}
	inBubble(t, sandbox.Options{}, adjust, func(b *bubble) {
		post := func(key int64) {
			for n := range tenants {
				b.accept(numbered{place{fmt.Sprintf("sound-%d", n), "s"}, audience.Add, []int64{key + int64(n)}})
				b.accept(numbered{place{"once-0", fmt.Sprintf("s%d", n)}, audience.Add, []int64{key + 1000 + int64(n)}})
			}
		}
		post(0)
		b.settle(10 * time.Minute)
		b.flood("hanging", 1_000, 100)
		time.Sleep(2 * time.Minute)
		hung = true
		post(10_000)
		ctx, cancel := context.WithTimeout(context.Background(), 25*time.Second)
		defer cancel()
		began := time.Now()
		b.relay.Stop(ctx)
		t.Logf("the stop took %v", time.Since(began))
		for _, segment := range b.pending() {
			if segment.Name == "s" && strings.HasPrefix(b.organisation(segment.Tenant), "sound") {
				t.Errorf("keys of %s were not flushed", b.organisation(segment.Tenant))
			}
		}
	})
}

// organisation is the token of a tenant that something was accepted for.
func (b *bubble) organisation(id audience.TenantID) string {
	for at := range b.model {
		if b.tenant(at.organisation).ID == id {
			return at.organisation
		}
	}
	return ""
}
