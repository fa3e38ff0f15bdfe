package dashboard

import (
	"fmt"
	"hash/fnv"
	"net/url"
	"strings"
	"time"

	"audiences/api/admin/series"
	"audiences/status"
)

// Head is what every page has.
type Head struct {
	Version   string // "": not known
	Who       string // the user
	Role      string
	CanAct    bool   // the user may act, and not only look
	FormToken string // of the session; "": there is none to end
}

// Page is the dashboard.
type Page struct {
	Head
	Query    Query
	Live     Live
	Tenants  Tenants
	Segments Segments
	Parked   Parked
	Events   Events
}

// Live is what changes every second.
type Live struct {
	At      time.Time
	Verdict string
	Tone    string // good, warn or bad: what needs somebody most
	Ready   string // "ready", or why not
	Now     series.Now
	status.Counts
	SegmentsParked int // as a whole
	Backlog        string
	Budgets        []Budget
	Others         int // budgets that are not shown
}

// Budget is one rate limit.
type Budget struct {
	status.Budget
	Title string // the address, or the tenant
	Said  string // what is left of it and who waits, in words
}

// Tenants is a page of the list of tenants.
type Tenants struct {
	At       time.Time
	Query    Query
	CanAct   bool
	Rows     []status.Tenant
	Matching int
	Next     string // cursor; "": that was all
}

// Row is a segment in a list.
type Row struct {
	Tenant string // the fingerprint
	Name   string // of the tenant; "": it has none
	status.Segment
}

// Target are the parameters that name the row's segment.
func (r Row) Target() string {
	return url.Values{"tenant": {r.Tenant}, "environment": {r.Environment}, "segment": {r.Segment.Segment}, "workspace": {r.Workspace}, "trafficType": {r.TrafficType}}.Encode()
}

// Page is where the segment has a page of its own.
func (r Row) Page() string { return Path + "/segment?" + r.Target() }

// Twin is where the JSON API has the same.
func (r Row) Twin() string { return "/admin/api/v1/segment?" + r.Target() }

// ID is the row's in the page: the same whenever it is shown, and no other's.
func (r Row) ID() string {
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(r.Target())) // never fails
	return fmt.Sprintf("segment-%x", sum.Sum64())
}

// Segments is a page of the list of segments.
type Segments struct {
	At       time.Time
	Query    Query
	CanAct   bool
	States   []status.State
	Rows     []Row
	Matching int
	Next     string // cursor; "": that was all
	Problem  string // why the filter lets nothing through; "": nothing is wrong with it
}

// Filtered reports whether the list is not one of all segments.
func (s Segments) Filtered() bool {
	return s.Query.Get("tenant") != "" || s.Query.Get("state") != "" || s.Query.Get("search") != ""
}

// Detail is one segment with all that explains it.
type Detail struct {
	Head
	Row     Row // as lists show it
	Detail  status.Detail
	At      time.Time
	Keys    []status.ParkedKey
	More    bool // there are more parked keys
	Problem string
}

// SegmentPage is a page with nothing but one segment.
type SegmentPage Detail

// Parked is what is parked.
type Parked struct {
	At       time.Time
	CanAct   bool
	Reasons  []Reason
	Rows     []Row
	Matching int
}

// Reason is how much is parked for one reason.
type Reason struct {
	Reason         string
	Segments, Keys int
}

// Events are the last ones, the newest first.
type Events struct {
	At   time.Time
	Rows []status.Event
}

// Found is where a key is.
type Found struct {
	status.Whereabouts
	At      time.Time
	Problem string // "": none
}

// Ask is a remedy before it is carried out: what it would do, and a form to do it.
type Ask struct {
	Remedy   status.Remedy
	Fields   map[string]string // what is meant, as the form sends it back
	What     string            // in words
	Sentence string            // what would be done; "": Problem says why not
	Problem  string
	Chosen   string          // how long a pause lasts, or the new tenant of a move
	Tenants  []status.Tenant // of move: those to choose from
}

// Done is what a remedy did.
type Done struct {
	Sentence string
	Problem  string // "": none
	Failed   []string
}

// Keys are revealed keys.
type Keys struct {
	Keys    []status.ParkedKey
	More    bool
	Problem string // "": none
}

