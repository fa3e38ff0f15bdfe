package admin

import (
	"net/http"
	"net/http/pprof"

	"audiences/api/admin/access"
)

const profilesPath = "/debug/pprof/"

// profiles adds those of net/http/pprof for operators. The command line is not among
// them: nobody needs it for a profile.
func (s *Server) profiles(mux *http.ServeMux) {
	add := func(path string, profile http.HandlerFunc) {
		mux.Handle("GET "+profilesPath+path, s.access.Require(access.Operator, profile))
	}
	add("{name}", withoutArguments(pprof.Index))
	add("{$}", pprof.Index)
	add("profile", pprof.Profile)
	add("trace", pprof.Trace)
}

// withoutArguments has goroutines listed without what their functions were called
// with: an MPID can be among that (I7).
func withoutArguments(profile http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		query, debug := r.URL.Query(), "0"
		if asked := query.Get("debug"); asked != "" && asked != "0" {
			debug = "1"
		}
		query.Set("debug", debug) // also where none was: a body could bring one, and comes second
		r.URL.RawQuery = query.Encode()
		profile(w, r)
	}
}
