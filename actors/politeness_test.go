package actors

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"audiences/audience"
	"audiences/sandbox"
	"audiences/splitclient"
)

// latency is what a call takes where nothing is wrong.
const latency = 100 * time.Millisecond

var slow = sandbox.Rule{Kind: sandbox.Slow, Delay: latency}

// TestPoliteness: 50 tenants with 80 segments each want far more than Split's
// limits of 10 calls a second for an organisation and 20 for an address. Then
// next to no call is refused, everybody gets the same, and no key waits for
// longer than it takes to call for all segments once (I6).
func TestPoliteness(t *testing.T) {
	const (
		tenants = 50
		every   = 20 * time.Second // from one key of a segment to its next
		during  = 3 * time.Minute
		tick    = 100 * time.Millisecond
	)
	// The second way needs no crowd as large as the first; it is for the headers.
	for name, segments := range map[string]int{"headers on 429 only": 80, "headers on every answer": 40} {
		headers := segments == 40
		t.Run(name, func(t *testing.T) {
			second := func(calls int) sandbox.Limit { return sandbox.Limit{Calls: calls, Window: time.Second} }
			limits := sandbox.Limits{Org: second(10), IP: second(20), HeadersOnSuccess: headers}
			inBubble(t, sandbox.Options{Limits: limits, Faults: []sandbox.Rule{slow}}, nil, func(b *bubble) {
				key, turns := int64(0), int(every/tick)
				for turn := range int(during / tick) {
					var changes []numbered
					for i := turn % turns; i < tenants*segments; i += turns {
						key++
						at := place{fmt.Sprintf("tenant-%d", i%tenants), fmt.Sprintf("s%d", i/tenants)}
						changes = append(changes, numbered{at, audience.Add, []int64{key}})
					}
					b.accept(changes...)
					time.Sleep(tick)
				}
				steady := b.calls()
				b.settle(time.Hour)
				b.compare()
				b.reportPoliteness(steady)
			})
		})
	}
}

// reportPoliteness prints and judges; steady are the calls made while all
// tenants wanted more than they could get.
func (b *bubble) reportPoliteness(steady []sentCall) {
	all := b.calls()
	refused := throttledOf(all)
	one := func(sentCall) int { return 1 }
	delivered := func(c sentCall) int {
		if c.outcome.Kind != splitclient.Delivered {
			return 0
		}
		return len(c.keys)
	}
	leastCalls, mostCalls := extremes(perTenant(steady, one))
	leastKeys, mostKeys := extremes(perTenant(steady, delivered))
	waits := b.freshness(func(sentCall) bool { return true })
	b.t.Logf("%d calls (%d while the traffic went on), %d answered 429 (%.2f %%), at most %d in any second", len(all), len(steady),
		refused, 100*float64(refused)/float64(len(all)), busiest(all, time.Second))
	b.t.Logf("calls per tenant %d to %d, keys per tenant %d to %d; accept to Split p50 %v, p99 %v, last %v", leastCalls, mostCalls,
		leastKeys, mostKeys, percentile(waits, 50), percentile(waits, 99), waits[len(waits)-1])
	if refused*100 > len(all) {
		b.t.Errorf("%d of %d calls were answered 429, want at most 1 %%", refused, len(all))
	}
	if float64(mostCalls) > 1.2*float64(leastCalls) || float64(mostKeys) > 1.2*float64(leastKeys) {
		b.t.Error("a tenant's share is off by more than 20 %")
	}
	if want := int(steady[len(steady)-1].at.Sub(steady[0].at).Seconds()) * defaultCalls * 9 / 10; len(steady) < want {
		b.t.Errorf("%d calls while there was more to send, want at least %d: politeness is not idleness", len(steady), want)
	}
}

