package actors

import (
	"context"
	"fmt"
	"testing"
	"time"

	"audiences/audience"
	"audiences/sandbox"
	"audiences/status"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// told is what the relay says of segment s of token and of its tenant: state, what it
// waits for, reason, since and until as seconds since the scene began, keys.
func (s *scene) told() (segment, tenant string) {
	s.Helper()
	tenants, err := s.relay.Status(context.Background())
	s.must(err)
	second := func(at time.Time) string {
		if at.IsZero() {
			return "-"
		}
		return fmt.Sprint(at.Sub(s.began).Seconds())
	}
	line := func(c status.Condition, n status.Counts) string {
		text := fmt.Sprintf("%s since %s until %s: %d", c.State, second(c.Since), second(c.Until), n.Pending)
		for _, more := range []string{string(c.WaitsFor), c.Reason} {
			if more != "" {
				text += " " + more
			}
		}
		if c.By != "" {
			text += " by " + c.By
		}
		return text
	}
	for _, t := range tenants {
		if t.Tenant != s.tenant("token").ID.String() {
			continue
		}
		tenant = line(t.Condition, t.Counts)
		for _, v := range t.Segments {
			if v.Segment == "s" {
				segment = line(v.Condition, v.Counts)
			}
		}
	}
	return segment, tenant
}

func (s *scene) expectStatus(segment, tenant string) {
	s.Helper()
	if gotSegment, gotTenant := s.told(); gotSegment != segment || gotTenant != tenant {
		s.Errorf("%v:\nsegment %s\nwant    %s\ntenant  %s\nwant    %s", time.Since(s.began), gotSegment, segment, gotTenant, tenant)
	}
}

// TestStatus: each state is told, since when, until when, and of how many keys.
func TestStatus(t *testing.T) {
	o := Options{FlushInterval: 10 * time.Second, MaxKeysPerCall: 4, MaxKeysHeld: 4, FirstBackoff: time.Second, ProbeInterval: time.Minute}
	for name, story := range map[string]func(s *scene){
		"gathering, calling, idle": func(s *scene) {
			s.expectStatus("", "")
			s.at(time.Second)
			s.add("1 2")
			s.expectStatus("gathering since 1 until 11: 2", "gathering since 1 until 11: 2")
			hang := s.split.Fault(sandbox.Rule{Kind: sandbox.Hang})
			s.at(5 * time.Second)
			s.add("3")
			s.expectStatus("gathering since 1 until 11: 3", "gathering since 1 until 11: 3")
			s.at(12 * time.Second)
			s.expectStatus("calling since 11 until -: 3", "calling since 11 until -: 3")
			hang()
			s.at(13 * time.Second)
			s.expectStatus("idle since - until -: 0", "idle since - until -: 0")
		},
		"repeating": func(s *scene) {
			s.split.Fault(sandbox.Rule{Kind: sandbox.Status, Code: 503})
			s.add("1")
			s.at(10*time.Second + time.Millisecond)
			s.expectStatus("repeating since 10 until 10.5: 1 server_error", "repeating since 10 until 10.5: 1 server_error")
		},
		"the organisation's limit": func(s *scene) {
			s.split.Fault(sandbox.Rule{Kind: sandbox.Throttle, Reset: 20 * time.Second, Count: 1})
			s.add("1")
			s.at(11 * time.Second)
			segment, tenant := s.told()
			if segment != tenant || segment[:len("waiting since 10 until 3")] != "waiting since 10 until 3" {
				s.Errorf("%s; %s", segment, tenant)
			}
		},
		"the token": func(s *scene) {
			s.split.Fault(sandbox.Rule{Kind: sandbox.Unauthorized, Token: "token"})
			s.add("1")
			s.at(11 * time.Second)
			s.expectStatus("token_refused since 10 until 25: 1 unauthorized", "token_refused since 10 until 25: 1 unauthorized")
			s.at(26 * time.Second)
			s.expectStatus("token_refused since 10 until 55: 1 unauthorized", "token_refused since 10 until 55: 1 unauthorized")
		},
		"parked, with another segment that is well": func(s *scene) {
			s.split.Fault(sandbox.Rule{Kind: sandbox.Forbidden, Segment: "s"})
			s.add("1 2")
			s.accept("token", "other", audience.Add, "5")
			s.at(11 * time.Second)
			s.accept("token", "other", audience.Add, "6")
			s.expectStatus("parked since 10 until 70: 2 forbidden", "parked since 10 until 70: 3 forbidden")
		},
		"paused, the segment": func(s *scene) {
			s.add("1")
			s.at(time.Second)
			s.operateOn("token", "s", status.Pause, s.began.Add(time.Hour))
			s.at(2 * time.Second)
			s.expectStatus("paused since 1 until 3600: 1 by ana", "paused since 1 until 3600: 1 by ana")
		},
		"paused, the tenant": func(s *scene) {
			s.add("1")
			s.operateOn("token", "", status.Pause, time.Time{})
			s.expectStatus("paused since 0 until -: 1 by ana", "paused since 0 until -: 1 by ana")
		},
	} {
		t.Run(name, func(t *testing.T) { play(t, sandbox.Options{}, o, story) })
	}
}

// TestStatusOfStoredKeys: keys that the journal alone has are told of as well, while
// they wait for the interval after a start, and while they are read.
func TestStatusOfStoredKeys(t *testing.T) {
	play(t, sandbox.Options{}, Options{MaxKeysPerCall: 3, MaxKeysHeld: 3, MaxKeysInMemory: 1}, func(s *scene) {
		s.add("1-6") // one is held, the others are in the journal alone
		s.faulty.loadTakes.Store(int64(time.Second))
		s.at(10500 * time.Millisecond)
		s.expectStatus("reading since 10 until -: 5", "reading since 10 until -: 5")
		s.at(time.Minute)
		s.expectStatus("idle since - until -: 0", "idle since - until -: 0")

		s.split.Fault(sandbox.Rule{Kind: sandbox.Hang})
		s.add("1 2")
		s.at(65 * time.Second)
		s.crash()
		s.expectStatus("waiting since 65 until 75: 2 interval", "waiting since 65 until 75: 2 interval")
	})
}

// TestParkedKeysStayInSight: also when their segment and its tenant were let go, and after
// a restart, until they are delivered or discarded.
func TestParkedKeysStayInSight(t *testing.T) {
	o := Options{FlushInterval: time.Second, IdleTimeout: time.Minute}
	play(t, sandbox.Options{}, o, func(s *scene) {
		s.split.Fault(sandbox.Rule{Kind: sandbox.Poison, Key: "2"})
		s.add("1 2")
		parked := func(want int) {
			s.Helper()
			tenants, err := s.relay.Status(context.Background())
			s.must(err)
			if len(tenants) != 1 || tenants[0].Parked != want || len(tenants[0].Segments) != 1 || tenants[0].Segments[0].Parked != want {
				s.Errorf("%v: %+v, want %d keys parked", time.Since(s.began), tenants, want)
			}
		}
		s.at(time.Minute)
		parked(1)
		s.at(10 * time.Minute)
		if n := testutil.ToFloat64(s.relay.metrics.tenants); n != 0 {
			s.Errorf("%v tenants have an actor", n)
		}
		parked(1)
		s.crash()
		s.at(11 * time.Minute)
		parked(1)
		s.operateOn("token", "s", status.Retry, time.Time{})
		s.at(12 * time.Minute)
		parked(1) // it was tried again, and is refused again
		s.at(20 * time.Minute)
		parked(1)
		s.operateOn("token", "s", status.Discard, time.Time{})
		s.at(21 * time.Minute)
		parked(0)
	})
}

// TestPauseStaysInSight: that of a segment and that of a tenant which have nothing to do.
func TestPauseStaysInSight(t *testing.T) {
	play(t, sandbox.Options{}, Options{IdleTimeout: time.Minute}, func(s *scene) {
		s.add("1")
		s.at(time.Minute)
		s.operateOn("token", "s", status.Pause, s.began.Add(2*time.Hour))
		s.operateOn("token", "", status.Pause, s.began.Add(time.Hour))
		for range 2 {
			s.at(time.Since(s.began) + 10*time.Minute)
			s.expectStatus("paused since 60 until 7200: 0 by ana", "paused since 60 until 3600: 0 by ana")
			if n := testutil.ToFloat64(s.relay.metrics.tenants); n != 0 {
				s.Errorf("%v tenants have an actor", n)
			}
		}
		s.at(time.Hour + time.Second)
		s.expectStatus("paused since 60 until 7200: 0 by ana", "paused since 60 until 7200: 0 by ana")
		s.at(3 * time.Hour)
		s.expectStatus("", "idle since - until -: 0") // like any that was let go
	})
}

// TestTenantsStayInSight: one that has delivered is told of also when nothing of it is in
// memory, and after a restart: an operator may look for its keys.
func TestTenantsStayInSight(t *testing.T) {
	play(t, sandbox.Options{}, Options{IdleTimeout: time.Minute}, func(s *scene) {
		s.add("1")
		s.at(10 * time.Minute)
		for range 2 {
			if n := testutil.ToFloat64(s.relay.metrics.tenants); n != 0 {
				s.Errorf("%v tenants have an actor", n)
			}
			s.expectStatus("", "idle since - until -: 0")
			s.restart()
		}
	})
}