// Choices are how long a pause may last.
func (a Ask) Choices() []Choice {
	return []Choice{{"15m", "15 minutes"}, {"1h", "1 hour"}, {"4h", "4 hours"}, {"24h", "1 day"}, {"", "until somebody resumes it"}}
}

// Choice is one of a list, as the form sends it and as it is shown.
type Choice struct{ Value, Said string }

// Again is where to ask anew, when something else was chosen.
func (a Ask) Again() string {
	fields := url.Values{}
	for name, value := range a.Fields {
		fields.Set(name, value)
	}
	return Path + "/remedies/" + string(a.Remedy) + "?" + fields.Encode()
}

// Title is the remedy as a button has it.
func (a Ask) Title() string {
	return strings.ToUpper(string(a.Remedy[:1])) + string(a.Remedy[1:]) + " " + a.What
}

// Query is what the page's address says: which rows are shown, and how they are sorted. All
// of a filter is in it, so that an address can be handed on.
type Query url.Values

// Names are the parameters that a Query knows.
var Names = []string{"tenant", "state", "search", "sort", "order", "cursor", "tenantSearch", "tenantSort", "tenantOrder", "tenantCursor", "window"}

// Get is one parameter.
func (q Query) Get(name string) string { return url.Values(q).Get(name) }

// With is the address below Path with some parameters changed, in pairs; "" takes one
// away. A change of the filter or the order begins with the first page.
func (q Query) With(below string, pairs ...string) string {
	changed := url.Values{}
	for name, values := range q {
		changed[name] = values
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		name, value := pairs[i], pairs[i+1]
		if !strings.HasSuffix(strings.ToLower(name), "cursor") {
			changed.Del(cursorOf(name))
		}
		changed.Set(name, value)
	}
	for name := range changed {
		if changed.Get(name) == "" {
			changed.Del(name)
		}
	}
	if len(changed) == 0 {
		return Path + below
	}
	return Path + below + "?" + changed.Encode()
}

func cursorOf(name string) string {
	if strings.HasPrefix(name, "tenant") && name != "tenant" {
		return "tenantCursor"
	}
	return "cursor"
}

// Sorted is what a column's heading leads to: its order, turned round where it is sorted
// by that already.
func (q Query) Sorted(below, prefix, by string) string {
	order := ""
	if q.Sorts(prefix, by) == "descending" {
		order = "asc"
	} else if q.Sorts(prefix, by) == "ascending" {
		order = "desc"
	}
	sort, direction := "sort", "order"
	if prefix != "" {
		sort, direction = prefix+"Sort", prefix+"Order"
	}
	return q.With(below, sort, by, direction, order)
}

// falling are the columns that begin with the greatest.
var falling = map[string]bool{"pending": true, "parked": true}

// Sorts is how a column is sorted, in the words of aria-sort.
func (q Query) Sorts(prefix, by string) string {
	sort, order := q.Get("sort"), q.Get("order")
	if prefix != "" {
		sort, order = q.Get(prefix+"Sort"), q.Get(prefix+"Order")
	}
	if sort == "" {
		sort = "state"
	}
	switch {
	case sort != by:
		return "none"
	case order == "desc", order == "" && falling[by]:
		return "descending"
	}
	return "ascending"
}

// amount is a rate or a number with as many digits as a glance takes in.
func amount(v float64) string {
	switch {
	case v >= 10_000_000:
		return fmt.Sprintf("%.0f M", v/1e6)
	case v >= 1_000_000:
		return fmt.Sprintf("%.1f M", v/1e6)
	case v >= 100:
		return status.Number(int(v + 0.5))
	case v >= 10 || v == float64(int(v)):
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.1f", v)
}

// seconds is a length of time in one unit.
func seconds(v float64) string {
	switch {
	case v == 0:
		return "0 s"
	case v < 1:
		return fmt.Sprintf("%.0f ms", v*1000)
	case v < 10:
		return fmt.Sprintf("%.1f s", v)
	}
	return status.Span(time.Duration(v * float64(time.Second)))
}

func clock(at, now time.Time) string {
	if at.IsZero() {
		return ""
	}
	return status.Clock(at, now)
}

// plural ends a word that stands behind a number.
func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

// words has a state or a kind of event without underscores.
func words(text any) string { return strings.ReplaceAll(fmt.Sprint(text), "_", " ") }
