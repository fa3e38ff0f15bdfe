package sandbox

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"audiences/audience"
)

// TestFaultAnswers shows the answer of every kind that serves nothing, and that
// nothing was applied; with Applied, that the same answer is a lie.
func TestFaultAnswers(t *testing.T) {
	for _, c := range []struct {
		rule   Rule
		status int
		body   string // a part of it; "-" for an empty one
	}{
		{Rule{Kind: Throttle}, 429, `"code":429`},
		{Rule{Kind: Status}, 500, "Internal error"},
		{Rule{Kind: Status, Code: 503, Message: "busy"}, 503, `"message":"busy"`},
		{Rule{Kind: Unauthorized}, 401, `"code":401`},
		{Rule{Kind: Forbidden}, 403, "Forbidden"},
		{Rule{Kind: Approvals}, 403, "Approvals are required"},
		{Rule{Kind: NotActive, Delay: time.Second}, 404, "not activated"},
		{Rule{Kind: Conflict}, 409, `"code":409`},
		{Rule{Kind: TooLarge, Keys: 1}, 413, `"code":413`},
		{Rule{Kind: Poison, Key: "poison"}, 400, "Bad request"},
		{Rule{Kind: Full}, 400, guessFull},
		{Rule{Kind: EmptyBadRequest}, 400, "-"},
		{Rule{Kind: HTMLBadGateway}, 502, "<html>"},
		{Rule{Kind: Redirect}, 302, "-"},
		{Rule{Kind: Reset}, 0, "-"},
		{Rule{Kind: Raw, Code: 202, Body: "{}", MediaType: "application/json"}, 202, "{}"},
		{Rule{Kind: Raw, Code: 511, Body: "log in", MediaType: "text/plain"}, 511, "log in"},
		{Rule{Kind: Raw}, 200, "-"},
	} {
		for _, applied := range []bool{false, true} {
			c.rule.Applied = applied
			inBubble(t, Options{Faults: []Rule{c.rule}}, func(t *testing.T, s *Split, cl caller) {
				g := cl.add("s", "1", "poison")
				if c.body == "-" {
					c.body = ""
					if g.body != "" {
						t.Errorf("%s: body %q", c.rule.Kind, g.body)
					}
				}
				g.want(t, c.status, c.body)
				if (c.rule.Kind == Reset) != (g.err != nil) {
					t.Errorf("%s: error %v", c.rule.Kind, g.err)
				}
				if (s.Size(token, "env", "s") == 2) != applied {
					t.Errorf("%s: applied %v", c.rule.Kind, !applied)
				}
				call := s.Calls()[0]
				if call.Outcome != string(c.rule.Kind) || call.Applied != applied || call.Status != c.status {
					t.Errorf("%s: recorded %+v", c.rule.Kind, call)
				}
				wantViolations(t, s)
			})
		}
	}
}

// TestOddAnswers: what somebody between Split and the relay may say.
func TestOddAnswers(t *testing.T) {
	odd := map[string]string{"X-RateLimit-Remaining-IP": "0", "X-RateLimit-Reset-Seconds-IP": "1e9"}
	limits := Limits{IP: Limit{Calls: 100, Window: time.Minute}, HeadersOnSuccess: true} // whose headers give way
	inBubble(t, Options{Limits: limits}, func(t *testing.T, s *Split, c caller) {
		s.Fault(Rule{Kind: Headers, Headers: odd, Count: 1})
		g := c.add("s", "1")
		g.want(t, 200, `"name":"s"`)
		for name, value := range odd {
			if got := g.header.Get(name); got != value {
				t.Errorf("%s: %q, want %q", name, got, value)
			}
		}
		wantMembers(t, s, token, "s", "1")

		s.Fault(Rule{Kind: Throttle, Headers: odd, Count: 1})
		if got := c.add("s", "2").header.Get("X-RateLimit-Reset-Seconds-IP"); got != "1e9" {
			t.Errorf("429 with %q", got)
		}
		s.Fault(Rule{Kind: Raw, Body: "{}", Count: 1})
		if g = c.add("s", "2"); g.status != 200 || g.body != "{}" || g.header.Get("Content-Type") != "" {
			t.Errorf("%d %q of type %q", g.status, g.body, g.header.Get("Content-Type"))
		}
		s.Fault(Rule{Kind: Raw, Body: `{"code":200}`, CutAfter: 3, Applied: true, Count: 1})
		if g = c.add("s", "3"); g.err == nil || g.status != 200 {
			t.Errorf("%d %q, error %v", g.status, g.body, g.err)
		}
		wantMembers(t, s, token, "s", "1", "3")
		wantViolations(t, s)
	})
}

