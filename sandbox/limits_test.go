package sandbox

import (
	"testing"
	"time"
)

func rateHeaders(g got) [4]string {
	return [4]string{
		g.header.Get("X-RateLimit-Remaining-Org"), g.header.Get("X-RateLimit-Reset-Seconds-Org"),
		g.header.Get("X-RateLimit-Remaining-IP"), g.header.Get("X-RateLimit-Reset-Seconds-IP"),
	}
}

// TestLimitersCountBoth walks two windows of different lengths at exact instants.
func TestLimitersCountBoth(t *testing.T) {
	opts := Options{Limits: Limits{Org: Limit{2, 10 * time.Second}, IP: Limit{4, 4500 * time.Millisecond}, HeadersOnSuccess: true}}
	inBubble(t, opts, func(t *testing.T, s *Split, c caller) {
		other := c.as("other")
		for _, step := range []struct {
			wait    time.Duration
			who     caller
			status  int
			headers [4]string
		}{
			{0, c, 200, [4]string{"1", "10", "3", "4.5"}},
			{time.Second, c, 200, [4]string{"0", "9", "2", "3.5"}},
			{0, c, 429, [4]string{"0", "9", "1", "3.5"}},
			{0, other, 200, [4]string{"1", "10", "0", "3.5"}},
			{250 * time.Millisecond, other, 429, [4]string{"0", "9.75", "0", "3.25"}},
			{3249 * time.Millisecond, other, 429, [4]string{"0", "6.501", "0", "0.001"}},
			{time.Millisecond, other, 429, [4]string{"0", "6.5", "3", "4.5"}},
			{5500 * time.Millisecond, c, 200, [4]string{"1", "10", "3", "4.5"}},
			{time.Second, other, 200, [4]string{"1", "10", "2", "3.5"}},
		} {
			time.Sleep(step.wait)
			g := step.who.add("s", "1")
			if g.status != step.status || rateHeaders(g) != step.headers {
				t.Errorf("after %v: %d %v, want %d %v", step.wait, g.status, rateHeaders(g), step.status, step.headers)
			}
		}
	})
}

// TestCallsBeforeTheResetAreViolations: the instant of the reset is late enough,
// a millisecond before is not; who was under way when the 429 was written, or
// started in the same instant, could not know.
func TestCallsBeforeTheResetAreViolations(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, s *Split, c caller) {
		s.Fault(Rule{Kind: Throttle, Reset: 2500 * time.Millisecond, Count: 1})
		g := c.add("s", "1")
		g.want(t, 429, `"code":429`)
		if h := rateHeaders(g); h != [4]string{"0", "2.5", "", ""} {
			t.Errorf("headers %v", h)
		}
		c.add("s", "1").want(t, 200, "")
		time.Sleep(2499 * time.Millisecond)
		c.as("other").add("s", "1").want(t, 200, "")
		wantViolations(t, s)
		c.add("s", "1").want(t, 200, "")
		wantViolations(t, s, TooSoon)
		time.Sleep(time.Millisecond)
		c.add("s", "1").want(t, 200, "")
		wantViolations(t, s, TooSoon)
	})
}

func TestAnAddressLimitConcernsEveryTenant(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, s *Split, c caller) {
		s.Fault(Rule{Kind: Throttle, Scope: IP, Reset: time.Second, Count: 1})
		if h := rateHeaders(c.add("s", "1")); h != [4]string{"", "", "0", "1"} {
			t.Errorf("headers %v", h)
		}
		time.Sleep(time.Millisecond)
		c.as("other").add("s", "1").want(t, 200, "")
		wantViolations(t, s, TooSoon)
	})
}

func TestACallUnderWayMayFinishAfterA429(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, s *Split, c caller) {
		s.Fault(Rule{Kind: Slow, Delay: time.Second, Segment: "slow"})
		s.Fault(Rule{Kind: Throttle, Reset: time.Minute, Segment: "limited"})
		done := make(chan got)
		go func() { done <- c.add("slow", "1") }()
		time.Sleep(time.Millisecond)
		c.add("limited", "1").want(t, 429, "")
		(<-done).want(t, 200, "")
		wantViolations(t, s)
	})
}

func TestNoHeadersNoReset(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, s *Split, c caller) {
		remove := s.Fault(Rule{Kind: Throttle, Reset: time.Hour, NoHeaders: true})
		g := c.add("s", "1")
		if h := rateHeaders(g); g.status != 429 || h != [4]string{} {
			t.Errorf("%d %v", g.status, h)
		}
		remove()
		time.Sleep(time.Second)
		c.add("s", "1").want(t, 200, "")
		wantViolations(t, s)
	})
}

// TestRetryAfter is the fallback that Split does not document.
func TestRetryAfter(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, s *Split, c caller) {
		s.Fault(Rule{Kind: Throttle, RetryAfter: 1500 * time.Millisecond, NoHeaders: true, Count: 1})
		s.Fault(Rule{Kind: Status, Code: 503, RetryAfter: time.Minute, Count: 1})
		if g := c.add("s", "1"); g.status != 429 || g.header.Get("Retry-After") != "2" || rateHeaders(g) != [4]string{} {
			t.Errorf("%d %v", g.status, g.header)
		}
		time.Sleep(2*time.Second - 1)
		if g := c.add("s", "1"); g.status != 503 || g.header.Get("Retry-After") != "60" {
			t.Errorf("%d %v", g.status, g.header)
		}
		wantViolations(t, s, TooSoon)
		time.Sleep(time.Nanosecond)
		c.add("s", "1").want(t, 200, "")
		wantViolations(t, s, TooSoon)
	})
}

func TestSetLimitsBeginsAnew(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, s *Split, c caller) {
		s.SetLimits(Limits{Org: Limit{1, time.Hour}})
		c.add("s", "1").want(t, 200, "")
		c.add("s", "1").want(t, 429, "Too many requests")
		s.SetLimits(Limits{Org: Limit{1, time.Hour}})
		c.add("s", "1").want(t, 200, "")
		s.SetLimits(Limits{})
		c.add("s", "1").want(t, 200, "")
		if n := s.Counts(); n.Outcomes[OutcomeLimited] != 1 || n.Outcomes[OutcomeOK] != 3 {
			t.Errorf("counts %+v", n)
		}
	})
}

// TestGraceCountsFromEachOrder: a second 429 while the first still binds gives
// its own receivers the full grace.
func TestGraceCountsFromEachOrder(t *testing.T) {
	const grace = 100 * time.Millisecond
	var g gate
	at := func(ms int) time.Time { return time.Time{}.Add(time.Hour + time.Duration(ms)*time.Millisecond) }
	g.shut(at(0), time.Second, grace)
	g.shut(at(995), time.Second, grace)
	for _, c := range []struct {
		ms      int
		ignored bool
	}{{100, false}, {101, true}, {999, true}, {1000, false}, {1095, false}, {1096, true}, {1994, true}, {1995, false}} {
		if g.ignored(at(c.ms)) != c.ignored {
			t.Errorf("a call after %d ms: ignored %v", c.ms, !c.ignored)
		}
	}
}
