package actors

import (
	"context"
	"strings"
	"testing"
	"time"

	"audiences/journal"
	"audiences/sandbox"
	"audiences/status"
)

// TestParkedIsToldWhateverElseHolds: a parked segment is parked for whoever looks while an
// operator pauses it or its tenant, while Split refuses the token, during the call that
// tries a key, after a restart, where it dozes, and when it has nothing pending.
func TestParkedIsToldWhateverElseHolds(t *testing.T) {
	lazy := sleepy()
	lazy.ProbeInterval = time.Hour
	for what, c := range map[string]struct {
		o    Options
		hold func(*scene)
		also status.State
		says string
	}{
		"paused": {Options{}, func(s *scene) { s.operate(status.Pause) }, status.Paused, "Paused by ana"},
		"paused, with an end": {Options{}, func(s *scene) {
			s.operateOn("token", "s", status.Pause, s.began.Add(10*time.Hour))
		}, status.Paused, "Paused by ana"},
		"paused, restarted": {Options{}, func(s *scene) {
			s.operate(status.Pause)
			s.restart()
			s.at(2 * time.Minute)
		}, status.Paused, "Paused by ana"},
		"paused, dozing": {lazy, func(s *scene) {
			s.operate(status.Pause)
			s.at(30 * time.Minute)
		}, status.Paused, "Paused by ana"},
		"paused, dozing and restarted": {lazy, func(s *scene) {
			s.operate(status.Pause)
			s.restart()
			s.at(30 * time.Minute)
		}, status.Paused, "Paused by ana"},
		"tenant paused": {Options{}, func(s *scene) { s.operateOn("token", "", status.Pause, time.Time{}) }, status.Paused, "Paused by ana"},
		"token refused": {Options{ProbeInterval: time.Minute}, func(s *scene) {
			s.split.ClearFaults()
			s.split.Fault(sandbox.Rule{Kind: sandbox.Unauthorized, Token: "token"})
			s.at(2 * time.Minute)
		}, status.TokenRefused, "Split refuses the token"},
		"tried": {Options{ProbeInterval: time.Minute}, func(s *scene) {
			s.split.ClearFaults()
			s.split.Fault(sandbox.Rule{Kind: sandbox.Hang})
			s.at(72 * time.Second)
		}, status.Calling, "a call is under way"},
	} {
		t.Run(what, func(t *testing.T) {
			play(t, sandbox.Options{}, c.o, func(s *scene) {
				s.split.Fault(sandbox.Rule{Kind: sandbox.Forbidden})
				s.add("1-3")
				s.at(15 * time.Second)
				c.hold(s)
				tenants, err := s.relay.Status(context.Background())
				s.must(err)
				told := tenants[0].Segments[0].WithSentence(time.Now())
				if told.State != status.Parked || told.Also != c.also || told.Reason != "forbidden" || told.Pending != 3 || !told.Since.Equal(s.began.Add(10*time.Second)) {
					s.Errorf("%+v", told)
				}
				for _, said := range []string{told.Sentence, tenants[0].Sentence, status.Verdict(tenants, status.Freshness{})} {
					if !strings.Contains(said, "Split refuses") {
						s.Errorf("%q does not tell that it is parked", said)
					}
				}
				if !strings.Contains(told.Sentence, c.says) || !strings.Contains(told.Sentence, "(forbidden, status 403") {
					s.Errorf("%q", told.Sentence)
				}
			})
		})
	}
}

// TestParkedOutlivesThePauseAtRest: a segment without an actor is parked still when its
// pause is over.
func TestParkedOutlivesThePauseAtRest(t *testing.T) {
	play(t, sandbox.Options{}, Options{IdleTimeout: time.Minute}, func(s *scene) {
		s.add("1")
		s.at(15 * time.Second)
		kept := make(chan error, 1)
		s.store.SetSegmentState(s.segment("token", "s"), journal.SegmentState{Paused: true, PausedBy: "ana", PausedUntil: s.began.Add(time.Hour),
			Parked: &journal.Refusal{Reason: "forbidden", Status: 403, At: s.began.Add(10 * time.Second)}}, func(err error) { kept <- err })
		s.must(<-kept)
		s.restart()
		for _, c := range []struct {
			at   time.Duration
			want string
		}{
			{30 * time.Minute, "parked since 10 until 3600: 0 forbidden by ana"},
			{2 * time.Hour, "parked since 10 until -: 0 forbidden"},
		} {
			s.at(c.at)
			s.expectStatus(c.want, c.want)
		}
	})
}
