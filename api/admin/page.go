package admin

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"audiences/api/admin/access"
	"audiences/api/admin/dashboard"
	"audiences/status"
)

// The page: its handlers gather what package dashboard shows. They read the same
// snapshot, and ask the relay in the same way, as the JSON API does.

const (
	pageTenants  = 10
	pageSegments = 25
	pageParked   = 10
	pageEvents   = 20
	pageKeys     = 20
	pageBudgets  = 8
)

// mountPage adds the page to a mux.
func (s *Server) mountPage(mux *http.ServeMux) {
	at := func(method, below string, least access.Role, handle http.HandlerFunc) {
		mux.Handle(method+" "+dashboard.Path+below, s.access.Require(least, handle))
	}
	at("GET", "", access.Viewer, s.showPage)
	at("GET", "/stream", access.Viewer, s.stream)
	at("GET", "/files/{name}", access.Viewer, dashboard.ServeFile)
	at("GET", "/tenants", access.Viewer, sharedPart(s, "tenants", s.pageTenants))
	at("GET", "/segments", access.Viewer, sharedPart(s, "segments", s.pageSegments))
	at("GET", "/parked", access.Viewer, sharedPart(s, "parked", s.pageParked))
	at("GET", "/events", access.Viewer, part(s, s.pageEvents))
	at("GET", "/segment", access.Viewer, s.showSegment)
	at("POST", "/where", access.Viewer, s.showWhere)
	at("POST", "/reveal", access.Operator, s.showRevealed)
	for _, remedy := range status.Remedies() {
		at("GET", "/remedies/"+string(remedy), access.Operator, s.askRemedy(remedy))
		at("POST", "/remedies/"+string(remedy), access.Operator, s.doRemedy(remedy))
	}
}

// pageRequest is a request for the page.
type pageRequest struct {
	*http.Request
	now   *snapshot
	query dashboard.Query
	who   access.Somebody
}

func (a pageRequest) canAct() bool { return a.who.Role >= access.Operator }

func (s *Server) pageRequest(r *http.Request) (a pageRequest, err error) {
	given, err := parameters(r, dashboard.Names...)
	if err != nil {
		return a, err
	}
	a = pageRequest{Request: r, query: dashboard.Query{}, who: access.From(r.Context())}
	for name, value := range given {
		if value != "" {
			a.query[name] = []string{value}
		}
	}
	a.now, err = s.current(r.Context())
	return a, err
}

// part answers with one part of the page.
func part[T dashboard.View](s *Server, gather func(pageRequest) (T, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var view T
		a, err := s.pageRequest(r)
		if err == nil {
			view, err = gather(a)
		}
		if err != nil {
			refuse(w, r, statusOf(err), err.Error())
			return
		}
		dashboard.Write(w, http.StatusOK, view)
	}
}

// sharedPart answers with a part of the page that all see alike who may do the same. It is
// made once for each snapshot: many look at the same.
func sharedPart[T dashboard.View](s *Server, name string, gather func(pageRequest) (T, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var text []byte
		a, err := s.pageRequest(r)
		if err == nil {
			text, err = a.now.parts.get(partKey{name, url.Values(a.query).Encode(), a.canAct()}, func() ([]byte, error) {
				view, err := gather(a)
				if err != nil {
					return nil, err
				}
				return dashboard.Make(view), nil
			})
		}
		if err != nil {
			refuse(w, r, statusOf(err), err.Error())
			return
		}
		dashboard.WriteHTML(w, http.StatusOK, text)
	}
}

func (s *Server) head(r *http.Request) dashboard.Head {
	who := access.From(r.Context())
	return dashboard.Head{Version: s.options.Version, Who: who.Name, Role: who.Role.String(), CanAct: who.Role >= access.Operator, FormToken: who.FormToken}
}

func (s *Server) showPage(w http.ResponseWriter, r *http.Request) {
	part(s, func(a pageRequest) (page dashboard.Page, err error) {
		page = dashboard.Page{Head: s.head(r), Query: a.query}
		if page.Live, err = s.live(r.Context(), a.now); err != nil {
			return page, err
		}
		if page.Tenants, err = s.pageTenants(a); err != nil {
			return page, err
		}
		if page.Segments, err = s.pageSegments(a); err != nil {
			return page, err
		}
		if page.Parked, err = s.pageParked(a); err != nil {
			return page, err
		}
		page.Events, err = s.pageEvents(a)
		return page, err
	})(w, r)
}

func (s *Server) pageTenants(a pageRequest) (view dashboard.Tenants, err error) {
	w, err := windowOf(map[string]string{"search": a.query.Get("tenantSearch"), "sort": a.query.Get("tenantSort"),
		"order": a.query.Get("tenantOrder"), "cursor": a.query.Get("tenantCursor")}, pageTenants)
	if err != nil {
		return view, err
	}
	shown := a.now.tenants.page(w)
	return dashboard.Tenants{At: a.now.at, Query: a.query, CanAct: a.canAct(), Rows: shown.rows, Matching: shown.matching, Next: shown.next}, nil
}

func (s *Server) pageSegments(a pageRequest) (view dashboard.Segments, err error) {
	given := map[string]string{}
	for _, name := range windowNames {
		given[name] = a.query.Get(name)
	}
	w, err := windowOf(given, pageSegments)
	if err != nil {
		return view, err
	}
	view = dashboard.Segments{At: a.now.at, Query: a.query, CanAct: a.canAct(), States: status.States()}
	if w.filter, err = a.now.resolved(w.filter); err != nil {
		view.Problem = err.Error() // the rest of the page is shown all the same
		return view, nil
	}
	shown := a.now.segments.page(w)
	view.Rows, view.Matching, view.Next = rowsOf(a.now.listed(shown.rows)), shown.matching, shown.next
	return view, nil
}

