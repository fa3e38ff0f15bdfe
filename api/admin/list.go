package admin

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"audiences/status"
)

// Lists are sorted, filtered and shown page by page. A cursor is the place of the last row
// that was shown, not its number: so what comes and goes between two pages neither
// repeats nor hides any other row. A row that itself changes its place in the meantime may be
// seen twice, or not at all; by name none does.

const (
	usualPage = 100
	largePage = 1000
)

// place is where a row stands in any order.
type place struct {
	State       status.State `json:"st,omitempty"`
	Pending     int          `json:"pe,omitempty"`
	Parked      int          `json:"pa,omitempty"`
	Since       time.Time    `json:"si,omitzero"`
	Name        string       `json:"na,omitempty"` // of the tenant
	Tenant      string       `json:"te"`
	Environment string       `json:"en,omitempty"`
	Segment     string       `json:"se,omitempty"`
	Workspace   string       `json:"wo,omitempty"`
	TrafficType string       `json:"tr,omitempty"`
	rank        int          // see attention
}

// attention is the rank of a row: by its state, but one with parked keys comes right
// behind those that are parked as a whole. Only a person can help either.
func (p place) attention() int {
	rank := 2 * p.State.Rank()
	if p.Parked > 0 {
		rank = min(rank, 2*status.Parked.Rank()+1)
	}
	return rank
}

func (p place) ranked() place {
	p.rank = p.attention()
	return p
}

func placeOfTenant(t *status.Tenant) place {
	return place{State: t.State, Pending: t.Pending, Parked: t.Parked, Since: t.Since.Round(0), Name: t.Name, Tenant: t.Tenant}.ranked()
}

func placeOfSegment(s *segmentRow) place {
	return place{State: s.State, Pending: s.Pending, Parked: s.Parked, Since: s.Since.Round(0), Name: s.of.Name, Tenant: s.of.Tenant,
		Environment: s.Environment, Segment: s.Segment.Segment, Workspace: s.Workspace, TrafficType: s.TrafficType}.ranked()
}

// order is one way to sort.
type order struct {
	name    string
	falling bool // where nobody says otherwise
	compare func(a, b *place) int
}

// orders are the ways to sort, the usual one first.
var orders = []order{
	{"state", false, func(a, b *place) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(b.Pending, a.Pending))
	}},
	{"pending", true, func(a, b *place) int { return cmp.Compare(a.Pending, b.Pending) }},
	{"parked", true, func(a, b *place) int { return cmp.Compare(a.Parked, b.Parked) }},
	{"oldest", false, func(a, b *place) int { return compareSince(a.Since, b.Since) }},
	{"name", false, func(a, b *place) int {
		return cmp.Or(strings.Compare(a.Segment, b.Segment), strings.Compare(a.Environment, b.Environment), strings.Compare(a.Name, b.Name))
	}},
}

// compareSince has what is not known come last.
func compareSince(a, b time.Time) int {
	if a.IsZero() || b.IsZero() {
		return cmp.Compare(b.Unix(), a.Unix()) // the zero time is far before all others
	}
	return a.Compare(b)
}

// names tell all rows apart that an order does not.
func compareNames(a, b *place) int {
	return cmp.Or(strings.Compare(a.Tenant, b.Tenant), strings.Compare(a.Environment, b.Environment), strings.Compare(a.Segment, b.Segment),
		strings.Compare(a.Workspace, b.Workspace), strings.Compare(a.TrafficType, b.TrafficType))
}

// window is the part of a list that somebody wants to see.
type window struct {
	Sort   string `json:"s"`
	Order  string `json:"o"` // asc or desc
	After  *place `json:"a"` // nil: from the beginning
	limit  int
	filter Filter
}

// windowNames are the parameters of a window.
var windowNames = []string{"sort", "order", "limit", "cursor", "tenant", "state", "search"}

