package admin

import (
	"net/http"

	"audiences/status"
)

// NodeList is GET /admin/api/v1/nodes.
type NodeList struct {
	Nodes []status.Node `json:"nodes"` // none: the relay is alone
}

func (s *Server) nodes(r *http.Request) (any, error) {
	if _, err := parameters(r); err != nil {
		return nil, err
	}
	list := NodeList{[]status.Node{}}
	if s.options.Nodes == nil {
		return list, nil
	}
	nodes, err := s.options.Nodes(r.Context())
	list.Nodes = append(list.Nodes, nodes...)
	return list, err
}
