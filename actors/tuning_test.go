package actors

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"audiences/audience"
	"audiences/sandbox"
)

// TestTuneFlushInterval: a segment that gathers sends when it would have. What it gathers
// next goes by the new interval.
func TestTuneFlushInterval(t *testing.T) {
	play(t, sandbox.Options{}, Options{FlushInterval: 10 * time.Second}, func(s *scene) {
		s.add("1")
		s.at(time.Second)
		tuning := *s.relay.tuning()
		tuning.FlushInterval = 2 * time.Second
		s.relay.Tune(tuning)
		s.at(20 * time.Second)
		s.add("2")
		s.at(21 * time.Second)
		s.accept("token", "t", audience.Add, "3")
		s.at(30 * time.Second)
		s.expectCalls("10s add 1: 200", "22s add 1: 200", "23s t add 1: 200")
		s.expectRest()
	})
}

// TestTuneRates: a ceiling that is raised counts at once, also for who waits already under
// the lower one, and one that is lowered does too: that of one tenant, and that of all.
func TestTuneRates(t *testing.T) {
	for what, ceiling := range map[string]func(*Tuning) *float64{
		"of a tenant": func(t *Tuning) *float64 { return &t.MaxCallsPerSecondPerTenant },
		"of all":      func(t *Tuning) *float64 { return &t.MaxCallsPerSecond },
	} {
		t.Run(what, func(t *testing.T) {
			slow := Tuning{FlushInterval: time.Second, MaxConcurrentCalls: 64}
			*ceiling(&slow) = 0.1
			o := Options{FlushInterval: time.Second, MaxCallsPerSecond: slow.MaxCallsPerSecond, MaxCallsPerSecondPerTenant: slow.MaxCallsPerSecondPerTenant}
			play(t, sandbox.Options{}, o, func(s *scene) {
				post := func() {
					for n := range 5 {
						s.accept("token", fmt.Sprint("s", n), audience.Add, "1")
					}
				}
				times := func(want ...string) {
					t.Helper()
					var got []string
					for _, c := range s.split.Calls()[s.shown:] {
						got = append(got, c.Start.Sub(s.began).String())
					}
					s.shown += len(got)
					if fmt.Sprint(got) != fmt.Sprint(want) {
						t.Errorf("calls at %v, want %v", got, want)
					}
				}
				post()
				s.at(3 * time.Second)
				times("1s", "1s")
				fast := slow
				*ceiling(&fast) = 1
				s.relay.Tune(fast)
				s.at(10 * time.Second)
				times("3.8s", "4.8s", "5.8s") // of 8 s to wait a tenth is left
				s.relay.Tune(slow)
				post()
				s.at(time.Minute)
				times("11s", "11s", "21s", "31s", "41s")
				s.expectRest()
			})
		})
	}
}

// TestTuneConcurrent: as many calls are under way as there may be now, at once, and once it
// is less none begins before enough have ended. Tenants that are not proven have half of them.
func TestTuneConcurrent(t *testing.T) {
	tuning := Tuning{FlushInterval: time.Second, MaxConcurrentCalls: 8}
	play(t, sandbox.Options{}, Options{FlushInterval: time.Second, MaxConcurrentCalls: 2, MaxUnproven: 100}, func(s *scene) {
		s.split.Fault(sandbox.Rule{Kind: sandbox.Slow, Delay: 3 * time.Second})
		for n := range 6 {
			s.accept(fmt.Sprint("token", n), "s", audience.Add, "1")
		}
		s.at(2 * time.Second)
		s.relay.Tune(tuning)
		s.at(3 * time.Second)
		tuning.MaxConcurrentCalls = 2
		s.relay.Tune(tuning)
		s.at(time.Minute)
		var got []time.Duration
		for _, c := range s.split.Calls() {
			got = append(got, c.Start.Sub(s.began))
		}
		slices.Sort(got)
		if want := []time.Duration{1e9, 2e9, 2e9, 2e9, 5e9, 8e9}; !slices.Equal(got, want) {
			t.Errorf("calls at %v, want %v", got, want)
		}
		s.expectRest()
	})
}
