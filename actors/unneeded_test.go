package actors

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"audiences/audience"
	"audiences/sandbox"
	"audiences/status"
)

// TestPauseAgain: a pause that is there already, with the same end, is nothing to do and no
// event; one with another end takes its place.
func TestPauseAgain(t *testing.T) {
	for what, name := range map[string]string{"segment": "s", "tenant": ""} {
		t.Run(what, func(t *testing.T) {
			play(t, sandbox.Options{}, Options{}, func(s *scene) {
				s.add("1")
				for i, c := range []struct {
					until time.Time
					want  error
				}{
					{time.Time{}, nil}, {time.Time{}, status.ErrNotNeeded}, {s.began.Add(time.Hour), nil}, {s.began.Add(time.Hour), status.ErrNotNeeded},
					{s.began.Add(2 * time.Hour), nil}, {time.Time{}, nil},
				} {
					w := s.wish("token", name, status.Pause, c.until)
					if _, err := s.remedy(w); !errors.Is(err, c.want) {
						s.Errorf("pause %d: %v, want %v", i, err, c.want)
					}
				}
			})
		})
	}
}

// TestPauseAgainOnceItIsOver is a new pause.
func TestPauseAgainOnceItIsOver(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		s.add("1")
		for range 2 {
			s.operateOn("token", "", status.Pause, time.Time{})
			s.operateOn("token", "", status.Resume, time.Time{})
		}
	})
}

// TestMoveOfNothing is nothing to do: no event, and the old tenant is not paused.
func TestMoveOfNothing(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		s.accept("old", "s", audience.Add, "1")
		s.accept("token", "s", audience.Add, "2")
		s.at(time.Minute)
		if effect, err := s.remedy(s.moving("old", "token")); !errors.Is(err, status.ErrNotNeeded) || effect != (status.Effect{}) {
			s.Errorf("%+v, %v", effect, err)
		}
		s.accept("old", "s", audience.Add, "3")
		s.at(2 * time.Minute)
		s.expectMembersOf("old", "s", "1 3")
	})
}

// TestWhatStaysHeldIsTold: where a remedy makes keys go that a pause still keeps, it says so,
// and until when.
func TestWhatStaysHeldIsTold(t *testing.T) {
	for _, c := range []struct {
		what   string
		paused string        // the segment; "": the tenant
		lasts  time.Duration // of the pause; 0: until somebody resumes it
		of     string        // the segment that is retried; "": the tenant
		held   int
		says   string
	}{
		{"the tenant, without an end", "", 0, "keys", 1, "The tenant is paused until somebody resumes it: nothing is sent before."},
		{"the tenant, for a time", "", time.Hour, "", 2, "The tenant is paused until 01:03:00 (in 1 h): nothing is sent before."},
		{"the segment", "keys", 0, "keys", 1, "1 segment of these is paused: nothing of it is sent before that is over."},
		{"a segment of several", "keys", 0, "", 1, "1 segment of these is paused: nothing of it is sent before that is over."},
		{"another segment", "gathers", 0, "", 0, ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			play(t, sandbox.Options{}, Options{}, func(s *scene) {
				s.troubled()
				var until time.Time
				if c.lasts > 0 {
					until = time.Now().Add(c.lasts)
				}
				s.operateOn("token", c.paused, status.Pause, until)
				effect, err := s.remedy(s.wish("token", c.of, status.Retry, time.Time{}))
				if err != nil || effect.Held != c.held || !strings.HasSuffix(effect.Sentence, c.says) || strings.Contains(effect.Sentence, "paused") != (c.says != "") {
					s.Errorf("%+v, %v", effect, err)
				}
			})
		})
	}
}

// TestResumeAndMoveUnderAPause tell that the tenant keeps it from going on.
func TestResumeAndMoveUnderAPause(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		s.add("1")
		s.accept("old", "s", audience.Add, "2")
		s.operateOn("token", "s", status.Pause, time.Time{})
		s.operateOn("token", "", status.Pause, time.Time{})
		for says, w := range map[string]status.Wish{
			"The tenant": s.wish("token", "s", status.Resume, time.Time{}),
			"Tenant " + s.tenant("token").ID.String(): s.moving("old", "token"),
		} {
			effect, err := s.relay.Remedy(context.Background(), w)
			if err != nil || effect.Held != 1 || !strings.HasSuffix(effect.Sentence, says+" is paused until somebody resumes it: nothing is sent before.") {
				s.Errorf("%+v, %v", effect, err)
			}
		}
	})
}

// TestMoveOfWhatTheActorWasNotToldOf covers I3: keys that somebody else has put into the
// journal are moved too, although the old tenant's segment shows none. The move was refused,
// and they stayed with a dead token. Found by TestModel.
func TestMoveOfWhatTheActorWasNotToldOf(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		s.split.Rotate("token", "new")
		s.add("1")
		s.accept("new", "t", audience.Add, "60") // makes it known
		s.at(time.Minute)
		writer := s.store.Writer(1)
		s.appendElsewhere(writer, audience.Add, "2")
		s.move("token", "new")
		s.at(2 * time.Minute)
		s.expectMembers("1 2")
	})
}
