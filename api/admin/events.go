package admin

import (
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
	events, err := s.options.Relay.Events(r.Context(), before, limit)
	if err != nil {
		return nil, err
	}
	list := EventList{Events: slices.Concat([]status.Event{}, events)}
	for i := range list.Events {
		list.Events[i].Name = s.options.Names[list.Events[i].Tenant]
	}
	if len(events) == limit {
		list.Next = events[limit-1].Number
	}
	return list, nil
}
