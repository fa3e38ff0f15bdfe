package actors

import (
	"slices"
	"strings"
	"testing"
	"time"

	"audiences/audience"
	"audiences/sandbox"
	"audiences/splitclient"
)

// TestPoison covers I3: one bad key among 10,000 is parked with the reason, the
// time and Split's words; all others are delivered, in about 30 calls.
func TestPoison(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		s.split.Fault(sandbox.Rule{Kind: sandbox.Poison, Key: "4711"})
		s.add("1-10000")
		s.at(time.Second)
		if n := s.split.Size("token", "env", "s"); n != 9_999 {
			s.Errorf("%d keys were delivered, want 9,999", n)
		}
		if n := len(s.calls()); n > 30 {
			s.Errorf("%d calls, want at most 30", n)
		}
		s.expectParked("add 4711: bad_request")
		if r := s.parked("token", "s", 1).Entries[0].Refusal; !r.At.Equal(s.began) || r.Message != "Bad request" {
			s.Errorf("parked with %+v; want Split's words, and %v", r, s.began)
		}
		s.expectRest()
		s.at(24 * time.Hour)
		s.expectCalls() // and is left alone
	})
}

// TestPoisonTwice: the two halves may fail alike, but not all the keys.
func TestPoisonTwice(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		s.split.Fault(sandbox.Rule{Kind: sandbox.Poison, Key: "1"})
		s.split.Fault(sandbox.Rule{Kind: sandbox.Poison, Key: "10000"})
		s.add("1-10000")
		s.at(time.Second)
		s.expectParked("add 1: bad_request", "add 10000: bad_request")
		if n := len(s.calls()); n > 60 {
			s.Errorf("%d calls, want at most 60", n)
		}
		if n := s.split.Size("token", "env", "s"); n != 9_998 {
			s.Errorf("%d keys were delivered, want 9,998", n)
		}
		s.expectRest()
	})
}

// TestPoisonChangesDuringTheHunt covers I2: the newer change is delivered, and
// the older one is not parked.
func TestPoisonChangesDuringTheHunt(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		s.split.Fault(sandbox.Rule{Kind: sandbox.Slow, Delay: time.Second})
		s.split.Fault(sandbox.Rule{Kind: sandbox.Poison, Key: "7", Verb: audience.Add})
		s.add("1-16")
		s.at(12500 * time.Millisecond) // the hunt is on: its third call is under way
		if n := s.split.Counts().Calls; n != 2 {
			s.Fatalf("%d calls have ended, want 2", n)
		}
		s.remove("7 3")
		s.at(time.Minute)
		s.expectMembers("1 2 4-6 8-16")
		s.expectParked()
		s.expectRest()
	})
}

// TestPoisonHuntInterrupted covers I3 and I4: whatever comes between, the hunt
// goes on, or begins anew after a crash, and ends as it would have.
func TestPoisonHuntInterrupted(t *testing.T) {
	nothing := func(*scene) {}
	for name, c := range map[string]struct {
		rule sandbox.Rule
		then func(*scene)
	}{
		"5xx":     {sandbox.Rule{Kind: sandbox.Status, Code: 503, Count: 2}, nothing},
		"timeout": {sandbox.Rule{Kind: sandbox.Hang, Count: 2}, nothing},
		"lost":    {sandbox.Rule{Kind: sandbox.Reset, Count: 2}, nothing},
		"429":     {sandbox.Rule{Kind: sandbox.Throttle, Reset: 7 * time.Second, Count: 2}, nothing},
		"401":     {sandbox.Rule{Kind: sandbox.Unauthorized, Count: 2}, nothing},
		"404":     {sandbox.Rule{Kind: sandbox.Status, Code: 404, Count: 2}, nothing},
		"403":     {sandbox.Rule{Kind: sandbox.Forbidden, Count: 2}, nothing},
		"413":     {sandbox.Rule{Kind: sandbox.TooLarge, Keys: 3}, nothing},
		"crash":   {sandbox.Rule{Kind: sandbox.Conflict, Count: 1}, (*scene).crash},
		"restart": {sandbox.Rule{Kind: sandbox.Conflict, Count: 1}, (*scene).restart},
		"panic":   {sandbox.Rule{Kind: sandbox.Conflict, Count: 1}, func(s *scene) { s.faulty.traps[settle].set(0, 1, false) }},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, sandbox.Options{}, Options{MaxKeysPerCall: 16}, func(s *scene) {
				slow := s.split.Fault(sandbox.Rule{Kind: sandbox.Slow, Delay: time.Second})
				cure := s.split.Fault(sandbox.Rule{Kind: sandbox.Poison, Key: "7"})
				s.add("1-16")
				s.at(2500 * time.Millisecond) // the third call is under way
				cure()
				s.split.Fault(c.rule)
				s.split.Fault(sandbox.Rule{Kind: sandbox.Poison, Key: "7"})
				c.then(s)
				slow()
				s.at(2 * time.Hour)
				s.expectMembers("1-6 8-16")
				s.expectParked("add 7: bad_request")
				s.expectRest()
			})
		})
	}
}