func TestRedirectLeadsAway(t *testing.T) {
	inBubble(t, Options{Faults: []Rule{{Kind: Redirect}}}, func(t *testing.T, _ *Split, c caller) {
		if to := c.add("s", "1").header.Get("Location"); to != "/login" {
			t.Errorf("location %q", to)
		}
	})
}

// TestFaultsSpareWhatTheyDoNotName: a poisoned key, a size, a verb or a missing
// comment must be there for the fault to show.
func TestFaultsSpareWhatTheyDoNotName(t *testing.T) {
	for _, rule := range []Rule{
		{Kind: Poison, Key: "poison"}, {Kind: TooLarge, Keys: 2}, {Kind: CommentsRequired}, {Kind: Full, Verb: audience.Delete},
		{Kind: Status, Token: "other"}, {Kind: Status, Environment: "other"}, {Kind: Status, Segment: "other"}, {Kind: Status, Verb: audience.Delete},
	} {
		inBubble(t, Options{Faults: []Rule{rule}}, func(t *testing.T, s *Split, c caller) {
			c.add("s", "1", "2").want(t, 200, "")
			wantMembers(t, s, token, "s", "1", "2")
		})
	}
}

func TestFaultsFindWhatTheyName(t *testing.T) {
	for _, rule := range []Rule{
		{Kind: Status, Token: token}, {Kind: Status, Token: tenantOf(token).String()},
		{Kind: Status, Token: token, Environment: "env", Segment: "s", Verb: audience.Delete},
	} {
		inBubble(t, Options{Faults: []Rule{rule}}, func(t *testing.T, s *Split, c caller) {
			c.remove("s", "1").want(t, 500, "")
			c.as("other").remove("s", "1").want(t, 200, "")
		})
	}
	inBubble(t, Options{Faults: []Rule{{Kind: CommentsRequired}}}, func(t *testing.T, s *Split, c caller) {
		c.comment = ""
		if g := c.remove("s", "1"); g.status != 400 || g.body != "" {
			t.Errorf("%d %q", g.status, g.body)
		}
	})
}

func TestRulesEnd(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, s *Split, c caller) {
		s.Fault(Rule{Kind: Conflict, Count: 2})
		s.Fault(Rule{Kind: Status, For: time.Second})
		remove := s.Fault(Rule{Kind: Forbidden})
		c.add("s", "1").want(t, 409, "")
		c.add("s", "1").want(t, 409, "")
		c.add("s", "1").want(t, 500, "")
		time.Sleep(time.Second - 1)
		c.add("s", "1").want(t, 500, "")
		time.Sleep(time.Nanosecond)
		c.add("s", "1").want(t, 403, "")
		remove()
		remove()
		c.add("s", "1").want(t, 200, "")
		s.Fault(Rule{Kind: Forbidden})
		s.ClearFaults()
		c.add("s", "1").want(t, 200, "")
	})
}

func TestActivationTakesAWhile(t *testing.T) {
	inBubble(t, Options{Strict: true, Faults: []Rule{{Kind: NotActive, Delay: 4 * time.Second}}}, func(t *testing.T, _ *Split, c caller) {
		c.api("POST", "ws/w/trafficTypes/user", `{"name":"s"}`).want(t, 200, "")
		c.add("s", "1").want(t, 404, "Not found")
		c.api("POST", "env/s", "").want(t, 200, "")
		c.add("s", "1").want(t, 404, "not activated")
		time.Sleep(4*time.Second - 1)
		c.add("s", "1").want(t, 404, "not activated")
		time.Sleep(time.Nanosecond)
		c.add("s", "1").want(t, 200, "")
	})
}

func TestSlowIsServedAfterTheDelay(t *testing.T) {
	inBubble(t, Options{Faults: []Rule{{Kind: Slow, Delay: 3 * time.Second}, {Kind: Conflict, Segment: "c"}}}, func(t *testing.T, s *Split, c caller) {
		for segment, status := range map[string]int{"s": 200, "c": 409} {
			if g := c.add(segment, "1"); g.status != status || g.after != 3*time.Second {
				t.Errorf("%s: %d after %v", segment, g.status, g.after)
			}
		}
		if g := c.addWithin(2*time.Second, "s", "2"); !errors.Is(g.err, context.DeadlineExceeded) || g.after != 2*time.Second {
			t.Errorf("%v after %v", g.err, g.after)
		}
		time.Sleep(time.Hour)
		wantMembers(t, s, token, "s", "1")
		wantViolations(t, s)
	})
}