// TestTenantAlone: a tenant with nobody beside it may use all that its
// organisation's limit allows, and learns to stay below it. It starts with the
// burst that follows a quiet time, which may cost it a 429; so its rate is
// looked at when that is over.
func TestTenantAlone(t *testing.T) {
	const segments, every, warmUp, during = 300, 15, 3 * time.Minute, 2 * time.Minute
	// Split says how much is left of a window, as of when it saw the call. Whoever
	// reads it waits longer than need be by the time that the answer took, in each
	// window.
	for name, want := range map[string]float64{"headers on 429 only": 9.8, "headers on every answer": 8.8} {
		t.Run(name, func(t *testing.T) {
			limits := sandbox.Limits{Org: sandbox.Limit{Calls: 10, Window: time.Second}, HeadersOnSuccess: want < 9}
			inBubble(t, sandbox.Options{Limits: limits, Faults: []sandbox.Rule{slow}}, nil, func(b *bubble) {
				begun := time.Now()
				for n := range int((warmUp + during) / time.Second) {
					var changes []numbered
					for i := n % every; i < segments; i += every {
						changes = append(changes, numbered{place{"alone", fmt.Sprintf("s%d", i)}, audience.Add, []int64{int64(n*segments + i)}})
					}
					b.accept(changes...)
					time.Sleep(time.Second)
				}
				calls := b.calls()
				refused := throttledOf(calls)
				late := slices.DeleteFunc(slices.Clone(calls), func(c sentCall) bool { return c.at.Sub(begun) < warmUp })
				rate := float64(len(late)) / during.Seconds()
				b.t.Logf("%.2f calls a second of 10 allowed, %d of all %d answered 429", rate, refused, len(calls))
				if rate < want {
					b.t.Errorf("%.2f calls a second, want at least %.1f", rate, want)
				}
				if refused*100 > len(calls) {
					b.t.Errorf("%d of %d calls were answered 429, want at most 1 %%", refused, len(calls))
				}
			})
		})
	}
}

func throttledOf(calls []sentCall) (n int) {
	for _, c := range calls {
		if c.outcome.Kind == splitclient.Throttled {
			n++
		}
	}
	return n
}

// exact turns off what would blur the instants.
func exact(o *Options) {
	o.MaxCallsPerSecond, o.MaxCallsPerSecondPerTenant = 0, 0
	o.Random = func() float64 { return 0 }
}

// callsAt are the instants of a segment's calls, since the start.
func (b *bubble) callsAt(since time.Time, at place) (instants []time.Duration) {
	for _, c := range b.calls() {
		if c.place == at {
			instants = append(instants, c.at.Sub(since))
		}
	}
	slices.Sort(instants)
	return instants
}

func (b *bubble) wantCalls(since time.Time, at place, want ...time.Duration) {
	b.t.Helper()
	if got := b.callsAt(since, at); !slices.Equal(got, want) {
		b.t.Errorf("calls for %v after %v, want %v", at, got, want)
	}
}

// TestWaitsAsLongAsSplitAsks: the instants of the calls after a 429, for
// everything that its headers may say (Split docs: rate limiting). The look-alike
// judges by itself whether a call comes too soon.
func TestWaitsAsLongAsSplitAsks(t *testing.T) {
	const due = 10 * time.Second
	organisation := sandbox.Limits{Org: sandbox.Limit{Calls: 1, Window: 30 * time.Second}}
	for name, c := range map[string]struct {
		limits       sandbox.Limits
		rule         sandbox.Rule
		alone, other time.Duration // when the tenant, and another one, may call again
	}{
		"organisation":            {rule: sandbox.Rule{Token: "one", Reset: 7500 * time.Millisecond}, alone: 7500 * time.Millisecond},
		"decimal":                 {rule: sandbox.Rule{Token: "one", Reset: 2125 * time.Millisecond}, alone: 2125 * time.Millisecond},
		"zero":                    {rule: sandbox.Rule{Token: "one"}, alone: splitclient.MinThrottle},
		"below the floor":         {rule: sandbox.Rule{Token: "one", Reset: time.Second}, alone: splitclient.MinThrottle},
		"absent":                  {rule: sandbox.Rule{Token: "one", NoHeaders: true}, alone: splitclient.DefaultThrottle},
		"Retry-After":             {rule: sandbox.Rule{Token: "one", NoHeaders: true, RetryAfter: 9 * time.Second}, alone: 9 * time.Second},
		"Retry-After is fallback": {rule: sandbox.Rule{Token: "one", Reset: 4 * time.Second, RetryAfter: 9 * time.Second}, alone: 4 * time.Second},
		"address":                 {rule: sandbox.Rule{Token: "one", Scope: sandbox.IP, Reset: 6 * time.Second}, alone: 6 * time.Second, other: 6 * time.Second},
		"both, organisation longer": {limits: organisation, rule: sandbox.Rule{Token: "one", Scope: sandbox.IP, Reset: 3 * time.Second},
			alone: 30 * time.Second, other: 3 * time.Second},
		"both, address longer": {limits: organisation, rule: sandbox.Rule{Token: "one", Scope: sandbox.IP, Reset: 40 * time.Second},
			alone: 40 * time.Second, other: 40 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			c.rule.Kind, c.rule.Count = sandbox.Throttle, 1
			inBubble(t, sandbox.Options{Limits: c.limits, Faults: []sandbox.Rule{c.rule}}, exact, func(b *bubble) {
				start := time.Now()
				one, other := place{"one", "sA"}, place{"other", "sB"}
				b.accept(numbered{one, audience.Add, []int64{1}})
				time.Sleep(time.Second)
				b.accept(numbered{other, audience.Add, []int64{2}})
				time.Sleep(2 * time.Minute)
				b.wantCalls(start, one, due, due+c.alone)
				b.wantCalls(start, other, due+max(time.Second, c.other))
				b.compare()
			})
		})
	}
}

