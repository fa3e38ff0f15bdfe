package actors

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"

	"audiences/audience"
	"audiences/journal"
	"audiences/sandbox"
	"audiences/splitclient"
)

var unprovenCount = flag.Int("unproven", 2_000, "tenants that never deliver in TestUnproven and TestUnprovenAfterRestart")

// trouble is what a call of a tenant whose token begins with such a word comes to,
// and after how long.
type trouble struct {
	takes   time.Duration
	outcome splitclient.Outcome
}

var troubles = map[string]trouble{
	"hanging":     {splitclient.DefaultTimeout, splitclient.Outcome{Kind: splitclient.Transient, Reason: splitclient.Timeout}},
	"failing":     {latency, splitclient.Outcome{Kind: splitclient.Transient, Reason: splitclient.ServerError}},
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

// TestUnproven: thousands of tenants that somebody made up, and whose calls fail in
// whatever way, leave those alone that have delivered before (I6): their p99 from
// accept to Split stays within a tenth of what it is without. Somebody new among
// them gets its turn soon.
func TestUnproven(t *testing.T) {
	for _, rate := range []float64{0, defaultCalls} {
		adjust := func(o *Options) {
			o.MaxCallsPerSecond = rate
			o.Deliver = standIn(nil)
		}
		without := quiet(t, adjust)
		words := map[string]int{"hanging": *unprovenCount}
		for _, word := range []string{"failing", "unreachable", "revoked", "forbidden", "wrong", "throttled", "sound"} {
			if rate > 0 || word == "revoked" {
				words[word] = *unprovenCount / 10
			}
		}
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

// TestUnprovenAfterRestart: neither does a restart let them in: the relay is ready
// at once, and what it knows of who has delivered before is on disk.
func TestUnprovenAfterRestart(t *testing.T) {
	adjust := func(o *Options) { o.Deliver = standIn(nil) }
	without := quiet(t, adjust)
	inBubble(t, sandbox.Options{}, adjust, func(b *bubble) {
		b.live(time.Minute, healthy)
		b.flood("hanging", *unprovenCount, max(100, *unprovenCount/20))
		b.live(2*time.Minute, healthy)
		b.accept(numbered{place{healthy.token(0), "s0"}, audience.Add, []int64{6_000_000}}) // pending at the stop
		b.restart()
		b.must(b.relay.Ready())
		since := time.Now()
		views, err := b.relay.Segments(context.Background())
		b.must(err)
		if got := len(views); got < *unprovenCount {
			t.Errorf("%d segments are shown, want those of %d unproven tenants", got, *unprovenCount)
		}
		if got := testutil.ToFloat64(b.relay.metrics.tenants); got > 4*64+float64(healthy.tenants) {
			t.Errorf("%v tenants have an actor", got)
		}
		b.live(5*time.Minute, healthy)
		b.settleHealthy()
		waits := b.followed(since)
		t.Logf("%d keys of healthy tenants after the restart: p99 %v, without the others %v", len(waits), percentile(waits, 99), without)
		if with := percentile(waits, 99); with > without*11/10 {
			t.Errorf("p99 %v, without them %v: more than a tenth worse", with, without)
		}
	})
}

// restart stops the relay at once and starts another one on its journal.
func (b *bubble) restart() {
	b.t.Helper()
	stopNow(b.relay)
	b.relay = Start(b.options)
	synctest.Wait()
}

// TestProvenTenantsHang: thousands of tenants that have delivered before begin to
// hang, all at once. Nobody can tell a healthy one from them before each was tried,
// which takes as long as their calls do; from its first call on that one is served
// as ever, and the others take half of the slots.
func TestProvenTenantsHang(t *testing.T) {
	const tenants, slots = 5_000, 64
	hung := false
	adjust := func(o *Options) {
		o.MaxCallsPerSecond = 0
		o.Deliver = standIn(func(word string) (trouble, bool) { return troubles["hanging"], hung && word == "once" })
	}
	without := quiet(t, adjust)
	inBubble(t, sandbox.Options{}, adjust, func(b *bubble) {
		post := func(first int64) {
			for n := range tenants {
				b.accept(numbered{place{fmt.Sprintf("once-%d", n), "s"}, audience.Add, []int64{first + int64(n)}})
			}
		}
		post(1_000_000)
		b.live(3*time.Minute, healthy)
		hung = true
		post(2_000_000)
		allTried := tenants / slots * troubles["hanging"].takes * 8 / 7 // an eighth of the turns is for those that were
		b.live(allTried*11/10, healthy)
		since := time.Now()
		post(3_000_000)
		b.live(5*time.Minute, healthy)
		b.settleHealthy()
		waits := b.followed(since)
		t.Logf("%d keys of healthy tenants, %v after %d others began to hang: p99 %v, without them %v", len(waits), allTried, tenants, percentile(waits, 99), without)
		if with := percentile(waits, 99); with > without*11/10 {
			t.Errorf("p99 %v, without them %v: more than a tenth worse", with, without)
		}
	})
}

// TestNewsOfStrangersIsGathered: thousands of tenants in trouble do not write thousands of
// lines.
func TestNewsOfStrangersIsGathered(t *testing.T) {
	var log paper
	adjust := func(o *Options) {
		o.MaxCallsPerSecond = 0
		o.Deliver = standIn(nil)
		o.Logger = zerolog.New(&log).Level(zerolog.InfoLevel)
	}
	inBubble(t, sandbox.Options{}, adjust, func(b *bubble) {
		b.flood("revoked", 1_000, 1_000)
		b.flood("failing", 1_000, 1_000)
		time.Sleep(6 * time.Minute)
		refused := 0
		for _, line := range log.lines(t, "Split refuses the token") {
			refused += max(1, line.Tenants)
		}
		if lines := log.lines(t, ""); len(lines) > 30 || refused < 900 {
			t.Errorf("%d lines tell of %d refused tokens", len(lines), refused)
		}
	})
}

// TestUnprovenCostLittle measures what a tenant costs in memory that was made up,
// posted one key, and cannot deliver it.
func TestUnprovenCostLittle(t *testing.T) {
	const most = 1024 // bytes
	synctest.Test(t, func(t *testing.T) {
		// With fewer of them the room that maps keep from their last growth weighs more.
		tenants := manyTenants(max(*unprovenCount, 50_000))
		relay := Start(Options{Journal: &fullJournal{}, Deliver: standIn(func(string) (trouble, bool) { return troubles["hanging"], true })})
		post := func(tenants []audience.Tenant) {
			answers := make(chan error, 1)
			for i, tenant := range tenants {
				relay.Accept(answers, wireChange(tenant, 1, audience.Add, int64(i)))
				if err := <-answers; err != nil {
					t.Fatal(err)
				}
			}
		}
		post(tenants[:1000]) // the actor library's maps and stacks are there after that
		time.Sleep(10 * time.Minute)
		before, known := measure(), 1000
		post(tenants[known:])
		time.Sleep(10 * time.Minute)
		each := (measure().heap - before.heap) / (len(tenants) - known)
		t.Logf("%d bytes for each of %d tenants; %v have an actor", each, len(tenants), testutil.ToFloat64(relay.metrics.tenants))
		if each > most {
			t.Errorf("%d bytes for each, want %d at most", each, most)
		}
		if n := active(t, relay); n != len(tenants) {
			t.Errorf("%d segments are shown, want %d", n, len(tenants))
		}
		stopNow(relay)
		time.Sleep(time.Hour)
	})
}

// fullJournal has one key in every segment, whatever becomes of it.
type fullJournal struct{ easyJournal }

func (*fullJournal) Load(l journal.Load) {
	l.Done(journal.Page{Entries: []journal.Entry{{Key: audience.NumericKey(1), Verb: audience.Add}}})
}