// TestAppliedButTheAnswerIsLate: what the client cannot tell from the above.
func TestAppliedButTheAnswerIsLate(t *testing.T) {
	for _, rule := range []Rule{{Kind: Slow, Delay: time.Minute, Applied: true}, {Kind: Hang, Applied: true}} {
		inBubble(t, Options{Faults: []Rule{rule}}, func(t *testing.T, s *Split, c caller) {
			if g := c.addWithin(5*time.Second, "s", "1"); !errors.Is(g.err, context.DeadlineExceeded) {
				t.Error(g.err)
			}
			wantMembers(t, s, token, "s", "1")
		})
	}
}

func TestAPatientClientOfASlowRuleIsServedOnce(t *testing.T) {
	inBubble(t, Options{History: true, Faults: []Rule{{Kind: Slow, Delay: time.Minute, Applied: true}}}, func(t *testing.T, s *Split, c caller) {
		if g := c.add("s", "1"); g.status != 200 || g.after != time.Minute {
			t.Errorf("%d after %v", g.status, g.after)
		}
		if log := s.History(token, "env", "s", "1"); len(log) != 1 || time.Since(log[0].Time) != time.Minute {
			t.Errorf("history %v", log)
		}
	})
}

// TestARuleThatEndedWhileACallWasHeldIsNotApplied: the call meets the world as
// it is when it goes on.
func TestARuleThatEndedWhileACallWasHeldIsNotApplied(t *testing.T) {
	inBubble(t, Options{Faults: []Rule{{Kind: Slow, Delay: time.Minute}, {Kind: Status, For: 59 * time.Second}}}, func(t *testing.T, _ *Split, c caller) {
		c.add("s", "1").want(t, 200, "")
	})
}

// TestHangEnds in each of the ways it can.
func TestHangEnds(t *testing.T) {
	hang := Rule{Kind: Hang, Count: 1}
	inBubble(t, Options{}, func(t *testing.T, s *Split, c caller) {
		s.Fault(hang)
		if g := c.addWithin(5*time.Second, "s", "client left"); !errors.Is(g.err, context.DeadlineExceeded) || g.after != 5*time.Second {
			t.Errorf("%v after %v", g.err, g.after)
		}

		remove := s.Fault(hang)
		time.AfterFunc(time.Hour, remove)
		if g := c.add("s", "rule removed"); g.status != 200 || g.after != time.Hour {
			t.Errorf("%d after %v", g.status, g.after)
		}

		s.Fault(Rule{Kind: Hang, For: time.Minute})
		time.Sleep(time.Second)
		if g := c.add("s", "rule ended"); g.status != 200 || g.after != 59*time.Second {
			t.Errorf("%d after %v", g.status, g.after)
		}

		s.Fault(hang)
		time.AfterFunc(time.Second, s.Close)
		if g := c.add("s", "sandbox closed"); g.err == nil || g.after != time.Second {
			t.Errorf("%v after %v", g.err, g.after)
		}
		wantMembers(t, s, token, "s", "rule ended", "rule removed")
		wantViolations(t, s)
		if n := s.Counts().Outcomes; n["hang"] != 2 || n["ok"] != 2 {
			t.Errorf("outcomes %v", n)
		}
	})
}

func TestSenselessRulesAreRefused(t *testing.T) {
	for _, r := range []Rule{{}, {Kind: "x"}, {Kind: Throttle, Scope: "x"}, {Kind: Status, Code: 99}, {Kind: Status, Code: 600}, {Kind: Poison},
		{Kind: Headers}, {Kind: Raw, Code: 199}, {Kind: Raw, Body: "x", CutAfter: 1}, {Kind: Raw, CutAfter: -1}} {
		if r.check() == nil {
			t.Errorf("accepted %+v", r)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	New(Options{Faults: []Rule{{}}})
}

// TestFaultsMeetEveryEndpoint: rules without a verb also concern calls that
// change no members.
func TestFaultsMeetEveryEndpoint(t *testing.T) {
	inBubble(t, Options{Faults: []Rule{{Kind: Status}}}, func(t *testing.T, _ *Split, c caller) {
		for _, call := range [][3]string{
			{http.MethodGet, "env/s/keys", ""}, {http.MethodPost, "env/s", ""}, {http.MethodDelete, "ws/w/s", ""},
			{http.MethodPost, "ws/w/trafficTypes/user", `{"name":"s"}`},
		} {
			c.api(call[0], call[1], call[2]).want(t, 500, "")
		}
	})
}
