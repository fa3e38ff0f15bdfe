package actors

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"audiences/audience"
	"audiences/sandbox"
	"audiences/splitclient"
)

var strangers = flag.Int("strangers", 5_000, "tenants that never deliver in TestStrangers and TestStrangersAfterRestart")

// trouble is what a call of a tenant whose token begins with such a word comes to,
// and after how long.
type trouble struct {
	takes   time.Duration
	outcome splitclient.Outcome
}

var troubles = map[string]trouble{
	"hanging":     {splitclient.DefaultTimeout, splitclient.Outcome{Kind: splitclient.Transient, Reason: splitclient.Timeout, Unknown: true}},
	"failing":     {latency, splitclient.Outcome{Kind: splitclient.Transient, Reason: splitclient.ServerError, Unknown: true}},
	"unreachable": {0, splitclient.Outcome{Kind: splitclient.Transient, Reason: splitclient.Unreachable}},
	"revoked":     {latency, splitclient.Outcome{Kind: splitclient.Permanent, Reason: splitclient.Unauthorized, Scope: splitclient.ScopeTenant}},
	"forbidden":   {latency, splitclient.Outcome{Kind: splitclient.Permanent, Reason: splitclient.Forbidden, Scope: splitclient.ScopeSegment}},
	"wrong":       {latency, splitclient.Outcome{Kind: splitclient.Permanent, Reason: splitclient.BadRequest, Scope: splitclient.ScopeKeys}},
	"throttled":   {latency, splitclient.Outcome{Kind: splitclient.Throttled, Reason: splitclient.ThrottledOrg, Delay: 5 * time.Second}},
}

// standIn stands for Split: it knows a tenant by the first word of its token. broken
// adds to those above, and may change meanwhile.
func standIn(broken func(word string) (trouble, bool)) func(context.Context, splitclient.Call) splitclient.Outcome {
	return func(ctx context.Context, c splitclient.Call) splitclient.Outcome {
		word, _, _ := strings.Cut(c.Token.Reveal(), "-")
		t, ok := troubles[word]
		if !ok && broken != nil {
			t, ok = broken(word)
		}
		if !ok {
			t = trouble{latency, splitclient.Outcome{Kind: splitclient.Delivered, Reason: splitclient.OK}}
		}
		select {
		case <-time.After(t.takes):
		case <-ctx.Done():
			return splitclient.Outcome{Kind: splitclient.Transient, Reason: splitclient.Cancelled}
		}
		t.outcome.Limits = splitclient.Limits{RemainingOrg: -1, RemainingIP: -1}
		return t.outcome
	}
}

// flood has so many new tenants post one key each, some of them every second.
func (b *bubble) flood(word string, tenants, perSecond int) {
	for n := 0; n < tenants; n += perSecond {
		var changes []numbered
		for i := n; i < min(n+perSecond, tenants); i++ {
			changes = append(changes, numbered{place{fmt.Sprintf("%s-%d", word, i), "s"}, audience.Add, []int64{int64(1_000_000 + i)}})
		}
		b.accept(changes...)
		time.Sleep(time.Second)
	}
}

// healthy are tenants in good order, whose keys are followed.
var healthy = crowd{name: "healthy", tenants: 20, segments: 3, every: 10 * time.Second}

// followed is how long the healthy tenants' keys wait from accept to Split, of those
// accepted since.
func (b *bubble) followed(since time.Time) (waits []time.Duration) {
	for _, c := range b.calls() {
		if c.outcome.Kind != splitclient.Delivered || !strings.HasPrefix(c.organisation, healthy.name) {
			continue
		}
		for _, key := range c.keys {
			n, _ := key.Numeric()
			if at := b.accepted[n]; !at.Before(since) {
				waits = append(waits, c.end.Sub(at))
			}
		}
	}
	slices.Sort(waits)
	return waits
}

// settleHealthy waits until nothing of the healthy tenants is pending.
func (b *bubble) settleHealthy() {
	b.t.Helper()
	var tokens []string
	for n := range healthy.tenants {
		tokens = append(tokens, healthy.token(n))
	}
	b.settle(10*time.Minute, tokens...)
}

// quiet is the p99 of healthy tenants with nobody beside them.
func quiet(t *testing.T, adjust func(*Options)) (p99 time.Duration) {
	inBubble(t, sandbox.Options{}, adjust, func(b *bubble) {
		b.live(time.Minute, healthy)
		since := time.Now()
		b.live(5*time.Minute, healthy)
		b.settleHealthy()
		p99 = percentile(b.followed(since), 99)
	})
	return p99
}

// TestStrangers: thousands of tenants that somebody made up, and whose calls fail in
// whatever way, leave those alone that have delivered before (I6): their p99 from
// accept to Split stays within a tenth of what it is without. Somebody new among
// them gets its turn soon.
func TestStrangers(t *testing.T) {
	for _, rate := range []float64{0, defaultCalls} {
		adjust := func(o *Options) {
			o.MaxCallsPerSecond = rate
			o.Deliver = standIn(nil)
		}
		without := quiet(t, adjust)
		words := map[string]int{"hanging": *strangers}
		for word := range troubles {
			words[word] = max(words[word], *strangers/10)
		}
		words["sound"] = *strangers / 10
		for word, tenants := range words {
			t.Run(fmt.Sprintf("%s, %v calls a second", word, rate), func(t *testing.T) {
				inBubble(t, sandbox.Options{}, adjust, func(b *bubble) {
					b.live(time.Minute, healthy)
					since := time.Now()
					b.flood(word, tenants, max(100, tenants/20))
					b.live(4*time.Minute, healthy)
					b.accept(numbered{place{"newcomer", "s"}, audience.Add, []int64{5_000_000}})
					asked := time.Now()
					b.live(time.Minute, healthy)
					b.settleHealthy()
					b.settle(time.Hour, "newcomer")
					waits := b.followed(since)
					with, wait := percentile(waits, 99), b.calledAt("newcomer").Sub(asked)
					t.Logf("%d keys of healthy tenants: p99 %v with, %v without %d others; a new tenant waited %v", len(waits), with, without, tenants, wait)
					if with > without*11/10 {
						t.Errorf("p99 %v, without them %v: more than a tenth worse", with, without)
					}
				})
			})
		}
	}
}

// calledAt is when the first call of a tenant began.
func (b *bubble) calledAt(token string) time.Time {
	b.t.Helper()
	for _, c := range b.calls() {
		if c.organisation == token {
			return c.at
		}
	}
	b.t.Fatalf("%s was not called", token)
	return time.Time{}
}
