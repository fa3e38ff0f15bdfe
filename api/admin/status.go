package admin

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"audiences/api/admin/series"
	"audiences/audience"
	"audiences/status"
)

// Summary is GET /admin/api/v1/summary: the relay as a whole.
type Summary struct {
	At      time.Time `json:"at"`
	Ready   string    `json:"ready"` // "ready", or why not
	Verdict string    `json:"verdict"`
	status.Counts
	Tenants  map[status.State]int `json:"tenants"`  // how many are in each state
	Segments map[status.State]int `json:"segments"` // the same
	Now      series.Now           `json:"now"`
	Backlog  string               `json:"backlog"` // when nothing will be pending, in words
}

// TenantList is GET /admin/api/v1/tenants, without their segments.
type TenantList struct {
	At       time.Time       `json:"at"`
	Tenants  []status.Tenant `json:"tenants"`
	Matching int             `json:"matching"`       // tenants that the filter lets through
	Next     string          `json:"next,omitempty"` // cursor of the next page; "": there is none
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
	Name string `json:"name,omitempty"` // of the tenant; "": it has none
}

func (s *Server) summary(r *http.Request) (any, error) {
	if _, err := parameters(r); err != nil {
		return nil, err
	}
	now, err := s.current(r.Context())
	if err != nil {
		return nil, err
	}
	return s.sumOf(now), nil
}

// sumOf sums up a snapshot.
func (s *Server) sumOf(now *snapshot) Summary {
	sum := Summary{At: now.at, Ready: "ready", Tenants: map[status.State]int{}, Segments: map[status.State]int{}, Now: s.series.Now(s.fresh())}
	if err := s.ready(); err != nil {
		sum.Ready = err.Error()
	}
	for _, t := range now.list {
		sum.Tenants[t.State]++
		sum.Counts = sum.Plus(t.Counts)
		for state, n := range t.States {
			sum.Segments[state] += n
		}
	}
	within := time.Duration(sum.Now.Within * float64(time.Second))
	sum.Verdict = status.Verdict(now.list, status.Freshness{Keys: sum.Now.Measured, Share: sum.Now.Fresh, Within: within})
	if now.partial != nil {
		sum.Verdict = fmt.Sprintf("Here %v. %s", now.partial, sum.Verdict)
	}
	if s.options.Troubles != nil {
		sum.Verdict = strings.Join(append(s.options.Troubles(), sum.Verdict), " ")
	}
	sum.Backlog = status.BacklogSentence(status.Backlog{Pending: sum.Pending, Taken: sum.Now.Taken, Delivered: sum.Now.Delivered, Waits: now.waits, States: sum.Segments})
	return sum
}

// listTenants lists the tenants that need an operator most first, see windowNames.
func (s *Server) listTenants(r *http.Request) (any, error) {
	now, w, err := s.windowed(r, largePage)
	if err != nil {
		return nil, err
	}
	shown := now.tenants.page(w)
	return TenantList{At: now.at, Tenants: shown.rows, Matching: shown.matching, Next: shown.next}, nil
}

// listSegments lists the segments that need an operator most first, see windowNames.
func (s *Server) listSegments(r *http.Request) (any, error) {
	now, w, err := s.windowed(r, usualPage)
	if err != nil {
		return nil, err
	}
	shown := now.segments.page(w)
	return SegmentList{At: now.at, Segments: now.listed(shown.rows), Matching: shown.matching, Next: shown.next}, nil
}

func (s *Server) windowed(r *http.Request, usual int) (*snapshot, window, error) {
	given, err := parameters(r, windowNames...)
	if err != nil {
		return nil, window{}, err
	}
	w, err := windowOf(given, usual)
	if err != nil {
		return nil, w, err
	}
	now, filter, err := s.filtered(r.Context(), w.filter)
	w.filter = filter
	return now, w, err
}

// targetNames are the parameters that name a segment.
var targetNames = []string{"tenant", "environment", "segment", "workspace", "trafficType"}

// targeted reads the parameters of what is about one segment.
func (s *Server) targeted(r *http.Request, others ...string) (in audience.Segment, name string, given map[string]string, err error) {
	given, err = parameters(r, slices.Concat(targetNames, others)...)
	if err != nil {
		return in, "", nil, err
	}
	in, name, err = s.findOne(r.Context(), Target{given["tenant"], given["environment"], given["segment"], given["workspace"], given["trafficType"]})
	return in, name, given, err
}

// segment is one segment with its last calls.
func (s *Server) segment(r *http.Request) (any, error) {
	in, name, _, err := s.targeted(r)
	if err != nil {
		return nil, err
	}
	detail, err := s.options.Relay.Segment(r.Context(), in)
	detail.Name = name
	if detail.Planned == nil {
		detail.Planned = []status.Planned{}
	}
	if detail.Calls == nil {
		detail.Calls = []status.Call{}
	}
	return detail, err
}

// BudgetList is GET /admin/api/v1/budgets.
type BudgetList struct {
	Budgets []status.Budget `json:"budgets"`
}

func (s *Server) budgets(r *http.Request) (any, error) {
	if _, err := parameters(r); err != nil {
		return nil, err
	}
	budgets, err := s.options.Relay.Budgets(r.Context())
	if err != nil {
		return nil, err
	}
	list := BudgetList{append([]status.Budget{}, budgets...)}
	for i := range list.Budgets {
		list.Budgets[i].Name = s.names()[list.Budgets[i].Tenant]
	}
	return list, nil
}
