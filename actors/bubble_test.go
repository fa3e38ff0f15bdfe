package actors

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"audiences/audience"
	"audiences/sandbox"
	"audiences/splitclient"
)

// bubble is a relay with a real journal and a real client of Split's look-alike,
// in virtual time, for tests of many tenants and much time. The house of the
// model test breaks more; this one measures more.
type bubble struct {
	site
	t       *testing.T
	options Options

	unplugged atomic.Bool // no connection comes about

	mu   sync.Mutex // guards what the goroutines of calls write
	sent []sentCall

	accepted map[int64]time.Time // when a key was last accepted
	model    map[place]map[string]bool
}

// plug is the way to Split, which can be cut.
type plug struct {
	http.RoundTripper
	unplugged *atomic.Bool
}

func (p plug) RoundTrip(r *http.Request) (*http.Response, error) {
	if p.unplugged.Load() {
		_ = r.Body.Close()
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	return p.RoundTripper.RoundTrip(r)
}

// sentCall is one call as the relay made it: also one that never left.
type sentCall struct {
	at, end time.Time
	place
	verb    audience.Verb
	keys    []audience.Key
	outcome splitclient.Outcome
}

func (c sentCall) String() string {
	return fmt.Sprintf("%s %s/%s %v %d keys: %s", c.at.Format("15:04:05.000"), c.organisation, c.name, c.verb, len(c.keys), c.outcome.Reason)
}

// The ceilings that the relay has unless its configuration says otherwise.
const (
	defaultCalls          = 20
	defaultCallsPerTenant = 10
)

// inBubble runs a test with a relay that has the default ceilings, unless adjust
// says otherwise.
func inBubble(t *testing.T, split sandbox.Options, adjust func(*Options), test func(*bubble)) {
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{site: site{failing: t}, t: t, accepted: map[int64]time.Time{}, model: map[place]map[string]bool{}}
		b.prepare(split, 0, func(pipe http.RoundTripper) http.RoundTripper { return plug{pipe, &b.unplugged} })
		b.open()
		lot := rand.New(rand.NewPCG(1, 2))
		var lots sync.Mutex // many actors draw
		o := Options{
			Journal:       b.store,
			FlushInterval: 10 * time.Second, IdleTimeout: 10 * time.Minute,
			MaxCallsPerSecond: defaultCalls, MaxCallsPerSecondPerTenant: defaultCallsPerTenant,
			Random: func() float64 { lots.Lock(); defer lots.Unlock(); return lot.Float64() },
		}
		if adjust != nil {
			adjust(&o)
		}
		if o.Deliver == nil {
			o.Deliver = b.client.Do
		}
		o.Deliver = b.record(o.Deliver)
		b.options = o
		b.relay = Start(o)
		test(b)
		b.leave()
		if broken := b.split.Violations(); len(broken) > 0 {
			t.Errorf("%d broken promises, the first: %v", len(broken), broken[0])
		}
	})
}

func (b *bubble) record(deliver func(context.Context, splitclient.Call) splitclient.Outcome) func(context.Context, splitclient.Call) splitclient.Outcome {
	return func(ctx context.Context, call splitclient.Call) splitclient.Outcome {
		made := sentCall{at: time.Now(), place: place{call.Token.Reveal(), call.Segment.Name}, verb: call.Verb, keys: slices.Collect(call.Keys.All())}
		made.outcome = deliver(ctx, call)
		made.end = time.Now()
		b.mu.Lock()
		defer b.mu.Unlock()
		b.sent = append(b.sent, made)
		return made.outcome
	}
}

// tenant is the tenant with that token, which is its organisation's name too.
func (b *bubble) tenant(token string) audience.Tenant {
	parsed, err := audience.ParseToken(token)
	b.must(err)
	return audience.NewTenant(parsed)
}

// numbered makes a change with numbers for keys.
type numbered struct {
	place
	verb audience.Verb
	keys []int64
}