func rowsOf(listed []ListedSegment) (rows []dashboard.Row) {
	for _, each := range listed {
		rows = append(rows, dashboard.Row{Tenant: each.Tenant, Name: each.Name, Segment: each.Segment})
	}
	return rows
}

func (s *Server) pageParked(a pageRequest) (view dashboard.Parked, err error) {
	w, err := windowOf(map[string]string{"sort": "parked"}, pageParked)
	if err != nil {
		return view, err
	}
	view = dashboard.Parked{At: a.now.at, CanAct: a.canAct()}
	reasons, err := s.reasons()
	if err != nil {
		return view, err
	}
	for _, each := range reasons {
		view.Reasons = append(view.Reasons, dashboard.Reason(each))
	}
	w.filter.parked = true
	shown := a.now.segments.page(w)
	view.Rows, view.Matching = rowsOf(a.now.listed(shown.rows)), shown.matching
	return view, nil
}

func (s *Server) pageEvents(a pageRequest) (view dashboard.Events, err error) {
	view = dashboard.Events{At: a.now.at}
	view.Rows, err = s.eventsBefore(a.Context(), 0, pageEvents)
	return view, err
}

// showSegment is a page of its own, or the part of the dashboard when htmx asks.
func (s *Server) showSegment(w http.ResponseWriter, r *http.Request) {
	code := http.StatusOK
	view, err := s.detail(r)
	if err != nil {
		code, view = statusOf(err), dashboard.Detail{Head: s.head(r), Problem: err.Error()}
	}
	if r.Header.Get("HX-Request") != "" {
		dashboard.Write(w, code, view)
		return
	}
	dashboard.Write(w, code, dashboard.SegmentPage(view))
}

func (s *Server) detail(r *http.Request) (view dashboard.Detail, err error) {
	in, name, _, err := s.targeted(r)
	if err != nil {
		return view, err
	}
	view = dashboard.Detail{Head: s.head(r)}
	if view.Detail, err = s.options.Relay.Segment(r.Context(), in); err != nil {
		return view, err
	}
	now, err := s.current(r.Context())
	if err != nil {
		return view, err
	}
	view.At = now.at
	view.Row = dashboard.Row{Tenant: in.Tenant.String(), Name: name, Segment: view.Detail.Segment}
	if view.Detail.Counts.Parked == 0 {
		return view, nil
	}
	page, err := s.options.Relay.Parked(r.Context(), in, "", pageKeys)
	for _, key := range page.Keys {
		view.Keys = append(view.Keys, masked(key))
	}
	view.More = page.Next != ""
	return view, err
}

// showWhere finds a key. Its form is posted: a key is never part of an address.
func (s *Server) showWhere(w http.ResponseWriter, r *http.Request) {
	view := dashboard.Found{}
	found, err := s.whereOf(r.Context(), WhereRequest{Key: strings.TrimSpace(r.PostFormValue("key")), Target: Target{Tenant: r.PostFormValue("tenant")}})
	if err != nil {
		view.Problem = err.Error()
	}
	view.Whereabouts = found
	dashboard.Write(w, http.StatusOK, view)
}

func (s *Server) showRevealed(w http.ResponseWriter, r *http.Request) {
	view := dashboard.Keys{}
	page, err := s.revealOf(r.Context(), RevealRequest{Target: targetOf(r.URL.Query())})
	if err != nil {
		view.Problem = err.Error()
		page = status.ParkedPage{}
	}
	view.Keys, view.More = page.Keys, page.Next != ""
	dashboard.Write(w, http.StatusOK, view)
}

func targetOf(given url.Values) Target {
	return Target{given.Get("tenant"), given.Get("environment"), given.Get("segment"), given.Get("workspace"), given.Get("trafficType")}
}

// live is what changes every second.
func (s *Server) live(ctx context.Context, now *snapshot) (view dashboard.Live, err error) {
	sum := s.sumOf(now)
	view = dashboard.Live{At: now.at, Verdict: sum.Verdict, Ready: sum.Ready, Now: sum.Now, Counts: sum.Counts, SegmentsParked: sum.Segments[status.Parked], Backlog: sum.Backlog}
	view.Tone = toneOf(sum)
	budgets, err := s.options.Relay.Budgets(ctx)
	if err != nil {
		return view, err
	}
	for i, budget := range budgets {
		if i > pageBudgets && !budget.Blocked.After(now.at) && budget.Waiting == 0 {
			view.Others++
			continue
		}
		budget.Name = s.names()[budget.Tenant]
		view.Budgets = append(view.Budgets, dashboard.Budget{Budget: budget, Title: status.BudgetTitle(budget), Said: status.BudgetSentence(budget, now.at)})
	}
	return view, nil
}

// toneOf is how much somebody is needed.
func toneOf(sum Summary) string {
	switch {
	case sum.Ready != "ready", sum.Segments[status.TokenRefused] > 0, sum.Segments[status.Parked] > 0, sum.Parked > 0:
		return "bad"
	case sum.Segments[status.Repeating] > 0, sum.Segments[status.Paused] > 0, sum.Segments[status.Held] > 0, sum.Tenants[status.Held] > 0, sum.Tenants[status.Paused] > 0, sum.Now.Refused > 0:
		return "warn"
	}
	return "good"
}
