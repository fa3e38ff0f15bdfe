package sandbox

import (
	_ "embed"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	h "audiences/html"
)

// The look-alike has a page for people: what it has, what it was asked, and switches for its faults.

//go:embed page.css
var pageStyle string

// faultSwitch is a fault that the page offers.
type faultSwitch struct {
	Name, Said string
	rule       Rule
}

var switches = []faultSwitch{
	{"outage", "Answer 503", Rule{Kind: Status, Code: 503}},
	{"throttle-org", "429 of the organisation, once for each call of a minute", Rule{Kind: Throttle, Scope: Org, Reset: 10 * time.Second, For: time.Minute}},
	{"throttle-ip", "429 of the address, once", Rule{Kind: Throttle, Scope: IP, Reset: 30 * time.Second, Count: 1}},
	{"unauthorized", "Refuse all tokens", Rule{Kind: Unauthorized}},
	{"forbidden", "Refuse all segments", Rule{Kind: Forbidden}},
	{"full", "All segments are full", Rule{Kind: Full}},
	{"slow", "Take 5 s for each call", Rule{Kind: Slow, Delay: 5 * time.Second}},
	{"hang", "Never answer", Rule{Kind: Hang}},
	{"cut", "Apply the call, and cut the connection", Rule{Kind: Reset, Applied: true}},
}

// pageView is what the page shows.
type pageView struct {
	state
	calls []Call // the newest first
}

// lastCalls is how many the page shows.
const lastCalls = 20

func (s *Split) routePage() {
	s.mux.HandleFunc("GET /sandbox/{$}", s.showPage)
	s.mux.HandleFunc("GET /sandbox/page.css", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		_, _ = w.Write([]byte(pageStyle)) // fails only when the caller has gone
	})
	s.mux.HandleFunc("POST /sandbox/page/begin", s.pageBegins)
	s.mux.HandleFunc("POST /sandbox/page/end", s.pageEnds)
}

// fromElsewhere reports whether a page of another site sent the request, or had its own
// name resolve to this machine: the control API has no other guard.
func (s *Split) fromElsewhere(r *http.Request) bool {
	return s.origins.Check(r) != nil || r.Header.Get("Sec-Fetch-Site") != "" && !namesLoopback(r.Host)
}

func namesLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	address := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || address.IsLoopback()
}

func (s *Split) showPage(w http.ResponseWriter, _ *http.Request) {
	shown, _ := s.showState(nil) // never fails
	view := pageView{state: shown.(state), calls: s.Calls()}
	slices.Reverse(view.calls)
	view.calls = view.calls[:min(lastCalls, len(view.calls))]
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	w.Header().Set("Referrer-Policy", "same-origin")
	_, _ = w.Write(view.html().HTML()) // fails only when the caller has gone
}

func (v pageView) html() h.Node {
	return h.Document(h.Lang("en"),
		h.Meta(h.Charset("utf-8")),
		h.Meta(h.Name("viewport"), h.Content("width=device-width, initial-scale=1")),
		h.Meta(h.Attr("http-equiv", "refresh"), h.Content("5")),
		h.Title(h.Text("Split look-alike")),
		h.Link(h.Rel("stylesheet"), h.Href("/sandbox/page.css")),
		h.Main(
			h.H1(h.Text("Split look-alike")),
			h.P(h.Text(fmt.Sprintf("%d calls, %d keys applied; promises broken: ", v.Counts.Calls, v.Counts.Keys)), h.B(h.Text(strconv.Itoa(v.Broken))), h.Text(". This page loads itself every five seconds.")),
			h.H2(h.Text("Faults")), v.faultList(),
			h.P(h.Class("switches"), h.Map(switches, func(f faultSwitch) h.Node { return beginForm(f.Name, "", f.Said) })),
			h.H2(h.Text("Segments")), v.segmentTable(),
			h.H2(h.Text("The last calls")), v.callTable(),
			h.P(h.A(h.Href("/sandbox/state"), h.Text("JSON"))),
		),
	)
}

