package status

import (
	"testing"
	"time"
)

// TestEventSentence: what began and lasts until a time says so; what is tried again then
// does not sound as if it were over, and of many each has a time of its own.
func TestEventSentence(t *testing.T) {
	event := func(kind EventKind, segments int) Event {
		return Event{At: now, Kind: kind, Tenant: "aa", Environment: "e", Segment: "s", Segments: segments, Until: now.Add(time.Minute)}
	}
	for _, c := range []struct {
		event Event
		want  string
	}{
		{event(EventPaused, 0), "e/s of tenant aa: paused until 14:03:00."},
		{event(EventTenantLimited, 0), "e/s of tenant aa: the limit of the organisation is used up: the tenant waits until 14:03:00."},
		{event(EventSegmentFails, 1), "e/s of tenant aa: calls to Split fail and are repeated; tried again at 14:03:00."},
		{event(EventSegmentFails, 60), "e/s of tenant aa: calls to Split fail and are repeated, and 59 more."},
		{event(EventSegmentParked, 1), "e/s of tenant aa: Split refuses the segment: parked; tried again at 14:03:00."},
		{event(EventTokenRefused, 1), "e/s of tenant aa: Split refuses the token; tried again at 14:03:00."},
		{Event{At: now, Kind: EventSegmentParked, Tenant: "aa", Environment: "e", Segment: "s", Segments: 9, Reason: "forbidden", Status: 403, Others: []EventSubject{
			{Tenant: "aa", Environment: "e", Segment: "t", Reason: "forbidden"}, {Tenant: "bb", Name: "acme", Environment: "f", Segment: "u", Reason: "not_found"}}},
			"e/s of tenant aa: Split refuses the segment: parked (forbidden, status 403); so it is with e/t, f/u of tenant acme (bb) (not_found), and 6 more."},
		{Event{At: now, Kind: EventTokenAccepted, Tenant: "aa", Segments: 2, Others: []EventSubject{{Tenant: "bb"}}}, "Tenant aa: the token works again; so it is with tenant bb."},
		{Event{At: now, Kind: EventReloaded, Taken: []string{"authToken", "logLevel"}, NeedRestart: []string{"port"}, Who: "ana"}, "The configuration was read again; taken: authToken, logLevel; needs a restart: port by ana."},
		{Event{At: now, Kind: EventNotReloaded, Node: "n1", Fault: "c, line 3: unknown"}, "Node n1: the configuration was read again and has a fault: all stays as it was; c, line 3: unknown."},
		{Event{At: now, Kind: EventMoved, Tenant: "aa", Keys: 3, To: "bb", Paused: 2, Who: "ana"}, "Tenant aa: moved, 3 keys, to tenant bb (2 segments stay paused there) by ana."},
	} {
		if got := EventSentence(c.event); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}