// TestOddWaits: what the headers of a 429 may hold in place of seconds. A point in
// time is waited for; what cannot be believed is tried again after the floor, then
// twice as long each time, and another tenant waits only where its address is meant.
func TestOddWaits(t *testing.T) {
	const due = 10 * time.Second
	const resetOrg, resetIP, leftOrg, leftIP = "X-RateLimit-Reset-Seconds-Org", "X-RateLimit-Reset-Seconds-IP", "X-RateLimit-Remaining-Org", "X-RateLimit-Remaining-IP"
	type h map[string]string
	bubbles := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // when every bubble begins
	ahead := bubbles.Add(due + 30*time.Second)
	for name, c := range map[string]struct {
		headers h
		count   int
		again   []time.Duration // after the first call
		other   time.Duration   // after the first call of the other one
	}{
		"seconds since 1970":       {h{leftOrg: "0", resetOrg: fmt.Sprint(ahead.Unix())}, 1, []time.Duration{30e9}, time.Second},
		"milliseconds":             {h{leftIP: "0", resetIP: fmt.Sprint(ahead.UnixMilli())}, 1, []time.Duration{30e9}, 30e9},
		"date":                     {h{"Retry-After": ahead.Format(http.TimeFormat)}, 1, []time.Duration{30e9}, time.Second},
		"1e9 for the tenant":       {h{leftOrg: "0", resetOrg: "1e9"}, 4, []time.Duration{2e9, 6e9, 14e9, 30e9}, time.Second},
		"1e9 for the address":      {h{leftIP: "0", resetIP: "1e9"}, 3, []time.Duration{2e9, 6e9, 14e9}, 2e9},
		"NaN":                      {h{leftOrg: "0", resetOrg: "NaN", "Retry-After": "-1"}, 3, []time.Duration{2e9, 6e9, 14e9}, time.Second},
		"odd for long: a minute":   {h{leftOrg: "0", resetOrg: "1e9"}, 7, []time.Duration{2e9, 6e9, 14e9, 30e9, 62e9, 122e9, 182e9}, time.Second},
		"odd for one, not for all": {h{leftOrg: "0", leftIP: "0", resetOrg: "1e9", resetIP: "3"}, 3, []time.Duration{3e9, 9e9, 21e9}, 3e9},
	} {
		t.Run(name, func(t *testing.T) {
			rule := sandbox.Rule{Kind: sandbox.Throttle, NoHeaders: true, Token: "one", Headers: c.headers, Count: c.count}
			inBubble(t, sandbox.Options{Faults: []sandbox.Rule{rule}}, exact, func(b *bubble) {
				start := time.Now()
				one, other := place{"one", "sA"}, place{"other", "sB"}
				b.accept(numbered{one, audience.Add, []int64{1}})
				time.Sleep(time.Second)
				b.accept(numbered{other, audience.Add, []int64{2}})
				time.Sleep(5 * time.Minute)
				want := []time.Duration{due}
				for _, again := range c.again {
					want = append(want, due+again)
				}
				b.wantCalls(start, one, want...)
				b.wantCalls(start, other, due+c.other)
				b.compare()
			})
		})
	}
}

// TestOddGoodAnswers: a 2xx whose headers cannot be believed holds nobody back,
// and one that asks for an hour holds the others for a minute.
func TestOddGoodAnswers(t *testing.T) {
	const due = 10 * time.Second
	for reset, others := range map[string]time.Duration{
		"1e9": time.Second, "4102444800000": time.Second, "NaN": time.Second, "-5": time.Second, "86400": time.Second, "3600": time.Minute,
	} {
		t.Run(reset, func(t *testing.T) {
			odd := map[string]string{"X-RateLimit-Remaining-IP": "0", "X-RateLimit-Reset-Seconds-IP": reset, "Retry-After": reset}
			rule := sandbox.Rule{Kind: sandbox.Headers, Token: "one", Headers: odd, Count: 1}
			inBubble(t, sandbox.Options{Faults: []sandbox.Rule{rule}}, exact, func(b *bubble) {
				start := time.Now()
				one, other := place{"one", "sA"}, place{"other", "sB"}
				b.accept(numbered{one, audience.Add, []int64{1}})
				time.Sleep(time.Second)
				b.accept(numbered{other, audience.Add, []int64{2}})
				time.Sleep(5 * time.Minute)
				b.wantCalls(start, one, due)
				b.wantCalls(start, other, due+others)
				b.compare()
			})
		})
	}
}

