package pace

import (
	"math"
	"testing"
	"time"

	"audiences/audience"
	"audiences/splitclient"
)

// waits are without luck: half of a backoff, and no jitter.
var waits = Waits{Most: time.Minute, Token: 30 * time.Second, Probe: 15 * time.Minute, Random: func() float64 { return 0 }}

var (
	delivered = splitclient.Outcome{Kind: splitclient.Delivered, Reason: splitclient.OK, Limits: splitclient.Limits{RemainingOrg: -1}}
	revoked   = splitclient.Outcome{Kind: splitclient.Permanent, Reason: splitclient.Unauthorized}
	refused   = splitclient.Outcome{Kind: splitclient.Permanent, Reason: splitclient.BadRequest, Limits: splitclient.Limits{RemainingOrg: -1}}
)

func named(name string) audience.Segment { return audience.Segment{Name: name} }

// begin is the segment whose call begins; "" when none may.
func (c *Calls) begin(now time.Time) string {
	segment, _ := c.Begin(now)
	return segment.Name
}

func expectAsk(t *testing.T, c *Calls, now time.Time, wait time.Duration, wants bool) {
	t.Helper()
	if gotWait, gotWants := c.Ask(now); gotWait != wait || gotWants != wants {
		t.Errorf("asks %v after %v, want %v after %v", gotWants, gotWait, wants, wait)
	}
}

// TestCallsAskOnce: a tenant asks for one slot at a time, and the segment that has
// waited longest when it is granted makes the call.
func TestCallsAskOnce(t *testing.T) {
	var c Calls
	expectAsk(t, &c, noon, 0, false)
	c.Want(named("b"), noon.Add(time.Second))
	expectAsk(t, &c, noon, 0, true)
	if c.Idle(noon) {
		t.Error("idle with a slot asked for")
	}
	expectAsk(t, &c, noon, 0, false) // it has asked
	c.Want(named("a"), noon)
	if got := c.begin(noon); got != "a" {
		t.Errorf("%q calls, want a", got)
	}
	expectAsk(t, &c, noon, 0, true)
	if got := c.begin(noon); got != "b" {
		t.Errorf("%q calls, want b", got)
	}
	if got := c.begin(noon); got != "" || c.Underway() != 2 {
		t.Errorf("%q calls, though nobody waits; %d under way", got, c.Underway())
	}
	expectAsk(t, &c, noon, 0, false)
	for _, name := range []string{"a", "b"} {
		if c.Idle(noon) {
			t.Error("idle with a call under way")
		}
		if news := c.End(noon, named(name), delivered, &waits); news != NoNews {
			t.Errorf("news %v", news)
		}
	}
	if !c.Idle(noon) {
		t.Error("not idle when all is done")
	}
}

// TestCallsOfACrashedSegment covers I4: a segment that lost its memory while its call
// is under way, and wants another one, waits for the end of the first.
func TestCallsOfACrashedSegment(t *testing.T) {
	var c Calls
	c.Want(named("s"), noon)
	c.Ask(noon)
	c.begin(noon)
	c.Want(named("s"), noon)
	expectAsk(t, &c, noon, 0, false)
	if got := c.begin(noon); got != "" {
		t.Errorf("%q has two calls", got)
	}
	c.End(noon, named("s"), splitclient.Outcome{}, &waits)
	expectAsk(t, &c, noon, 0, true)
	if got := c.begin(noon); got != "s" {
		t.Errorf("%q calls, want s", got)
	}
	c.End(noon, named("s"), delivered, &waits)
	expectAsk(t, &c, noon, 0, false) // it was put on the list once
}

