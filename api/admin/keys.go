package admin

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"audiences/api/admin/access"
	"audiences/audience"
	"audiences/status"
)

// Keys are shown masked (I7). An operator may have them revealed, which is an event.

// ParkedList is GET /admin/api/v1/parked without a segment: all that is parked.
type ParkedList struct {
	At      time.Time      `json:"at"`
	Reasons []ParkedReason `json:"reasons"`
	// Segments are those that are parked or have parked keys.
	Segments []ListedSegment `json:"segments"`
	Matching int             `json:"matching"`
	Next     string          `json:"next,omitempty"` // cursor of the next page of Segments; "": there is none
}

// ParkedReason is how much is parked for one reason, as the metrics have it.
type ParkedReason struct {
	Reason   string `json:"reason"`
	Segments int    `json:"segments"` // parked as a whole
	Keys     int    `json:"keys"`     // parked one by one
}

func (s *Server) parked(r *http.Request) (any, error) {
	given, err := parameters(r, slices.Concat(targetNames, []string{"reason", "limit", "cursor"})...)
	if err != nil {
		return nil, err
	}
	if given["environment"] == "" && given["segment"] == "" {
		return s.listParked(r)
	}
	return s.parkedKeys(r)
}

// listParked puts the segments with most parked keys first.
func (s *Server) listParked(r *http.Request) (any, error) {
	given, err := parameters(r, "tenant", "limit", "cursor")
	if err != nil {
		return nil, err
	}
	given["sort"] = "parked"
	w, err := windowOf(given, usualPage)
	if err != nil {
		return nil, err
	}
	w.filter.parked = true
	now, filter, err := s.filtered(r.Context(), w.filter)
	if err != nil {
		return nil, err
	}
	w.filter = filter
	shown := now.segments.page(w)
	list := ParkedList{At: now.at, Segments: now.listed(shown.rows), Matching: shown.matching, Next: shown.next}
	list.Reasons, err = s.reasons()
	return list, err
}

// reasons are taken from the metrics, which know the journal's counts: those hold
// also what has no actor, and survive a restart.
func (s *Server) reasons() ([]ParkedReason, error) {
	families, err := s.options.Gatherer.Gather()
	if err != nil && len(families) == 0 {
		return nil, err
	}
	by := map[string]*ParkedReason{}
	for _, family := range families {
		name := family.GetName()
		if name != "audiences_keys_parked" && name != "audiences_segments_parked" {
			continue
		}
		for _, m := range family.GetMetric() {
			reason := m.GetLabel()[0].GetValue()
			if by[reason] == nil {
				by[reason] = &ParkedReason{Reason: reason}
			}
			if name == "audiences_keys_parked" {
				by[reason].Keys = int(m.GetGauge().GetValue())
			} else {
				by[reason].Segments = int(m.GetGauge().GetValue())
			}
		}
	}
	list := []ParkedReason{}
	for _, reason := range by {
		if reason.Keys > 0 || reason.Segments > 0 {
			list = append(list, *reason)
		}
	}
	slices.SortFunc(list, func(a, b ParkedReason) int {
		return cmp.Or(cmp.Compare(b.Segments, a.Segments), cmp.Compare(b.Keys, a.Keys), cmp.Compare(a.Reason, b.Reason))
	})
	return list, nil
}

// mostLookedAt bounds how many parked keys one request reads when it looks for
// those of one reason.
const mostLookedAt = 10_000

func (s *Server) parkedKeys(r *http.Request) (any, error) {
	in, _, given, err := s.targeted(r, "reason", "limit", "cursor")
	if err != nil {
		return nil, err
	}
	limit, err := limitOf(given["limit"], usualPage)
	if err != nil {
		return nil, err
	}
	found := status.ParkedPage{Keys: []status.ParkedKey{}, Next: given["cursor"]}
	for looked := 0; looked < mostLookedAt && len(found.Keys) < limit; {
		page, err := s.options.Relay.Parked(r.Context(), in, found.Next, limit-len(found.Keys))
		if err != nil {
			return nil, err
		}
		for _, k := range page.Keys {
			if given["reason"] == "" || k.Reason == given["reason"] {
				found.Keys = append(found.Keys, masked(k))
			}
		}
		looked += len(page.Keys)
		if found.Next = page.Next; found.Next == "" {
			break
		}
	}
	return found, nil
}

func masked(k status.ParkedKey) status.ParkedKey {
	text := k.Key.Text()
	k.Shown, k.Message = status.MaskKey(text), status.MaskWords(k.Message, text)
	return k
}

// RevealRequest is the body of POST /admin/api/v1/parked/reveal.
type RevealRequest struct {
	Target
	Limit  int    `json:"limit,omitempty"` // 1 to 1,000; 0: 100
	Cursor string `json:"cursor,omitempty"`
}

// reveal shows parked keys as they are.
func (s *Server) reveal(r *http.Request) (any, error) {
	var asked RevealRequest
	if err := read(r, &asked); err != nil {
		return nil, err
	}
	return s.revealOf(r.Context(), asked)
}

// revealOf returns the keys only once the event is kept. Where there are none nothing was
// revealed.
func (s *Server) revealOf(ctx context.Context, asked RevealRequest) (page status.ParkedPage, err error) {
	if asked.Limit < 0 || asked.Limit > largePage {
		return page, bad("limit is a number from 1 to 1000")
	}
	in, name, err := s.findOne(ctx, asked.Target)
	if err != nil {
		return page, err
	}
	if page, err = s.options.Relay.Parked(ctx, in, asked.Cursor, cmp.Or(asked.Limit, usualPage)); err != nil {
		return page, err
	}
	if page.Keys = append([]status.ParkedKey{}, page.Keys...); len(page.Keys) == 0 {
		return page, nil
	}
	for i := range page.Keys {
		page.Keys[i].Shown = page.Keys[i].Key.Text()
	}
	return page, s.options.Relay.Note(ctx, status.Event{At: time.Now().UTC(), Kind: status.EventRevealed, Who: access.From(ctx).Name,
		Tenant: in.Tenant.String(), Environment: in.Environment, Segment: in.Name, Keys: len(page.Keys), Name: name})
}

// WhereRequest is the body of POST /admin/api/v1/where. The key is never part of a URL,
// since these are kept in many places.
type WhereRequest struct {
	Key string `json:"key"`
	Target
	Cursor string `json:"cursor,omitempty"`
}

// where looks for a key in one segment, in a tenant, or everywhere.
func (s *Server) where(r *http.Request) (any, error) {
	var asked WhereRequest
	if err := read(r, &asked); err != nil {
		return nil, err
	}
	return s.whereOf(r.Context(), asked)
}

func (s *Server) whereOf(ctx context.Context, asked WhereRequest) (found status.Whereabouts, err error) {
	key, err := audience.ParseKey(asked.Key)
	if err != nil {
		return found, bad("key: " + err.Error())
	}
	var in audience.Segment
	if asked.Target != (Target{}) {
		if in, _, err = s.find(ctx, asked.Target); err != nil {
			return found, err
		}
	}
	if found, err = s.options.Relay.Where(ctx, in, key, asked.Cursor); err != nil {
		return found, err
	}
	found.Sightings = append([]status.Sighting{}, found.Sightings...)
	for i := range found.Sightings {
		sighting := &found.Sightings[i]
		sighting.Message = status.MaskWords(sighting.Message, key.Text())
		sighting.Name = s.names()[sighting.Tenant]
	}
	return found, nil
}