// accept hands changes in, one after the other, and waits for their answers,
// which takes no virtual time.
func (b *bubble) accept(changes ...numbered) {
	answers := make(chan error, len(changes))
	for _, c := range changes {
		tenant := b.tenant(c.organisation)
		full := audience.Change{Token: tenant.Token, Segment: audience.Segment{Tenant: tenant.ID, Environment: "env", Name: c.name}, Verb: c.verb}
		if b.model[c.place] == nil {
			b.model[c.place] = map[string]bool{}
		}
		var keys audience.Packer
		for _, n := range c.keys {
			keys.Put(audience.NumericKey(n))
			b.accepted[n] = time.Now()
			if c.verb == audience.Add {
				b.model[c.place][strconv.FormatInt(n, 10)] = true
			} else {
				delete(b.model[c.place], strconv.FormatInt(n, 10))
			}
		}
		full.Keys = keys.Keys()
		b.relay.Accept(answers, full)
	}
	for range changes {
		b.must(<-answers)
	}
}

// calls returns the calls so far, in the order they ended.
func (b *bubble) calls() []sentCall {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.sent)
}

// pending lists the segments that have unsettled keys in the journal.
func (b *bubble) pending() (list []audience.Segment) {
	for listed, err := range b.store.Segments(audience.AllSlots()) {
		b.must(err)
		if listed.Pending {
			list = append(list, listed.Segment)
		}
	}
	return list
}

// settle waits until nothing of these tenants is pending; without names, of all.
func (b *bubble) settle(most time.Duration, tokens ...string) {
	b.t.Helper()
	of := map[audience.TenantID]bool{}
	for _, token := range tokens {
		of[b.tenant(token).ID] = true
	}
	for begun := time.Now(); ; time.Sleep(min(most/100, time.Minute)) {
		left := slices.DeleteFunc(b.pending(), func(s audience.Segment) bool { return len(of) > 0 && !of[s.Tenant] })
		if len(left) == 0 {
			return
		}
		if time.Since(begun) > most {
			b.t.Fatalf("%d segments have keys pending after %v", len(left), most)
		}
	}
}

// compare holds Split against the replay of all accepted changes (I2, I3).
func (b *bubble) compare() {
	b.t.Helper()
	for at, want := range b.model {
		has := b.split.Members(at.organisation, "env", at.name)
		wrong := 0
		for _, key := range has {
			if !want[key] {
				wrong++
			}
		}
		if wrong > 0 || len(has) != len(want) {
			b.t.Errorf("%v: Split has %d keys, %d of them wrongly; want %d", at, len(has), wrong, len(want))
		}
	}
}

// freshness is how long each delivered key waited, from accept to Split's
// answer, shortest first; keys that were accepted more than once would mislead.
func (b *bubble) freshness(of func(sentCall) bool) (waits []time.Duration) {
	for _, c := range b.calls() {
		if c.outcome.Kind != splitclient.Delivered || !of(c) {
			continue
		}
		for _, key := range c.keys {
			n, _ := key.Numeric()
			waits = append(waits, c.end.Sub(b.accepted[n]))
		}
	}
	slices.Sort(waits)
	return waits
}

// percentile of sorted values.
func percentile[T any](sorted []T, p float64) (value T) {
	if len(sorted) > 0 {
		value = sorted[min(len(sorted)-1, int(float64(len(sorted))*p/100))]
	}
	return value
}

// busiest is the greatest number of calls that began within any window of that
// length.
func busiest(calls []sentCall, window time.Duration) (most int) {
	starts := make([]time.Time, len(calls))
	for i, c := range calls {
		starts[i] = c.at
	}
	slices.SortFunc(starts, time.Time.Compare)
	for first, last := 0, 0; last < len(starts); last++ {
		for starts[last].Sub(starts[first]) >= window {
			first++
		}
		most = max(most, last-first+1)
	}
	return most
}

// perTenant counts something of each call by tenant.
func perTenant(calls []sentCall, count func(sentCall) int) map[string]int {
	sums := map[string]int{}
	for _, c := range calls {
		sums[c.organisation] += count(c)
	}
	return sums
}

func extremes[K comparable, V cmp.Ordered](of map[K]V) (least, most V) {
	first := true
	for _, v := range of {
		if first {
			least, most, first = v, v, false
		}
		least, most = min(least, v), max(most, v)
	}
	return least, most
}