// TestEverythingIsRefused: a workspace that answers every call with an empty 400
// gets a handful of calls and then a single key now and then; when it heals, all
// is delivered without anybody's doing.
func TestEverythingIsRefused(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		heal := s.split.Fault(sandbox.Rule{Kind: sandbox.EmptyBadRequest})
		s.add("1-10000")
		s.at(time.Minute)
		s.expectCalls("0s add 10000: 400", "0s add 5000: 400", "0s add 5000: 400", "0s add 1: 400")
		d := s.inspect("token", "s")
		if p := d.State.Parked; p == nil || p.Reason != string(splitclient.EmptyBadRequest) || !p.At.Equal(s.began) {
			s.Fatalf("the segment is parked with %+v", p)
		}
		s.add("20000") // is kept as well
		s.at(46 * time.Minute)
		s.expectCalls("15m0s add 1: 400", "30m0s add 1: 400", "45m0s add 1: 400")
		s.expectParked()
		heal()
		s.at(61 * time.Minute)
		s.expectCalls("1h0m0s add 1: 200", "1h0m0s add 10000: 200")
		s.expectMembers("1-10000 20000")
		if d := s.inspect("token", "s"); d.State.Parked != nil {
			s.Error("the segment is still parked")
		}
		s.expectRest()
	})
}

// TestEverythingIsRefusedInATrickle is the same with one key at a time, where
// there is nothing to halve: the keys that were parked before it was clear that
// the segment is at fault are delivered with the others.
func TestEverythingIsRefusedInATrickle(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		heal := s.split.Fault(sandbox.Rule{Kind: sandbox.EmptyBadRequest})
		for i, key := range []string{"1", "2", "3", "4"} {
			s.at(time.Duration(i) * time.Minute)
			s.add(key)
		}
		s.at(14 * time.Minute)
		s.expectCalls("10s add 1: 400", "1m10s add 1: 400", "2m10s add 1: 400")
		s.expectParked()
		s.expectPending("token", "s", "1-4")
		heal()
		s.at(18 * time.Minute)
		s.expectCalls("17m10s add 1: 200", "17m10s add 3: 200")
		s.expectMembers("1-4")
		s.expectRest()
	})
}

// TestOneKeyRefusedAgainAndAgain: its neighbours go when they come.
func TestOneKeyRefusedAgainAndAgain(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		s.split.Fault(sandbox.Rule{Kind: sandbox.Poison, Key: "7"})
		for i := range 5 {
			s.at(time.Duration(i) * time.Minute)
			s.add("7")
		}
		s.add("1-5")
		s.at(24 * time.Hour)
		s.expectMembers("1-5")
		s.expectParked("add 7: bad_request")
		s.expectRest()
	})
}

