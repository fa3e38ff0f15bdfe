package admin

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"audiences/api/admin/access"
	"audiences/status"
)

// The JSON API: its paths begin with this. All that is answered below it is JSON, also
// what is refused.
const apiPath = "/admin/api/v1"

// route is one method of one path of the JSON API. Its handler returns what is written
// as JSON, or why there is nothing.
type route struct {
	method, path string
	least        access.Role
	handle       func(*http.Request) (any, error)
}

// api is all of the JSON API; openapi.json describes the same routes.
func (s *Server) api() []route {
	routes := []route{
		{http.MethodGet, "summary", access.Viewer, s.summary},
		{http.MethodGet, "tenants", access.Viewer, s.listTenants},
		{http.MethodGet, "segments", access.Viewer, s.listSegments},
		{http.MethodGet, "segment", access.Viewer, s.segment},
		{http.MethodGet, "parked", access.Viewer, s.parked},
		{http.MethodPost, "parked/reveal", access.Operator, s.reveal},
		{http.MethodPost, "where", access.Viewer, s.where},
		{http.MethodGet, "events", access.Viewer, s.events},
		{http.MethodGet, "budgets", access.Viewer, s.budgets},
		{http.MethodGet, "nodes", access.Viewer, s.nodes},
		{http.MethodGet, "tokens", access.Viewer, s.tokens},
		{http.MethodPost, "reload", access.Operator, s.reload},
		{http.MethodGet, "series", access.Viewer, s.seriesOf},
		{http.MethodGet, "openapi.json", access.Viewer, openAPI},
	}
	for _, remedy := range status.Remedies() {
		routes = append(routes, route{http.MethodPost, "remedies/" + string(remedy), access.Operator, s.remedy(remedy)})
	}
	return routes
}

// mount adds the JSON API to a mux.
func (s *Server) mount(mux *http.ServeMux) {
	methods := map[string][]string{}
	for _, r := range s.api() {
		mux.Handle(r.method+" "+apiPath+"/"+r.path, s.access.Require(r.least, answering(r.handle)))
		methods[r.path] = append(methods[r.path], r.method)
	}
	for path, allowed := range methods {
		mux.Handle(apiPath+"/"+path, notAllowed(allowed))
	}
	mux.Handle(apiPath+"/", s.access.Require(access.Viewer, answering(func(*http.Request) (any, error) {
		return nil, refusal{http.StatusNotFound, "there is no such path; " + apiPath + "/openapi.json has them all"}
	})))
}

func notAllowed(allowed []string) http.Handler {
	if slices.Contains(allowed, http.MethodGet) {
		allowed = append(allowed, http.MethodHead)
	}
	list := strings.Join(allowed, ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Allow", list)
		writeJSON(w, http.StatusMethodNotAllowed, Problem{"this path takes " + list})
	})
}

// Problem is what the JSON API answers in place of what was asked for.
type Problem struct {
	Error string `json:"error"` // in words
}

// refusal is an error with the status of HTTP that it is answered with.
type refusal struct {
	status int
	words  string
}

func (r refusal) Error() string { return r.words }

// bad is what is wrong with a request.
func bad(words string) error { return refusal{http.StatusBadRequest, words} }

// answering writes what a handler returns.
func answering(handle func(*http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		value, err := handle(r)
		if err != nil {
			writeJSON(w, statusOf(err), Problem{err.Error()})
			return
		}
		writeJSON(w, http.StatusOK, value)
	})
}

// statusOf is the status of HTTP for an error. What the relay itself cannot answer is
// for a moment: it stops, or it is busy.
func statusOf(err error) int {
	var refused refusal
	var fault *status.ConfigurationFault
	switch {
	case errors.As(err, &fault):
		return http.StatusUnprocessableEntity
	case errors.As(err, &refused):
		return refused.status
	case errors.Is(err, status.ErrImpossible):
		return http.StatusBadRequest
	case errors.Is(err, status.ErrUnknown):
		return http.StatusNotFound
	case errors.Is(err, status.ErrPausedNow), errors.Is(err, status.ErrOff), errors.Is(err, status.ErrNotNeeded):
		return http.StatusConflict
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusGatewayTimeout
	}
	return http.StatusServiceUnavailable
}

func writeJSON(w http.ResponseWriter, code int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(value) // fails only when the caller has gone
}

// refuse writes what package access refuses: as JSON below the JSON API, else as text.
func refuse(w http.ResponseWriter, r *http.Request, code int, words string) {
	if strings.HasPrefix(r.URL.Path, apiPath+"/") {
		writeJSON(w, code, Problem{words})
		return
	}
	answer(w, code, words)
}

// parameters are those of the query, each of these names at most once and no other.
func parameters(r *http.Request, names ...string) (map[string]string, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, bad("the query cannot be read: it must be name=value pairs, with & between them")
	}
	found := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		switch {
		case !slices.Contains(names, name):
			return nil, bad(unknownParameter(names))
		case len(values[name]) > 1:
			return nil, bad("the parameter " + name + " stands there twice")
		}
		found[name] = values[name][0]
	}
	return found, nil
}

func unknownParameter(names []string) string {
	if len(names) == 0 {
		return "this path takes no parameters"
	}
	return "unknown parameter; this path takes " + strings.Join(names, ", ")
}
