package admin

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"audiences/api/admin/access"
	"audiences/status"
)

// Check is something that has to be right for changes to be taken.
type Check struct {
	Name string
	// Refuse returns nil while it is right, and otherwise why not. It is asked on
	// every request and must not block.
	Refuse func() error
}

// ready is nil while every check is right, and otherwise the first that is not.
func (s *Server) ready() error {
	for _, c := range s.options.Checks {
		if err := c.Refuse(); err != nil {
			return err
		}
	}
	return nil
}

// livez says that the process lives; a restart would help against nothing that
// it could look at here.
func (s *Server) livez(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "alive") }

// readyz does not look at Split: while Split is away changes are taken all the same. With
// ?verbose those who may look are told of each check.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	code, text := http.StatusOK, "ready"
	if err := s.ready(); err != nil {
		code, text = http.StatusServiceUnavailable, err.Error()
	}
	if r.URL.Query().Has("verbose") && s.access.Who(r).Role >= access.Viewer {
		text = s.everyCheck() + text
	}
	answer(w, code, text)
}

func (s *Server) everyCheck() string {
	var lines strings.Builder
	for _, c := range s.options.Checks {
		if err := c.Refuse(); err != nil {
			fmt.Fprintf(&lines, "[-] %s: %v\n", c.Name, err)
		} else {
			fmt.Fprintf(&lines, "[+] %s: ok\n", c.Name)
		}
	}
	return lines.String()
}

// ApplicationHealth is GET /health/application, in the form of the Split Synchronizer.
type ApplicationHealth struct {
	Healthy      bool         `json:"healthy"`
	HealthySince time.Time    `json:"healthySince,omitzero"` // as far as anybody asked; zero: it is not healthy
	Items        []HealthItem `json:"items"`
}

// HealthItem is a part of the relay.
type HealthItem struct {
	Name    string    `json:"name"`
	Healthy bool      `json:"healthy"`
	Message string    `json:"message,omitempty"` // why it is not healthy
	LastHit time.Time `json:"lastHit"`           // when this was looked at
}

// DependencyHealth is GET /health/dependencies, in the form of the Split Synchronizer.
type DependencyHealth struct {
	Status       string       `json:"serviceStatus"` // healthy, degraded, down
	Dependencies []Dependency `json:"dependencies"`
}

// Dependency is what the relay needs and is no part of it.
type Dependency struct {
	Service      string    `json:"service"`
	Healthy      bool      `json:"healthy"`
	Message      string    `json:"message,omitempty"`     // why it is not healthy
	HealthySince time.Time `json:"healthySince,omitzero"` // as far as anybody asked; zero: it is not healthy
	LastHit      time.Time `json:"lastHit"`               // when this was looked at
}

// The states of all dependencies together.
const (
	serviceHealthy  = "healthy"
	serviceDegraded = "degraded" // for some tenants
	serviceDown     = "down"     // for all tenants with something to deliver
)

// applicationHealth answers 500 where something is wrong, as the Synchronizer does.
func (s *Server) applicationHealth(w http.ResponseWriter, _ *http.Request) {
	now := time.Now().UTC()
	health := ApplicationHealth{Healthy: true, Items: []HealthItem{}}
	for _, c := range s.options.Checks {
		item := HealthItem{Name: c.Name, Healthy: true, LastHit: now}
		if err := c.Refuse(); err != nil {
			item.Healthy, item.Message, health.Healthy = false, err.Error(), false
		}
		health.Items = append(health.Items, item)
	}
	health.HealthySince = s.since.note("application", health.Healthy, now)
	code := http.StatusOK
	if !health.Healthy {
		code = http.StatusInternalServerError
	}
	writeJSON(w, code, health)
}

// dependencyHealth tells of Split by what became of the calls. A token or a segment that
// Split refuses is the tenant's matter, and no illness of Split.
func (s *Server) dependencyHealth(w http.ResponseWriter, r *http.Request) {
	var tenants []status.Tenant
	if s.options.Relay != nil {
		now, err := s.current(r.Context())
		if err != nil {
			writeJSON(w, http.StatusServiceUnavailable, Problem{err.Error()})
			return
		}
		tenants = now.list
	}
	now := time.Now().UTC()
	state, words := splitHealth(tenants)
	split := Dependency{Service: cmp.Or(s.options.SplitURL, "Split"), Healthy: state == serviceHealthy, Message: words, LastHit: now}
	split.HealthySince = s.since.note("split", split.Healthy, now)
	writeJSON(w, http.StatusOK, DependencyHealth{Status: state, Dependencies: []Dependency{split}})
}

// splitHealth looks at the tenants that have something to deliver: where the calls of
// some fail, Split is degraded, where those of all do, it is down.
func splitHealth(tenants []status.Tenant) (state, words string) {
	failing, others := 0, 0
	for _, t := range tenants {
		switch {
		case t.States[status.Repeating] > 0:
			failing++
		case t.Pending > 0 && (t.State == status.Calling || t.State == status.Gathering || t.State == status.Waiting):
			others++
		}
	}
	switch {
	case failing == 0:
		return serviceHealthy, ""
	case others == 0:
		state = serviceDown
	default:
		state = serviceDegraded
	}
	if failing == 1 {
		return state, "calls for 1 tenant fail and are repeated"
	}
	return state, "calls for " + status.Number(failing) + " tenants fail and are repeated"
}

// healthySince remembers since when things are healthy.
type healthySince struct {
	mu    sync.Mutex
	since map[string]time.Time
}

// note returns since when it is healthy; zero: it is not.
func (h *healthySince) note(what string, healthy bool, now time.Time) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case !healthy:
		delete(h.since, what)
	case h.since[what].IsZero():
		if h.since == nil {
			h.since = map[string]time.Time{}
		}
		h.since[what] = now
	}
	return h.since[what]
}