// TestProbesReachEveryKey: bad keys that fill the memory of a parked segment do
// not keep a sound one from being tried.
func TestProbesReachEveryKey(t *testing.T) {
	play(t, sandbox.Options{}, Options{MaxKeysPerCall: 1}, func(s *scene) {
		for _, key := range []string{"1", "2", "3", "4"} {
			s.split.Fault(sandbox.Rule{Kind: sandbox.Poison, Key: key})
		}
		s.add("1-4")
		s.add("9")
		s.at(6 * time.Hour)
		s.expectMembers("9")
	})
}

// TestTooLarge: a call is halved until it passes, and the next ones are no
// larger.
func TestTooLarge(t *testing.T) {
	play(t, sandbox.Options{}, Options{MaxKeysPerCall: 100}, func(s *scene) {
		s.split.Fault(sandbox.Rule{Kind: sandbox.TooLarge, Keys: 30})
		s.add("1-100")
		s.at(time.Second)
		s.expectCalls("0s add 100: 413", "0s add 50: 413", "0s add 25: 200", "0s add 25: 200", "0s add 25: 200", "0s add 25: 200")
		s.add("101-160")
		s.at(time.Minute)
		s.expectCalls("1s add 25: 200", "1s add 25: 200", "11s add 10: 200")
		s.expectMembers("1-160")
		s.expectParked()
		s.expectRest()
	})
}

// TestTokenRefused covers I6: the tenant makes one call at growing intervals,
// the others go on; when the token works again, all is delivered.
func TestTokenRefused(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		heal := s.split.Fault(sandbox.Rule{Kind: sandbox.Unauthorized, Token: "token"})
		s.add("1-3")
		s.accept("token", "t", audience.Add, "4")
		s.accept("other", "s", audience.Add, "5")
		s.at(time.Hour)
		s.accept("other", "s", audience.Add, "6")
		s.at(62 * time.Minute)
		var mine, others []string
		for _, line := range s.calls() {
			if at, status, _ := strings.Cut(line, " "); strings.HasSuffix(status, "401") {
				mine = append(mine, at)
			} else {
				others = append(others, at)
			}
		}
		// Half of 30 s, doubled up to half of 15 minutes: the lot is nil here. Whether
		// the second segment's first call begins before the first one's answer is in is
		// not said.
		mine = slices.Compact(mine)
		want := "10s 25s 55s 1m55s 3m55s 7m55s 15m25s 22m55s 30m25s 37m55s 45m25s 52m55s 1h0m25s"
		if got := strings.Join(mine, " "); got != want {
			s.Errorf("the token was tried at %s, want %s", got, want)
		}
		if got := strings.Join(others, " "); got != "10s 1h0m10s" {
			s.Errorf("the other tenant's calls were at %s", got)
		}
		if d := s.inspect("token", "s"); d.LastReason != splitclient.Unauthorized || d.State.Parked != nil {
			s.Errorf("%+v", d)
		}
		heal()
		s.at(68 * time.Minute)
		if n := len(s.calls()); n != 2 {
			s.Errorf("%d calls after the token works, want 2", n)
		}
		s.expectMembers("1-3")
		s.expectMembersOf("token", "t", "4")
		s.expectMembersOf("other", "s", "5 6")
		s.expectRest()
	})
}

// TestForbidden: no right, or approvals required: the segment is parked, in an
// environment of others that are not.
func TestForbidden(t *testing.T) {
	for kind, reason := range map[sandbox.Kind]splitclient.Reason{
		sandbox.Forbidden: splitclient.Forbidden, sandbox.Approvals: splitclient.ApprovalsRequired,
	} {
		t.Run(string(kind), func(t *testing.T) {
			play(t, sandbox.Options{}, Options{}, func(s *scene) {
				heal := s.split.Fault(sandbox.Rule{Kind: kind, Segment: "s"})
				s.add("1-3")
				s.at(time.Second)
				s.accept("token", "t", audience.Add, "4")
				s.at(31 * time.Minute)
				s.expectCalls("10s add 3: 403", "11s t add 1: 200", "15m10s add 1: 403", "30m10s add 1: 403")
				p := s.inspect("token", "s").State.Parked
				if p == nil || p.Reason != string(reason) || p.Message == "" || !p.At.Equal(s.began.Add(10*time.Second)) {
					s.Errorf("parked with %+v", p)
				}
				heal()
				s.at(46 * time.Minute)
				s.expectCalls("45m10s add 1: 200", "45m10s add 2: 200")
				s.expectMembers("1-3")
				s.expectRest()
			})
		})
	}
}

