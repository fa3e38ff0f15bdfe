package actors

import (
	"context"
	"math"
	"testing"
	"time"

	"audiences/audience"
	"audiences/sandbox"
	"audiences/status"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// measured is what a histogram of the relay has: observations and their sum, in seconds
// rounded to a tenth. The label tells one of several apart.
func (s *scene) measured(c any, label string) (count uint64, sum float64) {
	s.Helper()
	var m dto.Metric
	switch c := c.(type) {
	case prometheus.Metric:
		s.must(c.Write(&m))
	case prometheus.Collector:
		found := make(chan prometheus.Metric, 10)
		c.Collect(found)
		s.must((<-found).Write(&m))
	default:
		s.Fatalf("%s is no metric", label)
	}
	return m.GetHistogram().GetSampleCount(), math.Round(m.GetHistogram().GetSampleSum()*10) / 10
}

func (s *scene) expectMeasured(c any, what string, count uint64, sum float64) {
	s.Helper()
	if gotCount, gotSum := s.measured(c, what); gotCount != count || math.Abs(gotSum-sum) > 0.15 {
		s.Errorf("%v: %s has %d observations with the sum %v, want %d and %v", time.Since(s.began), what, gotCount, gotSum, count, sum)
	}
}

// TestFreshness: of a call all keys count as the oldest of them, to the second; so do keys
// of before a restart.
func TestFreshness(t *testing.T) {
	play(t, sandbox.Options{}, Options{FlushInterval: 10 * time.Second}, func(s *scene) {
		s.at(time.Second)
		s.add("1 2")
		s.at(5 * time.Second)
		s.add("3")
		s.remove("2") // leaves the adds; of the deletes it is the oldest
		s.at(12 * time.Second)
		s.expectMeasured(s.relay.metrics.freshness, "freshness", 2, 20)
		s.at(16 * time.Second)
		s.expectMeasured(s.relay.metrics.freshness, "freshness", 3, 20+10)
		s.expectMeasured(s.relay.metrics.callKeys, "keys a call", 2, 3)

		s.at(20 * time.Second)
		s.add("4-6")
		s.at(25 * time.Second)
		s.crash()
		s.at(40 * time.Second)
		s.expectMeasured(s.relay.metrics.freshness, "freshness after a restart", 3, 3*15)
	})
}

// TestFreshnessOfAHunt: what is delivered after others were refused is as old as it is.
func TestFreshnessOfAHunt(t *testing.T) {
	play(t, sandbox.Options{}, Options{FlushInterval: 10 * time.Second}, func(s *scene) {
		s.split.Fault(sandbox.Rule{Kind: sandbox.Poison, Key: "4"})
		s.split.Fault(sandbox.Rule{Kind: sandbox.Slow, Delay: 3 * time.Second})
		s.add("1-4")
		s.at(time.Minute)
		s.expectMembers("1-3")
		count, sum := s.measured(s.relay.metrics.freshness, "freshness")
		if count != 3 || sum < 3*11 || sum > 3*30 {
			s.Errorf("%d keys took %v s", count, sum)
		}
	})
}

// TestOldestPendingIsTold: about when the oldest key in memory was accepted, until it is
// settled; also of one in flight, and after a restart.
func TestOldestPendingIsTold(t *testing.T) {
	play(t, sandbox.Options{}, Options{FlushInterval: 10 * time.Second}, func(s *scene) {
		oldest := func(want time.Duration) {
			s.Helper()
			tenants, err := s.relay.Status(context.Background())
			s.must(err)
			got := time.Duration(-1)
			for _, tenant := range tenants {
				for _, segment := range tenant.Segments {
					if !segment.Oldest.IsZero() {
						got = segment.Oldest.Sub(s.began)
					}
				}
			}
			if got != want {
				s.Errorf("%v: the oldest is of %v, want %v", time.Since(s.began), got, want)
			}
		}
		oldest(-1)
		s.at(2 * time.Second)
		s.add("1")
		s.at(4 * time.Second)
		s.add("2")
		oldest(2 * time.Second)
		hang := s.split.Fault(sandbox.Rule{Kind: sandbox.Hang})
		s.at(13 * time.Second)
		s.add("3") // beside the flight
		oldest(2 * time.Second)
		hang()
		s.at(14 * time.Second)
		oldest(13 * time.Second)
		s.at(15 * time.Second)
		hang = s.split.Fault(sandbox.Rule{Kind: sandbox.Hang}) // or the stop may deliver it
		s.restart()
		hang()
		s.at(16 * time.Second)
		oldest(13 * time.Second)
		s.at(time.Minute)
		oldest(-1)
	})
}

// TestWaitsAreMeasured by what kept the tenant from calling, once each wait is over. Both
// tenants have delivered before, so that neither waits without an actor.
func TestWaitsAreMeasured(t *testing.T) {
	o := Options{FlushInterval: 10 * time.Second, MaxConcurrentCalls: 1}
	both := func(s *scene) {
		s.accept("other", "s", audience.Add, "1")
		s.at(time.Minute + time.Second)
		s.add("1")
	}
	for name, c := range map[string]struct {
		story  func(s *scene)
		waited map[waitReason]float64 // seconds in all; of the others none, but instants
	}{
		"nothing": {both, nil},
		"the organisation's limit": {func(s *scene) {
			s.split.Fault(sandbox.Rule{Kind: sandbox.Throttle, Reset: 20 * time.Second, Count: 1, Scope: sandbox.Org})
			s.add("1")
		}, map[waitReason]float64{waitedForTenant: 20}},
		"the address's limit": {func(s *scene) {
			s.split.Fault(sandbox.Rule{Kind: sandbox.Throttle, Reset: 20 * time.Second, Count: 1, Scope: sandbox.IP})
			both(s)
		}, map[waitReason]float64{waitedForAddress: 20 + 19}},
		"a refused token": {func(s *scene) {
			well := s.split.Fault(sandbox.Rule{Kind: sandbox.Unauthorized, Token: "token"})
			s.add("1")
			s.at(71 * time.Second)
			well()
		}, map[waitReason]float64{waitedToken: 15}},
		"a pause": {func(s *scene) {
			s.add("1")
			s.operateOn("token", "", status.Pause, time.Time{})
			s.at(90 * time.Second)
			s.operateOn("token", "", status.Resume, time.Time{})
		}, map[waitReason]float64{waitedPaused: 20}},
		"another tenant's call": {func(s *scene) {
			s.split.Fault(sandbox.Rule{Kind: sandbox.Slow, Delay: 5 * time.Second, Count: 1})
			both(s)
		}, map[waitReason]float64{waitedForTurn: 4}},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, sandbox.Options{}, o, func(s *scene) {
				s.accept("other", "s", audience.Add, "9")
				s.at(30 * time.Second)
				s.add("9")
				s.at(time.Minute)
				c.story(s)
				s.at(3 * time.Minute)
				for _, reason := range waitReasons {
					_, sum := s.measured(s.relay.metrics.waited[reason], string(reason))
					if want := c.waited[reason]; math.Abs(sum-want) > 1 {
						s.Errorf("waited %v s for %s, want %v", sum, reason, want)
					}
				}
			})
		})
	}
}