func (v pageView) faultList() h.Node {
	if len(v.Faults) == 0 {
		return h.P(h.Text("None: calls are served as they come."))
	}
	return h.Ul(h.Map(v.Faults, func(f faultState) h.Node {
		return h.Li(h.Form(h.Method("post"), h.Action("/sandbox/page/end"), hidden("id", strconv.Itoa(f.ID)),
			h.Text(fmt.Sprintf("%s, used %d times ", f.said(), f.Used)), h.Button(h.Text("End it"))))
	}))
}

func (v pageView) segmentTable() h.Node {
	return table([]string{"Organisation", "Environment", "Segment", "Members", ""}, h.Map(v.Segments, func(s SegmentState) h.Node {
		path := "/sandbox/segments/" + url.PathEscape(s.Environment) + "/" + url.PathEscape(s.Segment) + "?organisation=" + url.QueryEscape(s.Organisation)
		return h.Tr(cell(s.Organisation), cell(s.Environment), h.Th(h.Scope("row"), h.A(h.Href(path), h.Text(s.Segment))), cell(strconv.Itoa(s.Keys)),
			h.Td(beginForm("forbidden", s.Segment, "Refuse it")))
	}))
}

func (v pageView) callTable() h.Node {
	return table([]string{"At", "Tenant", "What", "Segment", "Keys", "Answer"}, h.Map(v.calls, func(c Call) h.Node {
		status := "cut"
		if c.Status != 0 {
			status = strconv.Itoa(c.Status)
		}
		return h.Tr(cell(c.Start.Format("15:04:05.000")), cell(c.Tenant.String()), cell(c.Operation), cell(c.Environment+"/"+c.Segment), cell(strconv.Itoa(c.Keys)), cell(status+" "+c.Outcome))
	}))
}

// beginForm is a button that begins the fault of a switch, for one segment or, with "", for all.
func beginForm(name, segment, said string) h.Node {
	return h.Form(h.Method("post"), h.Action("/sandbox/page/begin"), hidden("switch", name), h.If(segment != "", hidden("segment", segment)), h.Button(h.Text(said)), h.Text("\n"))
}

func hidden(name, value string) h.Node {
	return h.Input(h.Type("hidden"), h.Name(name), h.Value(value))
}

func table(columns []string, rows h.Node) h.Node {
	return h.Table(h.THead(h.Tr(h.Map(columns, func(name string) h.Node { return h.Th(h.Scope("col"), h.Text(name)) }))), h.TBody(rows))
}

func cell(said string) h.Node { return h.Td(h.Text(said)) }

// said is a fault in words.
func (f faultState) said() string {
	said := string(f.Kind)
	if f.Code != 0 {
		said += fmt.Sprintf(" %d", f.Code)
	}
	if f.Scope != "" {
		said += " of the " + map[Scope]string{Org: "organisation", IP: "address"}[f.Scope]
	}
	for _, part := range []struct{ what, value string }{{"tenant", f.Token}, {"environment", f.Environment}, {"segment", f.Segment}} {
		if part.value != "" {
			said += fmt.Sprintf(", %s %s", part.what, part.value)
		}
	}
	return said
}

// pageBegins makes a fault of one of the switches, for one segment or for all.
func (s *Split) pageBegins(w http.ResponseWriter, r *http.Request) {
	at := slices.IndexFunc(switches, func(f faultSwitch) bool { return f.Name == r.PostFormValue("switch") })
	if at < 0 {
		http.Error(w, "there is no such switch", http.StatusBadRequest)
		return
	}
	rule := switches[at].rule
	rule.Segment = r.PostFormValue("segment")
	s.Fault(rule)
	http.Redirect(w, r, "/sandbox/", http.StatusSeeOther)
}

// pageEnds ends a fault.
func (s *Split) pageEnds(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.Atoi(r.PostFormValue("id"))
	if err != nil {
		http.Error(w, "a fault's id is a number", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.removeRules(func(r *rule) bool { return r.id == id })
	s.mu.Unlock()
	http.Redirect(w, r, "/sandbox/", http.StatusSeeOther)
}
