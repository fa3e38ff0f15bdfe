package test

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"audiences/audience"
	"audiences/sandbox"
)

// place is a segment of a tenant; all are in the usual environment.
type place struct {
	tenant  audience.TenantID
	segment string
}

// ledger knows what was asked of the relay and what it answered for. It is the
// model that the look-alike is compared with (I2). Each key has one writer, which
// posts one change at a time: the order of what the ledger hears is the order in
// which the relay accepted it.
type ledger struct {
	mu       sync.Mutex
	tokens   map[audience.TenantID]string
	tried    map[place]map[string]map[string]bool // key, verb: was ever posted, nothing else may be sent
	last     map[place]map[string]string          // key: verb of the last accepted change
	accepted int                                  // changes
}

func newLedger() *ledger {
	return &ledger{
		tokens: map[audience.TenantID]string{},
		tried:  map[place]map[string]map[string]bool{},
		last:   map[place]map[string]string{},
	}
}

func placeOf(token, segment string) place {
	parsed, err := audience.ParseToken(token)
	if err != nil {
		panic(err)
	}
	return place{audience.NewTenant(parsed).ID, segment}
}

// try notes a change that is about to be posted: from now on it may be sent.
func (l *ledger) try(c change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := placeOf(c.token, c.segment)
	l.tokens[at.tenant] = c.token
	if l.tried[at] == nil {
		l.tried[at], l.last[at] = map[string]map[string]bool{}, map[string]string{}
	}
	for _, key := range c.keys {
		if l.tried[at][key] == nil {
			l.tried[at][key] = map[string]bool{}
		}
		l.tried[at][key][c.verb] = true
	}
}

// accept notes a change that was answered with 200.
func (l *ledger) accept(c change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.accepted++
	last := l.last[placeOf(c.token, c.segment)]
	for _, key := range c.keys {
		last[key] = c.verb
	}
}

// allowed is sandbox.Options.Allowed: what was never posted must not be sent.
func (l *ledger) allowed(t sandbox.Target, verb audience.Verb, key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tried[place{t.Tenant, t.Segment}][key][verb.String()]
}

// difference says how the look-alike differs from what was accepted; empty when
// it does not. Writers must be at rest.
func (l *ledger) difference(split *sandbox.Server) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var report []string
	for at, last := range l.last {
		missing, extra := compare(last, split.Members(l.tokens[at.tenant], environment, at.segment))
		if missing+extra > 0 {
			report = append(report, fmt.Sprintf("tenant %s, segment %s: %d of %d keys missing, %d too many", at.tenant, at.segment, missing, len(last), extra))
		}
	}
	slices.Sort(report)
	return strings.Join(report, "\n")
}

// compare counts the keys whose membership is not what their last verb says.
// members are in byte order.
func compare(last map[string]string, members []string) (missing, extra int) {
	extra = len(members)
	for key, verb := range last {
		_, member := slices.BinarySearch(members, key)
		switch {
		case verb == "add" && member:
			extra--
		case verb == "add":
			missing++
		}
	}
	return missing, extra
}