// TestNotFound: a 404 may mean "not yet" for a minute, and is final after it.
func TestNotFound(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		heal := s.split.Fault(sandbox.Rule{Kind: sandbox.Status, Code: 404})
		s.add("1 2")
		s.at(2 * time.Minute)
		s.expectCalls("10s add 2: 404", "10.5s add 2: 404", "11.5s add 2: 404", "13.5s add 2: 404",
			"17.5s add 2: 404", "25.5s add 2: 404", "41.5s add 2: 404", "1m11.5s add 2: 404")
		if p := s.inspect("token", "s").State.Parked; p == nil || p.Reason != string(splitclient.NotFound) {
			s.Fatalf("parked with %+v", p)
		}
		s.at(17 * time.Minute)
		s.expectCalls("16m11.5s add 1: 404") // a parked segment had its grace
		heal()
		s.at(32 * time.Minute)
		s.expectCalls("31m11.5s add 1: 200", "31m11.5s add 1: 200")
		s.expectMembers("1 2")
	})
}

// TestNewlyActivatedSegment: what comes right after the activation is delivered
// as soon as Split knows of it, and nothing is parked.
func TestNewlyActivatedSegment(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		s.split.Fault(sandbox.Rule{Kind: sandbox.NotActive, Delay: 14 * time.Second})
		s.split.Members("token", "env", "s")
		s.add("1")
		s.at(10500 * time.Millisecond)
		s.at(time.Minute)
		s.expectMembers("1")
		for _, line := range s.calls() {
			if !strings.HasSuffix(line, "404") && !strings.HasSuffix(line, "200") {
				s.Error(line)
			}
		}
		if d := s.inspect("token", "s"); d.State.Parked != nil {
			s.Error("the segment is parked")
		}
		s.expectRest()
	})
}

// TestSegmentFull: it is named; what makes room goes, and then the rest.
func TestSegmentFull(t *testing.T) {
	play(t, sandbox.Options{MaxMembers: 4}, Options{MaxKeysPerCall: 3}, func(s *scene) {
		s.add("1-3")
		s.at(time.Minute)
		s.expectCalls("0s add 3: 200")
		s.add("11 12")
		s.at(2 * time.Minute)
		s.expectCalls("1m10s add 2: 400")
		if p := s.inspect("token", "s").State.Parked; p == nil || p.Reason != string(splitclient.SegmentFull) {
			s.Fatalf("parked with %+v", p)
		}
		s.remove("1")
		s.at(3 * time.Minute)
		s.expectCalls("2m10s delete 1: 200", "2m10s add 1: 200", "2m10s add 1: 200")
		s.expectMembers("2 3 11 12")
		s.expectParked()
		s.expectRest()
	})
}

// TestSegmentFullDeletesBehindABacklog: deletes that came after more adds than
// fit into memory are what makes room, so they cannot wait for these adds.
func TestSegmentFullDeletesBehindABacklog(t *testing.T) {
	play(t, sandbox.Options{MaxMembers: 4}, Options{MaxKeysPerCall: 1}, func(s *scene) {
		s.add("1-3")
		s.at(time.Minute)
		s.add("11-14") // one fits, two are held, one is in the journal alone
		s.at(2 * time.Minute)
		s.calls()
		s.remove("1-3")
		s.at(3 * time.Minute)
		s.expectMembers("11-14")
		s.expectRest()
	})
}
