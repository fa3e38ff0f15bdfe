package harness

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"audiences/audience"
	"audiences/sandbox"
)

// place is a segment of a tenant; all are in the usual environment.
type place struct {
	tenant  audience.TenantID
	segment string
}

// Ledger knows what was asked of the relay and what it answered for. It is the
// model that the look-alike is compared with (I2). Each key has one writer, which
// posts one change at a time: the order of what the ledger hears is the order in
// which the relay accepted it.
type Ledger struct {
	mu       sync.Mutex
	tokens   map[audience.TenantID]string
	tried    map[place]map[string]map[string]bool // key, verb: was ever posted, nothing else may be sent
	last     map[place]map[string]string          // key: verb of the last accepted change
	unsure   map[place]map[string]bool            // key: may be a member or not
	accepted int                                  // changes
}

// NewLedger is one that knows nothing yet.
func NewLedger() *Ledger {
	return &Ledger{
		tokens: map[audience.TenantID]string{},
		tried:  map[place]map[string]map[string]bool{},
		last:   map[place]map[string]string{},
		unsure: map[place]map[string]bool{},
	}
}

func placeOf(c Change) place {
	parsed, err := audience.ParseToken(c.Token)
	if err != nil {
		panic(err)
	}
	return place{audience.NewTenant(parsed).ID, c.Segment}
}

// Try notes a change that is about to be posted: from now on it may be sent.
func (l *Ledger) Try(c Change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c = c.whole()
	at := placeOf(c)
	l.tokens[at.tenant] = c.Token
	if l.tried[at] == nil {
		l.tried[at], l.last[at], l.unsure[at] = map[string]map[string]bool{}, map[string]string{}, map[string]bool{}
	}
	for _, key := range c.Keys {
		if l.tried[at][key] == nil {
			l.tried[at][key] = map[string]bool{}
		}
		l.tried[at][key][c.Verb] = true
	}
}

// Accept notes a change that was answered with 200.
func (l *Ledger) Accept(c Change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.accepted++
	c = c.whole()
	at := placeOf(c)
	for _, key := range c.Keys {
		l.last[at][key] = c.Verb
		delete(l.unsure[at], key)
	}
}

// Doubt notes that a change that was tried got no answer, or another than 200, and
// is not repeated: its keys may be members or not, until they are accepted again.
func (l *Ledger) Doubt(c Change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := placeOf(c.whole())
	for _, key := range c.Keys {
		l.unsure[at][key] = true
	}
}

// Accepted is how many changes were answered with 200.
func (l *Ledger) Accepted() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.accepted
}

// Keys are all that were ever posted.
func (l *Ledger) Keys() (keys []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, tried := range l.tried {
		keys = slices.AppendSeq(keys, maps.Keys(tried))
	}
	return keys
}

// Allowed is sandbox.Options.Allowed: what was never posted must not be sent.
func (l *Ledger) Allowed(t sandbox.Target, verb audience.Verb, key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tried[place{t.Tenant, t.Segment}][key][verb.String()]
}

// Difference says how the look-alike differs from what was accepted; empty when
// it does not. Writers must be at rest.
func (l *Ledger) Difference(split *sandbox.Server) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var report []string
	for at, last := range l.last {
		missing, extra := compare(last, l.unsure[at], split.Members(l.tokens[at.tenant], Environment, at.segment))
		if missing+extra > 0 {
			report = append(report, fmt.Sprintf("tenant %s, segment %s: %d of %d keys missing, %d too many", at.tenant, at.segment, missing, len(last), extra))
		}
	}
	slices.Sort(report)
	return strings.Join(report, "\n")
}

// compare counts the keys whose membership is not what their last verb says, but
// for those that may be either. Members are in byte order.
func compare(last map[string]string, unsure map[string]bool, members []string) (missing, extra int) {
	for key, verb := range last {
		if _, member := slices.BinarySearch(members, key); verb == "add" && !member && !unsure[key] {
			missing++
		}
	}
	for _, key := range members {
		if last[key] != "add" && !unsure[key] {
			extra++
		}
	}
	return missing, extra
}

// Fingerprint is that of the tenant of an apiToken.
func Fingerprint(t testing.TB, apiToken string) string {
	t.Helper()
	token, err := audience.ParseToken(apiToken)
	if err != nil {
		t.Fatal(err)
	}
	return audience.NewTenant(token).ID.String()
}
