package actors

import (
	"testing"
	"time"

	"audiences/audience"
	"audiences/sandbox"
	"audiences/splitclient"
	"audiences/status"
)

// TestDrainDoesNotWait covers I3: what cannot go does not hold the stop up, and
// what can goes.
func TestDrainDoesNotWait(t *testing.T) {
	const deadline = 25 * time.Second
	for name, c := range map[string]struct {
		fault sandbox.Rule
		then  func(*scene)
		most  time.Duration
	}{
		"parked":           {sandbox.Rule{Kind: sandbox.Forbidden}, nil, 0},
		"paused segment":   {sandbox.Rule{Kind: sandbox.Conflict, Key: "x"}, func(s *scene) { s.operate(status.Pause) }, 0},
		"paused tenant":    {sandbox.Rule{Kind: sandbox.Conflict}, func(s *scene) { s.operateOn("token", "", status.Pause, time.Time{}) }, 0},
		"paused until":     {sandbox.Rule{Kind: sandbox.Conflict}, func(s *scene) { s.operateOn("token", "", status.Pause, s.began.Add(time.Hour)) }, 0},
		"throttled":        {sandbox.Rule{Kind: sandbox.Throttle, Reset: time.Hour}, nil, 0},
		"token refused":    {sandbox.Rule{Kind: sandbox.Unauthorized}, nil, 0},
		"failing":          {sandbox.Rule{Kind: sandbox.Status, Code: 503}, nil, 0},
		"hanging":          {sandbox.Rule{Kind: sandbox.Hang}, nil, splitclient.DefaultTimeout},
		"not found":        {sandbox.Rule{Kind: sandbox.Status, Code: 404}, nil, 0},
		"everything bad":   {sandbox.Rule{Kind: sandbox.EmptyBadRequest}, nil, 0},
		"full":             {sandbox.Rule{Kind: sandbox.Full}, func(s *scene) { s.remove("1") }, 0},
		"address throttle": {sandbox.Rule{Kind: sandbox.Throttle, Scope: sandbox.IP, Reset: time.Hour}, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, sandbox.Options{}, Options{}, func(s *scene) {
				c.fault.Token = "token"
				s.split.Fault(c.fault)
				s.add("1-10000")
				s.at(time.Minute)
				if c.then != nil {
					c.then(s)
				}
				s.add("20000")
				s.accept("other", "s", audience.Add, "1-3")
				if took := s.stop(deadline); took > c.most {
					s.Errorf("the stop took %v, want at most %v", took, c.most)
				}
				if name != "address throttle" {
					s.expectMembersOf("other", "s", "1-3")
				}
				s.split.ClearFaults()
				s.at(2 * time.Hour) // a new process does not know of a 429
				s.start()
				s.operateOn("token", "", status.Resume, time.Time{})
				s.operate(status.Resume)
				s.at(5 * time.Hour)
				if n := s.split.Size("token", "env", "s"); n < 9_999 {
					s.Errorf("%d keys were delivered after all", n)
				}
				s.expectRest()
			})
		})
	}
}

// TestDrainAfterAFailure: a call that failed before the stop is made once more by it,
// without the wait that it would else have.
func TestDrainAfterAFailure(t *testing.T) {
	play(t, sandbox.Options{}, Options{FirstBackoff: time.Minute}, func(s *scene) {
		s.add("9") // makes it a proven tenant: others are not waited for
		s.at(11 * time.Second)
		s.split.Fault(sandbox.Rule{Kind: sandbox.Status, Code: 503, Count: 1})
		s.add("1-3")
		s.at(22 * time.Second)
		if took := s.stop(25 * time.Second); took > 0 {
			s.Errorf("the stop took %v", took)
		}
		s.expectMembers("1-3 9")
	})
}