// TestCallsPaused: a pause ends by itself or not; a slot that comes during one is
// given back.
func TestCallsPaused(t *testing.T) {
	c := NewCalls(0.1, Kept{})
	c.Want(named("s"), noon)
	c.Ask(noon)
	c.Pause(time.Time{}, noon, "ana")
	if got := c.begin(noon); got != "" || !c.Barred(noon) {
		t.Errorf("%q calls in a pause", got)
	}
	expectAsk(t, &c, noon, math.MaxInt64, true)
	c.Pause(noon.Add(time.Hour), noon, "ana")
	if g := c.Gate(noon.Add(time.Minute)); g.PausedBy != "ana" || g.PausedSince != noon || g.PausedUntil != noon.Add(time.Hour) {
		t.Errorf("the pause is told as %+v", g)
	}
	if expectAsk(t, &c, noon, time.Hour, true); !c.Barred(noon) || c.Barred(noon.Add(time.Hour)) {
		t.Error("barred at the wrong time")
	}
	expectAsk(t, &c, noon.Add(time.Hour), 0, true)
	c.begin(noon.Add(time.Hour))
	c.Resume()
	c.Want(named("s2"), noon)
	c.Want(named("s3"), noon)
	c.begin(noon.Add(time.Hour))
	c.Pause(noon.Add(time.Hour+2*time.Second), noon, "ana")
	expectAsk(t, &c, noon.Add(time.Hour), 10*time.Second, true) // the rate asks for more than the pause
	if c.Resume(); c.Barred(noon.Add(time.Hour)) {
		t.Error("barred by the rate alone")
	}
	if g := c.Gate(noon); g.Paused || g.PausedBy != "" || !g.PausedSince.IsZero() {
		t.Errorf("after the pause %+v", g)
	}
}

// TestCallsTryARefusedToken: after a 401 one call tries the token, at intervals that
// double; calls that were under way together count once; the first answer that is
// about keys ends it. What is to be kept of it goes on elsewhere.
func TestCallsTryARefusedToken(t *testing.T) {
	var c Calls
	for i, name := range []string{"a", "b", "c"} {
		c.Want(named(name), noon.Add(time.Duration(i)))
	}
	for range 2 {
		c.begin(noon)
	}
	if news := c.End(noon, named("a"), revoked, &waits); news != TokenRefused {
		t.Errorf("news %v, want that it is refused", news)
	}
	expectAsk(t, &c, noon, math.MaxInt64, true) // b is under way, and tries the token
	if news := c.End(noon, named("b"), revoked, &waits); news != NoNews {
		t.Errorf("news %v of a call that was under way together", news)
	}
	if expectAsk(t, &c, noon, 15*time.Second, true); !c.Barred(noon) {
		t.Error("not barred")
	}
	now := noon.Add(15 * time.Second)
	expectAsk(t, &c, now, 0, true)
	c.begin(now)
	if news := c.End(now, named("c"), revoked, &waits); news != NoNews {
		t.Errorf("news %v of a token that is refused still", news)
	}
	if wait := c.Wait(now); wait != 30*time.Second {
		t.Errorf("wait %v, want twice as long", wait)
	}
	other := NewCalls(0, c.Keep())
	for _, c := range []*Calls{&c, &other} {
		now := now.Add(30 * time.Second)
		if c.Wait(now) != 0 || c.Idle(now) {
			t.Errorf("wait %v; idle %v", c.Wait(now), c.Idle(now))
		}
		c.Want(named("a"), now)
		c.Want(named("b"), now.Add(1))
		c.begin(now)
		expectAsk(t, c, now, math.MaxInt64, true) // one at a time
		if news := c.End(now, named("a"), refused, &waits); news != TokenWorks {
			t.Errorf("news %v, want that it works", news)
		}
		expectAsk(t, c, now, 0, true)
	}
}

// TestCallsLearnLimits: what an answer says of the organisation's limit counts.
func TestCallsLearnLimits(t *testing.T) {
	full := delivered
	full.Limits = splitclient.Limits{RemainingOrg: 0, ResetOrg: 20 * time.Second, RemainingIP: 5, ResetIP: time.Second}
	throttled := splitclient.Outcome{Kind: splitclient.Throttled, Reason: splitclient.ThrottledOrg, Delay: 40 * time.Second, DelayIP: time.Second}
	doubtful := splitclient.Outcome{Kind: splitclient.Throttled, Delay: 50 * time.Second, Doubtful: true}
	var c Calls
	for _, o := range []struct {
		splitclient.Outcome
		wait time.Duration
	}{{full, 20 * time.Second}, {throttled, 40 * time.Second}, {doubtful, 50 * time.Second}, {doubtful, time.Minute}, {splitclient.Outcome{Kind: splitclient.Transient}, 0}} {
		now := noon.Add(time.Hour)
		c.limiter.blocked = time.Time{}
		c.Want(named("s"), now)
		c.begin(now)
		c.End(now, named("s"), o.Outcome, &waits)
		if wait := c.Wait(now); wait != o.wait {
			t.Errorf("%v: wait %v, want %v", o.Reason, wait, o.wait)
		}
		if idle := c.Idle(now); idle != (o.wait == 0) {
			t.Errorf("%v: idle %v", o.Reason, idle)
		}
	}
}
