package actors

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"audiences/audience"
	"audiences/journal"
	"audiences/sandbox"
	"audiences/splitclient"
)

// TestOutage: Split is down for three days, in each in another way, while adds
// and deletes of the same keys go on. Then everything arrives in order (I2, I3),
// in hardly more calls than the limits make necessary, at the pace that is
// allowed and not in a burst. Meanwhile Split is not stormed, however much waits.
func TestOutage(t *testing.T) {
	const (
		keysPerCall = 100
		every       = 10 * time.Minute
		day         = 24 * time.Hour
	)
	var places []place
	for _, tenant := range []string{"one", "other"} {
		for i := range 2 {
			places = append(places, place{tenant, fmt.Sprintf("s%d", i)})
		}
	}
	adjust := func(o *Options) { o.MaxKeysPerCall = keysPerCall }
	inBubble(t, sandbox.Options{MaxKeys: keysPerCall, Faults: []sandbox.Rule{slow}}, adjust, func(b *bubble) {
		random := rand.New(rand.NewPCG(3, 4))
		traffic := func(during time.Duration) {
			for range during / every {
				for i, at := range places {
					c := numbered{place: at, verb: audience.Add}
					if random.IntN(3) == 0 {
						c.verb = audience.Delete
					}
					for range 1 + random.IntN(100) {
						c.keys = append(c.keys, int64(i*100_000+random.IntN(20_000)))
					}
					b.accept(c)
				}
				time.Sleep(every)
			}
		}
		traffic(time.Hour)
		b.settle(time.Hour)
		before := len(b.calls())

		b.unplugged.Store(true)
		traffic(day)
		b.unplugged.Store(false)
		for _, kind := range []sandbox.Rule{{Kind: sandbox.Status, Code: 503}, {Kind: sandbox.Hang}} {
			up := b.split.Fault(kind)
			traffic(day)
			up()
		}
		down := b.calls()[before:]
		ideal := b.idealCalls(keysPerCall)
		over := time.Now()
		b.settle(time.Hour)
		b.compare()
		b.reportOutage(down, b.calls()[before+len(down):], ideal, over, len(places))
	})
}

// idealCalls is how few calls can carry all that is pending now.
func (b *bubble) idealCalls(keysPerCall int) (ideal int) {
	for _, segment := range b.pending() {
		count := map[audience.Verb]int{}
		pages := make(chan journal.Page, 1)
		for cursor, more := (journal.Cursor{}), true; more; {
			b.store.Load(journal.Load{Segment: segment, After: cursor, Limit: 1000, Done: func(p journal.Page) { pages <- p }})
			page := <-pages
			b.must(page.Err)
			for _, entry := range page.Entries {
				count[entry.Verb]++
			}
			cursor, more = page.Next, page.More
		}
		for _, n := range count {
			ideal += (n + keysPerCall - 1) / keysPerCall
		}
	}
	return ideal
}

func (b *bubble) reportOutage(down, after []sentCall, ideal int, over time.Time, segments int) {
	var delivered []sentCall
	last := over
	for _, c := range after {
		if c.outcome.Kind == splitclient.Delivered {
			delivered = append(delivered, c)
		}
		if c.end.After(last) {
			last = c.end
		}
	}
	// A segment repeats its call after half a minute to a minute (MaxBackoff).
	most := segments * int(3*24*time.Hour/(30*time.Second))
	b.t.Logf("three days of outage: %d calls, %.2f a minute for each segment; at most %d in any second", len(down),
		float64(len(down))/(3*24*60)/float64(segments), busiest(down, time.Second))
	b.t.Logf("after it: ideal calls %d, made %d; done in %v; at most %d in any second", ideal, len(after), last.Sub(over), busiest(after, time.Second))
	if len(down) > most {
		b.t.Errorf("%d calls during the outage, want at most %d", len(down), most)
	}
	if most := ideal + ideal/10 + 2*segments; len(after) > most {
		b.t.Errorf("%d calls after the outage, want at most %d: a tenth more than need be, and the chunk and the page that each segment had in hand", len(after), most)
	}
	// One more in a second than the rate: calls may follow each other in pairs.
	if got := busiest(append(down, after...), time.Second); got > defaultCalls+1 {
		b.t.Errorf("%d calls in one second", got)
	}
	perTenant := map[string][]sentCall{}
	for _, c := range after {
		perTenant[c.organisation] = append(perTenant[c.organisation], c)
	}
	for tenant, calls := range perTenant {
		if got := busiest(calls, time.Second); got > defaultCallsPerTenant+1 {
			b.t.Errorf("%d calls of tenant %s in one second", got, tenant)
		}
	}
	if len(delivered) == 0 {
		b.t.Error("nothing was delivered after the outage")
	}
}
