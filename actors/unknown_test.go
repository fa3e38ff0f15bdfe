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

// TestWhereByNames: a segment is found by its environment and name alone, also when it was
// let go or the relay has started anew; one that nobody knows is refused and not said to
// have no such key.
func TestWhereByNames(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		whole := s.segment("token", "s")
		whole.Workspace, whole.TrafficType = "w", "user"
		reply := make(chan error, 1)
		s.relay.Accept(reply, audience.Change{Token: s.tenant("token").Token, Segment: whole, Verb: audience.Add, Keys: audience.KeysOf(keysOf("1")...)})
		s.must(<-reply)
		named := func(change func(*audience.Segment)) audience.Segment {
			in := audience.Segment{Tenant: whole.Tenant, Environment: whole.Environment, Name: whole.Name}
			change(&in)
			return in
		}
		look := func(when string) {
			s.Helper()
			for what, in := range map[string]audience.Segment{
				"names":        named(func(*audience.Segment) {}),
				"workspace":    named(func(in *audience.Segment) { in.Workspace = whole.Workspace }),
				"traffic type": named(func(in *audience.Segment) { in.TrafficType = whole.TrafficType }),
				"all":          whole,
			} {
				w, err := s.relay.Where(context.Background(), in, audience.NumericKey(1), "")
				if err != nil || len(w.Sightings) != 1 {
					s.Errorf("%s, by %s: %v, %+v", when, what, err, w)
				}
				if w, err := s.relay.Where(context.Background(), in, audience.NumericKey(2), ""); err != nil || len(w.Sightings) > 0 || !strings.HasPrefix(w.Sentence, "Not seen since") {
					s.Errorf("%s, by %s, another key: %v, %+v", when, what, err, w)
				}
			}
			for what, in := range map[string]audience.Segment{
				"a misspelt name":      named(func(in *audience.Segment) { in.Name = "S" }),
				"another environment":  named(func(in *audience.Segment) { in.Environment = "elsewhere" }),
				"another workspace":    named(func(in *audience.Segment) { in.Workspace = "elsewhere" }),
				"all, and a wrong one": {Tenant: whole.Tenant, Environment: whole.Environment, Name: whole.Name, Workspace: "elsewhere", TrafficType: "user"},
				"another tenant":       {Tenant: s.tenant("other").ID, Environment: whole.Environment, Name: whole.Name},
			} {
				if _, err := s.relay.Where(context.Background(), in, audience.NumericKey(1), ""); !errors.Is(err, status.ErrUnknown) {
					s.Errorf("%s, %s: %v", when, what, err)
				}
			}
		}
		look("pending")
		s.at(time.Minute)
		look("delivered")
		s.at(3 * time.Hour)
		look("let go")
		s.restart()
		look("after a restart")
		if _, err := s.relay.Where(context.Background(), whole, audience.NumericKey(1), "junk"); !errors.Is(err, status.ErrImpossible) {
			s.Errorf("a cursor of somebody else: %v", err)
		}
	})
}

// TestParkedKeysOfNoSegment: one that nobody knows is refused, and is not said to have no
// parked keys; one that has none has an empty list.
func TestParkedKeysOfNoSegment(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		s.add("1")
		if page, err := s.relay.Parked(context.Background(), s.segment("token", "s"), "", 10); err != nil || len(page.Keys) > 0 || page.Next != "" {
			s.Errorf("%+v, %v", page, err)
		}
		for _, in := range []audience.Segment{s.segment("token", "other"), s.segment("nobody", "s")} {
			if _, err := s.relay.Parked(context.Background(), in, "", 10); !errors.Is(err, status.ErrUnknown) {
				s.Errorf("%s: %v", in.Name, err)
			}
		}
	})
}
