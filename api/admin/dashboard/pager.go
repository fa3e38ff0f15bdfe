package dashboard

import (
	"net/url"
	"slices"
)

// Pager leads to the other pages of a list.
type Pager struct {
	Target      string // the list's place in the page
	First, Next *Link  // nil: there is none
}

// Link is an address, as a whole page and as the list alone.
type Link struct{ Whole, Part string }

func pager(q Query, list, cursor, next string) (p Pager) {
	p.Target = "#" + list
	to := func(at string) *Link { return &Link{q.With("", cursor, at) + "#" + list, q.With("/"+list, cursor, at)} }
	if q.Get(cursor) != "" {
		p.First = to("")
	}
	if next != "" {
		p.Next = to(next)
	}
	return p
}

// Pager leads to the other pages.
func (t Tenants) Pager() Pager { return pager(t.Query, "tenants", "tenantCursor", t.Next) }

// Pager leads to the other pages.
func (s Segments) Pager() Pager { return pager(s.Query, "segments", "cursor", s.Next) }

// Others are all parameters but some and the place in the list, for a form that sends the rest along.
func (q Query) Others(without ...string) url.Values {
	rest := url.Values{}
	for name, values := range q {
		if !slices.Contains(without, name) && name != cursorOf(without[0]) {
			rest[name] = values
		}
	}
	return rest
}
