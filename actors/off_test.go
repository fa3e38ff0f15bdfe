package actors

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"audiences/audience"
	"audiences/sandbox"
	"audiences/status"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"
)

// TestDeliveryOff: a relay without Deliver takes changes and calls nobody, says so, and
// stops at once; the next start that may call delivers the last verb of each key (I2, I3).
func TestDeliveryOff(t *testing.T) {
	var log bytes.Buffer
	play(t, sandbox.Options{}, Options{MaxKeysPerCall: 3, MaxKeysHeld: 100, Logger: zerolog.New(zerolog.SyncWriter(&log))}, func(s *scene) {
		s.off = true
		s.restart()
		s.add("1-7")
		s.remove("6-8")
		s.accept("other", "t", audience.Add, "1")
		s.at(time.Hour)
		s.remove("1")
		s.expectCalls()

		said := s.statusOf("token")
		if want := "Delivery is switched off in the configuration: 8 keys are kept."; said.State != status.Held || said.Sentence != want || said.States[status.Held] != 1 {
			t.Errorf("%s, %q, %v; want %q", said.State, said.Sentence, said.States, want)
		}
		if d := s.inspect("token", "s"); len(d.Planned) != 2 || d.Planned[0].Verb != "add" || d.Planned[0].Keys != 4 || d.Planned[0].Calls != 2 ||
			d.Planned[1].Verb != "delete" || d.Planned[1].Keys+d.Stored != 4 || !slices.Equal(d.Planned[0].Some, []string{"***", "***", "***"}) {
			t.Errorf("planned: %+v", d.Planned)
		}
		if _, err := s.relay.Remedy(context.Background(), s.wish("token", "s", status.Flush, time.Time{})); !errors.Is(err, status.ErrOff) {
			t.Errorf("flush: %v", err)
		}
		if off := testutil.ToFloat64(s.relay.metrics.off); off != 1 {
			t.Errorf("audiences_delivery_off is %v", off)
		}
		began := time.Now()
		s.restart()
		if took := time.Since(began); took > 0 {
			t.Errorf("a stop waited %v for calls that are never made", took)
		}
		s.at(2 * time.Hour)
		s.expectCalls()
		if lines := strings.Count(log.String(), `"message":"a call is due and not made, as delivery is switched off: its keys are kept"`); lines != 4 {
			t.Errorf("%d lines say that no call is made, want one of each segment and start:\n%s", lines, log.String())
		}

		s.off = false
		s.restart()
		s.at(3 * time.Hour)
		s.expectMembers("2-5")
		s.expectMembersOf("other", "t", "1")
		s.expectRest()
		if off := testutil.ToFloat64(s.relay.metrics.off); off != 0 {
			t.Errorf("audiences_delivery_off is %v", off)
		}
	})
}

// TestDeliveryOffKeepsRemedies: what was paused, parked or refused before is so while
// delivery is switched off, and an operator can do with it what he always can.
func TestDeliveryOffKeepsRemedies(t *testing.T) {
	refuses := sandbox.Options{Faults: []sandbox.Rule{{Kind: sandbox.Forbidden, Segment: "s"}}}
	play(t, refuses, Options{}, func(s *scene) {
		s.add("1")
		s.accept("token", "t", audience.Add, "1")
		s.at(time.Minute)
		s.operateOn("token", "t", status.Pause, time.Time{})
		s.accept("token", "t", audience.Add, "2")
		s.calls()
		s.off = true
		s.restart()
		s.at(time.Hour)
		for _, got := range s.statusOf("token").Segments {
			if refused := got.Segment == "s"; got.Is(status.Parked) != refused || got.Is(status.Held) != refused || got.Is(status.Paused) == refused {
				t.Errorf("%s: %+v", got.Segment, got.Condition)
			}
		}
		s.operateOn("token", "t", status.Resume, time.Time{})
		s.operate(status.Discard)
		s.at(2 * time.Hour)
		s.expectCalls()
		s.expectPending("token", "s", "")
		if got := s.statusOf("token").Segments; len(got) != 1 || got[0].State != status.Held {
			t.Errorf("%+v", got)
		}
		s.off = false
		s.restart()
		s.at(3 * time.Hour)
		s.expectMembersOf("token", "t", "1 2")
		s.expectRest()
	})
}

// TestDeliveryOffIsBounded: tenants that never delivered anything doze as ever, and keys
// beyond memory are in the journal alone.
func TestDeliveryOffIsBounded(t *testing.T) {
	play(t, sandbox.Options{}, Options{MaxUnproven: 2, MaxKeysInMemory: 10}, func(s *scene) {
		s.off = true
		s.restart()
		tokens := []string{"token-a", "token-b", "token-c", "token-d", "token-e", "token-f"}
		for _, token := range tokens {
			s.accept(token, "s", audience.Add, "1-20")
		}
		s.at(24 * time.Hour)
		if held := s.relay.inMemory.Load(); held > 10 {
			t.Errorf("%d keys in memory", held)
		}
		for _, token := range tokens {
			if said := s.statusOf(token); said.State != status.Held || said.Pending != 20 {
				t.Errorf("%s: %s with %d keys", token, said.State, said.Pending)
			}
		}
		s.expectCalls()
		s.off = false
		s.restart()
		s.at(48 * time.Hour)
		for _, token := range tokens {
			s.expectMembersOf(token, "s", "1-20")
		}
		s.expectRest()
	})
}

// statusOf is what the relay says of one tenant.
func (s *scene) statusOf(token string) status.Tenant {
	s.Helper()
	all, err := s.relay.Status(context.Background())
	s.must(err)
	for _, t := range all {
		if t.ID == s.tenant(token).ID {
			return t
		}
	}
	s.Fatalf("%s is not known", token)
	return status.Tenant{}
}