// TestOddSuccessesAreRepeated: what does not say that the call was carried out is
// repeated until something does, and no key is gone before (I3).
func TestOddSuccessesAreRepeated(t *testing.T) {
	const json, plain = "application/json", "text/plain"
	for _, rule := range []sandbox.Rule{
		{Code: 200, MediaType: json, Body: `{"code":400,"message":"Bad request"}`}, {Code: 200, MediaType: plain, Body: "Please log in"},
		{Code: 200, MediaType: "text/html", Body: "<html>"}, {Code: 200, MediaType: json, Body: `{"code":200`},
		{Code: 200, MediaType: json, Body: `{"code":200}`, CutAfter: 5}, {Code: 202, MediaType: json, Body: "{}"}, {Code: 203},
		{Code: 205}, {Code: 206, MediaType: json, Body: "{}"}, {Code: 207}, {Code: 226}, {Code: 407}, {Code: 511},
		{Code: 404, MediaType: json, Body: `{"code":200}`},
	} {
		t.Run(fmt.Sprint(rule.Code, " ", rule.Body), func(t *testing.T) {
			rule.Kind, rule.Count = sandbox.Raw, 3
			inBubble(t, sandbox.Options{Faults: []sandbox.Rule{rule}}, exact, func(b *bubble) {
				start := time.Now()
				at := place{"one", "sA"}
				b.accept(numbered{at, audience.Add, []int64{1, 2, 3}})
				time.Sleep(time.Minute)
				b.wantCalls(start, at, 10*time.Second, 10500*time.Millisecond, 11500*time.Millisecond, 13500*time.Millisecond)
				b.compare()
			})
		})
	}
}

// TestThrottledOrganisationHoldsAllItsSegments: not only the segment that was
// answered 429 waits, and the wait gets some jitter on top, never less.
func TestThrottledOrganisationHoldsAllItsSegments(t *testing.T) {
	rule := sandbox.Rule{Kind: sandbox.Throttle, Token: "one", Reset: 20 * time.Second, Count: 1}
	adjust := func(o *Options) {
		exact(o)
		o.Random = func() float64 { return 0.5 }
	}
	inBubble(t, sandbox.Options{Faults: []sandbox.Rule{rule}}, adjust, func(b *bubble) {
		start := time.Now()
		b.accept(numbered{place{"one", "sA"}, audience.Add, []int64{1}})
		time.Sleep(5 * time.Second)
		b.accept(numbered{place{"one", "sB"}, audience.Add, []int64{2}})
		b.accept(numbered{place{"other", "sC"}, audience.Add, []int64{3}})
		time.Sleep(time.Minute)
		again := 31 * time.Second // 10 s, 20 s as asked, and half of the tenth that is drawn by lot
		b.wantCalls(start, place{"one", "sA"}, 10*time.Second, again)
		b.wantCalls(start, place{"one", "sB"}, again)
		b.wantCalls(start, place{"other", "sC"}, 15*time.Second)
	})
}

// TestLearnsFromGoodAnswers: what the headers of a 2xx say is obeyed before it
// hurts: with three calls in 20 s, none is ever answered 429.
func TestLearnsFromGoodAnswers(t *testing.T) {
	three := sandbox.Limit{Calls: 3, Window: 20 * time.Second}
	for name, limits := range map[string]sandbox.Limits{
		"organisation": {Org: three, HeadersOnSuccess: true},
		"address":      {IP: three, HeadersOnSuccess: true},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, sandbox.Options{Limits: limits, Faults: []sandbox.Rule{slow}}, nil, func(b *bubble) {
				for i := range 30 {
					b.accept(numbered{place{"one", fmt.Sprintf("s%d", i)}, audience.Add, []int64{int64(i)}})
				}
				begun := time.Now()
				b.settle(time.Hour)
				calls := b.calls()
				b.t.Logf("%d calls for 30 segments in %v, ten windows of 20 s", len(calls), time.Since(begun))
				for _, c := range calls {
					if c.outcome.Kind != splitclient.Delivered {
						b.t.Errorf("%v", c)
					}
				}
				if took := time.Since(begun); took > 5*time.Minute {
					b.t.Errorf("took %v, want not much more than ten windows of 20 s", took)
				}
			})
		})
	}
}
