package admin

import (
	"context"
	"net/http"
	"slices"
	"strconv"

	"audiences/status"
)

// EventList is GET /admin/api/v1/events: the newest first.
type EventList struct {
	Events []status.Event `json:"events"`
	Next   uint64         `json:"next,omitempty"` // before, for the next page; 0: there is none
}

func (s *Server) events(r *http.Request) (any, error) {
	given, err := parameters(r, "before", "limit")
	if err != nil {
		return nil, err
	}
	limit, err := limitOf(given["limit"], usualPage)
	if err != nil {
		return nil, err
	}
	var before uint64
	if text := given["before"]; text != "" {
		if before, err = strconv.ParseUint(text, 10, 64); err != nil {
			return nil, bad("before is the number of an event")
		}
	}
	list := EventList{}
	if list.Events, err = s.eventsBefore(r.Context(), before, limit); err != nil {
		return nil, err
	}
	if len(list.Events) == limit {
		list.Next = list.Events[limit-1].Number
	}
	return list, nil
}

// eventsBefore are events with the names that people know, also in their sentences.
func (s *Server) eventsBefore(ctx context.Context, before uint64, limit int) ([]status.Event, error) {
	found, err := s.options.Relay.Events(ctx, before, limit)
	named := append([]status.Event{}, found...) // an empty list is not null
	for i := range named {
		event := &named[i]
		event.Name = s.names()[event.Tenant]
		known := event.Name != ""
		event.Others = slices.Clone(event.Others) // the relay shows them to others too
		for j := range event.Others {
			other := &event.Others[j]
			other.Name = s.names()[other.Tenant]
			known = known || other.Name != ""
		}
		if known {
			event.Sentence = status.EventSentence(*event)
		}
	}
	return named, err
}
