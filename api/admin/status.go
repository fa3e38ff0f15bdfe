package admin

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"audiences/status"
)

// The JSON API. Its paths begin with this.
const apiPath = "/admin/api/v1"

// Summary is GET /admin/api/v1/summary: the relay as a whole.
type Summary struct {
	At      time.Time `json:"at"`
	Ready   string    `json:"ready"` // "ready", or why not
	Verdict string    `json:"verdict"`
	status.Counts
	Tenants  map[status.State]int `json:"tenants"`  // how many are in each state
	Segments map[status.State]int `json:"segments"` // the same
}

// TenantList is GET /admin/api/v1/tenants, without their segments.
type TenantList struct {
	At      time.Time       `json:"at"`
	Tenants []status.Tenant `json:"tenants"`
}

// SegmentList is GET /admin/api/v1/segments.
type SegmentList struct {
	At       time.Time       `json:"at"`
	Matching int             `json:"matching"` // segments that the filter lets through
	Segments []ListedSegment `json:"segments"`
	Next     string          `json:"next,omitempty"` // cursor of the next page; "": there is none
}

// ListedSegment is a segment with its tenant.
type ListedSegment struct {
	Tenant string `json:"tenant"`
	status.Segment
}

const (
	usualPage = 100
	largePage = 1000
)

func (s *Server) summary(w http.ResponseWriter, r *http.Request) {
	tenants, ok := s.tenants(w, r)
	if !ok {
		return
	}
	sum := Summary{At: time.Now().UTC(), Ready: "ready", Tenants: map[status.State]int{}, Segments: map[status.State]int{}}
	if err := s.options.Ready(); err != nil {
		sum.Ready = err.Error()
	}
	for _, t := range tenants {
		sum.Tenants[t.State]++
		sum.Counts = sum.Plus(t.Counts)
		for state, n := range t.States {
			sum.Segments[state] += n
		}
	}
	sum.Verdict = status.Verdict(tenants)
	writeJSON(w, sum)
}

func (s *Server) listTenants(w http.ResponseWriter, r *http.Request) {
	tenants, ok := s.tenants(w, r)
	if !ok {
		return
	}
	for i := range tenants {
		tenants[i].Segments = nil
	}
	writeJSON(w, TenantList{At: time.Now().UTC(), Tenants: tenants})
}

// listSegments lists the segments that need an operator most first. Its query:
// tenant (a fingerprint or its beginning), state, search (a part of the segment's or
// environment's name), limit (1 to 1,000; 100), cursor.
func (s *Server) listSegments(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	limit, after := usualPage, 0
	var bad error
	if text := q.Get("limit"); text != "" {
		limit, bad = strconv.Atoi(text)
	}
	if text := q.Get("cursor"); text != "" && bad == nil {
		after, bad = strconv.Atoi(text)
	}
	if bad != nil || limit < 1 || limit > largePage || after < 0 {
		http.Error(w, "limit is a number from 1 to 1000, cursor what an answer has as next", http.StatusBadRequest)
		return
	}
	tenants, ok := s.tenants(w, r)
	if !ok {
		return
	}
	var found []ListedSegment
	for _, t := range tenants {
		if !strings.HasPrefix(t.Tenant, q.Get("tenant")) {
			continue
		}
		for _, segment := range t.Segments {
			if matches(segment, status.State(q.Get("state")), q.Get("search")) {
				found = append(found, ListedSegment{t.Tenant, segment})
			}
		}
	}
	slices.SortFunc(found, urgency)
	list := SegmentList{At: time.Now().UTC(), Matching: len(found), Segments: found[min(after, len(found)):]}
	if len(list.Segments) > limit {
		list.Segments, list.Next = list.Segments[:limit], strconv.Itoa(after+limit)
	}
	writeJSON(w, list)
}

func matches(s status.Segment, state status.State, search string) bool {
	return (state == "" || s.State == state) &&
		(strings.Contains(s.Segment, search) || strings.Contains(s.Environment, search))
}

// urgency puts first what needs an operator most, and of that what has most keys.
func urgency(a, b ListedSegment) int {
	return cmp.Or(
		cmp.Compare(a.State.Rank(), b.State.Rank()),
		cmp.Compare(b.Pending, a.Pending),
		cmp.Compare(a.Tenant, b.Tenant),
		cmp.Compare(a.Environment, b.Environment),
		cmp.Compare(a.Segment.Segment, b.Segment.Segment),
	)
}

// tenants asks the relay; ok is false where it has answered the request itself.
func (s *Server) tenants(w http.ResponseWriter, r *http.Request) (tenants []status.Tenant, ok bool) {
	tenants, err := s.options.Status(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return nil, false
	}
	return tenants, true
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(value) // fails only when the caller has gone
}
