package admin

import (
	"net/http"

	"audiences/api/admin/access"
)

// reload is POST /admin/api/v1/reload. It needs no body and reads none.
func (s *Server) reload(r *http.Request) (any, error) {
	if _, err := parameters(r); err != nil {
		return nil, err
	}
	if s.options.Reload == nil {
		return nil, refusal{http.StatusNotImplemented, "this relay cannot read its configuration again"}
	}
	return s.options.Reload(r.Context(), access.From(r.Context()).Name)
}
