package admin

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"audiences/api/admin/dashboard"
	"audiences/status"
)

// requestOf reads what a remedy is about: a filter, or a tenant or segment.
func requestOf(given url.Values) RemedyRequest {
	if given.Get("filter") != "" {
		return RemedyRequest{Filter: &Filter{Tenant: given.Get("tenant"), State: status.State(given.Get("state")), Search: given.Get("search")}}
	}
	return RemedyRequest{Target: targetOf(given)}
}

// askRemedy says what a remedy would do, before anybody is asked to confirm it.
func (s *Server) askRemedy(remedy status.Remedy) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		given := r.URL.Query()
		request := requestOf(given)
		view := dashboard.Ask{Remedy: remedy, Fields: map[string]string{}, What: what(request)}
		for _, name := range slices.Concat(targetNames, []string{"filter", "state", "search"}) {
			if value := given.Get(name); value != "" {
				view.Fields[name] = value
			}
		}
		if err := s.tryRemedy(r.Context(), request, given, &view); err != nil {
			view.Problem = err.Error()
		}
		dashboard.Write(w, http.StatusOK, view)
	}
}

// tryRemedy has a remedy say what it would do. That of a move is known only when the new
// tenant is chosen.
func (s *Server) tryRemedy(ctx context.Context, request RemedyRequest, given url.Values, view *dashboard.Ask) error {
	switch view.Remedy {
	case status.Move:
		now, err := s.current(ctx)
		if err != nil {
			return err
		}
		view.Tenants = now.tenants.rows
		if view.Chosen = given.Get("to"); view.Chosen == "" {
			view.Sentence = "All that is pending and parked is handed to another tenant of the same customer, whose token is new. The old tenant is paused."
			return nil
		}
		request.To = view.Chosen
	case status.Pause:
		if view.Chosen = usualPause; given.Has("for") {
			view.Chosen = given.Get("for")
		}
		request.For = view.Chosen
	}
	request.DryRun = true
	effect, err := s.remedyOf(ctx, view.Remedy, request)
	view.Sentence = effect.Sentence
	return err
}

// usualPause is how long a pause lasts where nobody says otherwise: the trouble that it is
// meant for is over then as a rule, and nobody has to remember it.
const usualPause = "1h"

// what is what a remedy is about, in words.
func what(asked RemedyRequest) string {
	switch {
	case asked.Filter != nil:
		return "all that match"
	case asked.whole():
		return "the tenant"
	}
	return asked.Environment + "/" + asked.Segment
}

func (s *Server) doRemedy(remedy status.Remedy) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			refuse(w, r, http.StatusBadRequest, "the form cannot be read")
			return
		}
		request := requestOf(r.PostForm)
		request.For, request.To = r.PostForm.Get("for"), r.PostForm.Get("to")
		effect, err := s.remedyOf(r.Context(), remedy, request)
		view := dashboard.Done{Sentence: effect.Sentence}
		if err != nil {
			view.Problem = err.Error()
		}
		for _, failed := range effect.Failed {
			view.Failed = append(view.Failed, failed.Environment+"/"+failed.Segment+": "+failed.Error)
		}
		dashboard.Write(w, http.StatusOK, view)
	}
}
