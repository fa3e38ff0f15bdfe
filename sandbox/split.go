package sandbox

import (
	"net"
	"net/http"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"audiences/audience"
)

// Split is the look-alike. It is safe for concurrent use. In a synctest bubble
// it must be made inside the bubble.
type Split struct {
	opts         Options
	mux          *http.ServeMux
	closed       chan struct{}
	once         sync.Once
	transactions atomic.Uint64 // the last transactionId
	origins      *http.CrossOriginProtection

	mu        sync.Mutex // guards everything below
	limits    Limits
	orgs      map[string]*organisation
	assigned  map[audience.TenantID]string // organisation names of tokens that are not their own
	addresses map[string]*address
	rules     []*rule
	ruleID    int
	underWay  map[Target][]*exchange
	log       *callLog
	verdicts  verdicts
}

// address is what is known of one source address.
type address struct {
	window window
	gate   gate
}

// New makes a sandbox. It panics on a Rule in Options.Faults that makes no
// sense, since only a programming error puts one there.
func New(opts Options) *Split {
	s := &Split{opts: opts.withDefaults(), mux: http.NewServeMux(), closed: make(chan struct{}), origins: http.NewCrossOriginProtection(), underWay: map[Target][]*exchange{}}
	s.Reset()
	s.routeAPI()
	s.routeControl()
	s.routePage()
	return s
}

// ServeHTTP serves Split's API and the control API. It cuts a call by panicking
// with http.ErrAbortHandler, as net/http wants it.
func (s *Split) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// The mux would redirect a path with an empty or dotted part, for example
	// one made with no segment's name, without anybody noticing.
	if path.Clean(r.URL.Path) != strings.TrimSuffix(r.URL.Path, "/") {
		s.serveCall(unknownPath, w, r)
		return
	}
	if strings.HasPrefix(r.URL.Path, "/sandbox/") && s.fromElsewhere(r) {
		http.Error(w, "a page of another site has sent this", http.StatusForbidden)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// Close cuts every call that hangs or is slow; those that come later are not
// held any more.
func (s *Split) Close() { s.once.Do(func() { close(s.closed) }) }

// Reset forgets all that happened: segments, calls, violations, rules and
// limits are as New made them.
func (s *Split) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removeRules(func(*rule) bool { return true })
	s.limits = s.opts.Limits
	s.orgs, s.assigned, s.addresses = map[string]*organisation{}, map[audience.TenantID]string{}, map[string]*address{}
	s.log, s.verdicts = newCallLog(), verdicts{}
	for token, name := range s.opts.Organisations {
		s.assigned[tenantOf(token)] = name
	}
	for _, r := range s.opts.Faults {
		s.addRule(r)
	}
}

// Fault adds a rule; the rules added earlier go before it. The returned function
// removes it and lets go of the calls it holds. It panics on a rule that makes
// no sense.
func (s *Split) Fault(r Rule) (remove func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.addRule(r)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.removeRules(func(r *rule) bool { return r.id == id })
	}
}

// ClearFaults removes all rules and lets go of the calls they hold.
func (s *Split) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removeRules(func(*rule) bool { return true })
}

// SetLimits replaces the rate limits and begins their windows anew.
func (s *Split) SetLimits(l Limits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits = l
	for _, org := range s.orgs {
		org.window = window{}
	}
	for _, a := range s.addresses {
		a.window = window{}
	}
}

// Assign makes a token one of the named organisation.
func (s *Split) Assign(token, organisation string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.assigned[tenantOf(token)] = organisation
}

// Rotate makes next a token of old's organisation: that is how a customer's new
// token reaches the segments of the old one. The old one keeps working until a
// rule refuses it.
func (s *Split) Rotate(old, next string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.assigned[tenantOf(next)] = s.ownerOf(tenantOf(old))
}

// tenantOf is the identity that the relay gives the token's tenant too; zero
// for what can be no token.
func tenantOf(token string) audience.TenantID {
	t, err := audience.ParseToken(token)
	if err != nil {
		return audience.TenantID{}
	}
	return audience.NewTenant(t).ID
}

func (s *Split) addRule(r Rule) int {
	if err := r.check(); err != nil {
		panic("sandbox: " + err.Error())
	}
	s.ruleID++
	s.rules = append(s.rules, newRule(r, s.ruleID, time.Now()))
	return s.ruleID
}

func (s *Split) removeRules(which func(*rule) bool) {
	keep := make([]*rule, 0, len(s.rules))
	for _, r := range s.rules {
		if which(r) {
			close(r.removed)
		} else {
			keep = append(keep, r)
		}
	}
	s.rules = keep
}

func (s *Split) address(ip string) *address {
	a := s.addresses[ip]
	if a == nil {
		a = &address{}
		s.addresses[ip] = a
	}
	return a
}

func sourceOf(r *http.Request) string {
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		return host
	}
	return r.RemoteAddr
}