// windowOf reads a window out of the parameters; most is its usual limit.
func windowOf(given map[string]string, usual int) (w window, err error) {
	at := slices.IndexFunc(orders, func(o order) bool { return o.name == cmp.Or(given["sort"], orders[0].name) })
	if at < 0 {
		return w, bad("sort is one of " + orderNames())
	}
	w.Sort, w.Order = orders[at].name, "asc"
	if orders[at].falling {
		w.Order = "desc"
	}
	switch given["order"] {
	case "":
	case "asc", "desc":
		w.Order = given["order"]
	default:
		return w, bad("order is asc or desc")
	}
	if w.limit, err = limitOf(given["limit"], usual); err != nil {
		return w, err
	}
	w.filter = Filter{Tenant: given["tenant"], State: status.State(given["state"]), Search: given["search"]}
	if err := w.filter.check(); err != nil {
		return w, err
	}
	return w.goOn(given["cursor"])
}

func orderNames() string {
	var names []string
	for _, o := range orders {
		names = append(names, o.name)
	}
	return strings.Join(names, ", ")
}

func limitOf(text string, usual int) (int, error) {
	if text == "" {
		return usual, nil
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 1 || limit > largePage {
		return 0, bad("limit is a number from 1 to 1000")
	}
	return limit, nil
}

// goOn continues behind a cursor.
func (w window) goOn(cursor string) (window, error) {
	if cursor == "" {
		return w, nil
	}
	var from window
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || json.Unmarshal(text, &from) != nil || from.After == nil {
		return w, bad("cursor is what an answer has as next")
	}
	if from.Sort != w.Sort || from.Order != w.Order {
		return w, bad("the cursor is one of a list in another order")
	}
	w.After = from.After
	w.After.rank = w.After.attention()
	return w, nil
}

func (w window) cursor() string {
	text, _ := json.Marshal(w) // texts, numbers and times alone
	return base64.RawURLEncoding.EncodeToString(text)
}

// comparison is that of the window's order.
func (w window) comparison() func(a, b *place) int {
	compare := orders[slices.IndexFunc(orders, func(o order) bool { return o.name == w.Sort })].compare
	if w.Order == "desc" {
		return func(a, b *place) int { return cmp.Or(compare(b, a), compareNames(a, b)) }
	}
	return func(a, b *place) int { return cmp.Or(compare(a, b), compareNames(a, b)) }
}

// table is the rows of a list, in no order. Pages that were looked at are kept: many look
// at the same.
type table[T any] struct {
	rows    []T
	place   func(*T) place
	matches func(Filter, *T) bool
	pages   kept[pageKey, page[T]]
}

// page is what a window shows of the rows that match.
type page[T any] struct {
	rows     []T
	matching int    // how many match in all
	next     string // cursor of the next page; "": there is none
}

// pageKey is a window without a pointer.
type pageKey struct {
	window
	after place
}

func (t *table[T]) page(w window) page[T] {
	key := pageKey{window: w}
	if key.After = nil; w.After != nil {
		key.after = *w.After
	}
	shown, _ := t.pages.get(key, func() (page[T], error) { return t.make(w), nil })
	return shown
}

// placed is a row with its place.
type placed[T any] struct {
	row   *T
	place place
}

// make looks at all rows and sorts few: now and then, those that cannot be shown any more
// are left out.
func (t *table[T]) make(w window) (made page[T]) {
	compare, behind := w.comparison(), 0
	var best []placed[T]
	keep := func() {
		slices.SortFunc(best, func(a, b placed[T]) int { return compare(&a.place, &b.place) })
		best = best[:min(len(best), w.limit)]
	}
	var last *place // of the rows that were kept at last; nil: all were
	for i := range t.rows {
		row := &t.rows[i]
		if !t.matches(w.filter, row) {
			continue
		}
		made.matching++
		at := t.place(row)
		if w.After != nil && compare(&at, w.After) <= 0 {
			continue
		}
		behind++
		if last != nil && compare(&at, last) > 0 {
			continue
		}
		if best = append(best, placed[T]{row, at}); len(best) == 2*w.limit {
			keep()
			worst := best[len(best)-1].place
			last = &worst
		}
	}
	keep()
	made.rows = make([]T, len(best))
	for i := range best {
		made.rows[i] = *best[i].row
	}
	if behind > len(best) {
		made.next = window{Sort: w.Sort, Order: w.Order, After: &best[len(best)-1].place}.cursor()
	}
	return made
}
