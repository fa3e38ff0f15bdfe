package admin

import (
	"net/http"

	"audiences/status"
)

// TokenList is GET /admin/api/v1/tokens.
type TokenList struct {
	Tokens []status.Token `json:"tokens"`
}

func (s *Server) tokens(r *http.Request) (any, error) {
	if _, err := parameters(r); err != nil {
		return nil, err
	}
	list := TokenList{[]status.Token{}}
	if s.options.Tokens != nil {
		list.Tokens = append(list.Tokens, s.options.Tokens()...)
	}
	return list, nil
}
