package actors

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"audiences/audience"
	"audiences/journal"
	"audiences/sandbox"
	"audiences/status"
)

// eventsOfKind are those of a kind, the oldest first.
func (s *scene) eventsOfKind(kind status.EventKind) []status.Event {
	s.Helper()
	events, err := s.relay.Events(context.Background(), 0, journal.EventsKept)
	s.must(err)
	events = slices.DeleteFunc(events, func(e status.Event) bool { return e.Kind != kind })
	slices.Reverse(events)
	return events
}

// happenedTo is to how many segments or tenants they happened.
func happenedTo(events []status.Event) (n int) {
	for _, e := range events {
		n += max(1, e.Segments)
	}
	return n
}

// TestGatheredEventsOutliveAKill: what happens to many is told together after a while, but
// the journal has it within a second; after a kill it is told of as far as it was gathered,
// and without one it is told once.
func TestGatheredEventsOutliveAKill(t *testing.T) {
	const many = 9
	for what, c := range map[string]struct {
		kind  status.EventKind
		fault sandbox.Rule
		whom  func(n int) (token, segment string)
	}{
		"parked": {status.EventSegmentParked, sandbox.Rule{Kind: sandbox.Forbidden}, func(n int) (string, string) { return "token", fmt.Sprint("s", n) }},
		"tokens": {status.EventTokenRefused, sandbox.Rule{Kind: sandbox.Unauthorized}, func(n int) (string, string) { return fmt.Sprint("token", n), "s" }},
	} {
		for end, leave := range map[string]func(*scene){
			"killed":  (*scene).crash,
			"stopped": (*scene).restart,
			"runs on": func(s *scene) { s.at(time.Minute) },
			"runs on, killed": func(s *scene) {
				s.at(time.Minute)
				s.crash()
			},
		} {
			t.Run(what+", "+end, func(t *testing.T) {
				play(t, sandbox.Options{}, Options{}, func(s *scene) {
					s.split.Fault(c.fault)
					for n := range many {
						token, segment := c.whom(n)
						s.accept(token, segment, audience.Add, "1")
					}
					s.at(10500 * time.Millisecond)
					if told := s.eventsOfKind(c.kind); happenedTo(told) != 1 {
						s.Errorf("at first %d of them are told of: %+v", happenedTo(told), told)
					}
					s.at(11100 * time.Millisecond)
					leave(s)
					told := s.eventsOfKind(c.kind)
					if happenedTo(told) != many || len(told) != 2 {
						s.Fatalf("%d are told of in %d events, want %d in 2: %+v", happenedTo(told), len(told), many, told)
					}
					rest := told[1]
					if len(rest.Others) != 4 || !strings.HasSuffix(rest.Sentence, "and 3 more.") || rest.At.After(s.began.Add(11*time.Second)) {
						s.Errorf("%+v", rest)
					}
					for _, other := range rest.Others {
						if !strings.Contains(rest.Sentence, other.Tenant) && !strings.Contains(rest.Sentence, other.Environment+"/"+other.Segment) {
							s.Errorf("%q does not name %+v", rest.Sentence, other)
						}
					}
				})
			})
		}
	}
}
