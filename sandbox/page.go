package sandbox

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The look-alike has a page for people: what it has, what it was asked, and switches for its faults.

var (
	//go:embed page.html
	pageText string
	//go:embed page.css
	pageStyle string

	pageTemplate = template.Must(template.New("page").Parse(pageText))
)

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
	Faults   []shownFault
	Switches []faultSwitch
	Calls    []Call // the newest first
}

type shownFault struct {
	ID, Used int
	Said     string
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
	view := pageView{state: shown.(state), Switches: switches, Calls: s.Calls()}
	for _, f := range view.state.Faults {
		view.Faults = append(view.Faults, shownFault{f.ID, f.Used, f.said()})
	}
	slices.Reverse(view.Calls)
	view.Calls = view.Calls[:min(lastCalls, len(view.Calls))]
	var text bytes.Buffer
	if err := pageTemplate.Execute(&text, view); err != nil {
		http.Error(w, "the page cannot be made", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	w.Header().Set("Referrer-Policy", "same-origin")
	_, _ = w.Write(text.Bytes()) // fails only when the caller has gone
}

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
