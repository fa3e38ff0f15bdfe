package actors

import (
	"strings"
	"testing"
	"time"

	"audiences/audience"
	"audiences/sandbox"
	"audiences/status"
)

// TestEventOfAPauseThatEndsByItself: once, whether its segment or tenant has an actor then
// or not, also when it ended while the relay was away; and none of one that was resumed.
func TestEventOfAPauseThatEndsByItself(t *testing.T) {
	for what, c := range map[string]struct {
		o       Options
		name    string
		keys    bool
		between func(*scene)
		want    int
	}{
		"segment":                       {Options{}, "s", true, func(*scene) {}, 1},
		"segment, restarted":            {Options{}, "s", true, (*scene).restart, 1},
		"segment, restarted later":      {Options{}, "s", true, func(s *scene) { s.stop(0); s.at(90 * time.Minute); s.start() }, 1},
		"segment, killed":               {Options{}, "s", true, (*scene).crash, 1},
		"segment, dozing":               {sleepy(), "s", true, func(*scene) {}, 1},
		"segment, dozing and restarted": {sleepy(), "s", true, (*scene).restart, 1},
		"segment at rest":               {Options{IdleTimeout: time.Minute}, "s", false, func(*scene) {}, 1},
		"segment at rest, restarted":    {Options{IdleTimeout: time.Minute}, "s", false, (*scene).restart, 1},
		"segment at rest, later":        {Options{}, "s", false, func(s *scene) { s.stop(0); s.at(90 * time.Minute); s.start() }, 1},
		"tenant":                        {Options{}, "", true, func(*scene) {}, 1},
		"tenant, restarted":             {Options{}, "", true, (*scene).restart, 1},
		"tenant, restarted later":       {Options{}, "", true, func(s *scene) { s.stop(0); s.at(90 * time.Minute); s.start() }, 1},
		"tenant, dozing":                {sleepy(), "", true, func(*scene) {}, 1},
		"tenant at rest":                {Options{IdleTimeout: time.Minute}, "", false, func(*scene) {}, 1},
		"tenant at rest, restarted":     {Options{IdleTimeout: time.Minute}, "", false, (*scene).restart, 1},
		"segment, resumed":              {Options{}, "s", true, func(s *scene) { s.operateOn("token", "s", status.Resume, time.Time{}) }, 0},
		"tenant, resumed":               {Options{}, "", true, func(s *scene) { s.operateOn("token", "", status.Resume, time.Time{}) }, 0},
		"segment, paused longer":        {Options{}, "s", true, func(s *scene) { s.operateOn("token", "s", status.Pause, s.began.Add(50*time.Hour)) }, 0},
		"tenant, paused longer":         {Options{}, "", true, func(s *scene) { s.operateOn("token", "", status.Pause, s.began.Add(50*time.Hour)) }, 0},
	} {
		t.Run(what, func(t *testing.T) {
			play(t, sandbox.Options{}, c.o, func(s *scene) {
				s.add("1")
				if !c.keys {
					s.at(20 * time.Second)
				}
				s.operateOn("token", c.name, status.Pause, s.began.Add(time.Hour))
				s.at(30 * time.Minute)
				c.between(s)
				s.at(2 * time.Hour)
				for range 2 {
					told := s.eventsOfKind(status.EventPauseOver)
					if len(told) != c.want {
						s.Fatalf("%+v, want %d", told, c.want)
					}
					for _, e := range told {
						if e.Tenant != s.tenant("token").ID.String() || e.Segment != c.name || !strings.Contains(e.Sentence, "pause is over") {
							s.Errorf("%+v", e)
						}
					}
					s.restart()
					s.at(time.Since(s.began) + time.Hour)
				}
				if c.want > 0 {
					s.expectMembers("1")
					s.expectRest()
				}
			})
		})
	}
}

// TestEventOfAPauseThatWasMoved: it ends under the new token as it would have.
func TestEventOfAPauseThatWasMoved(t *testing.T) {
	play(t, sandbox.Options{}, Options{IdleTimeout: time.Minute}, func(s *scene) {
		s.split.Rotate("token", "new")
		s.add("1")
		s.accept("new", "t", audience.Add, "1")
		s.at(20 * time.Second)
		s.operateOn("token", "s", status.Pause, s.began.Add(time.Hour))
		s.move("token", "new")
		s.at(2 * time.Hour)
		if told := s.eventsOfKind(status.EventPauseOver); len(told) != 1 || told[0].Tenant != s.tenant("new").ID.String() || told[0].Segment != "s" {
			s.Errorf("%+v", told)
		}
	})
}
