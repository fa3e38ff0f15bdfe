package sandbox

import (
	"context"
	"net/http"
	"slices"
	"time"

	"audiences/audience"
)

// operation is one endpoint. read takes the body in before anything is decided,
// also for calls that will be refused: only when it is read to its end does the
// server notice that the client leaves. run is called under the lock.
type operation struct {
	name string
	verb audience.Verb // zero: no change of members
	read func(*Split, *exchange) (refusal answer, ok bool)
	run  func(*Split, *exchange) answer
}

// exchange is one call from its first byte to its answer. A call passes through
// begin, run and end, in this order and each once.
type exchange struct {
	op         operation
	r          *http.Request
	ctx        context.Context // ends when the client leaves
	start      time.Time
	ip, token  string
	authorized bool
	target     Target
	verb       audience.Verb
	body       changeBody
	keys       []audience.Key // the body's keys, unless badKey
	badKey     bool
	rates      rates
	showRates  bool // on success too
	applied    bool
	suspicions []suspicion // guarded by the sandbox's lock
}

func (s *Split) serveCall(op operation, w http.ResponseWriter, r *http.Request) {
	x := s.begin(op, r)
	a := s.run(x)
	// The call ends before its answer leaves: the client may make its next call
	// the moment it has the answer, and that is no overlap.
	s.end(x, a)
	a.write(w)
}

func (s *Split) begin(op operation, r *http.Request) *exchange {
	x := &exchange{op: op, r: r, ctx: r.Context(), start: time.Now(), ip: sourceOf(r), verb: op.verb}
	x.token, x.authorized = authorize(r.Header)
	x.target = Target{Tenant: tenantOf(x.token), Environment: r.PathValue("environment"), Segment: r.PathValue("segment")}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !x.authorized {
		s.verdicts.add(x.violation(WrongAuth, "", op.name))
		return x
	}
	x.target.Organisation = s.ownerOf(x.target.Tenant)
	s.count(x)
	if x.verb != 0 {
		s.enter(x)
	}
	return x
}

// count passes the call through the limiters and checks that it kept away as
// long as it was told to.
func (s *Split) count(x *exchange) {
	org, from := s.organisation(x.target.Organisation), s.address(x.ip)
	if org.gate.ignored(x.start) {
		s.verdicts.add(x.violation(TooSoon, "", "limit of the organisation"))
	}
	if from.gate.ignored(x.start) {
		s.verdicts.add(x.violation(TooSoon, "", "limit of the address"))
	}
	x.rates = rates{org: org.window.count(s.limits.Org, x.start), ip: from.window.count(s.limits.IP, x.start)}
	x.showRates = s.limits.HeadersOnSuccess
}

func (s *Split) enter(x *exchange) {
	others := s.underWay[x.target]
	for _, other := range others {
		if other.ctx.Err() == nil {
			other.suspicions = append(other.suspicions, suspicion{x.start, x.violation(Overlap, "", "besides "+other.op.name)})
		}
	}
	s.underWay[x.target] = append(others, x)
}

// run decides the answer of a call.
func (s *Split) run(x *exchange) answer {
	if !x.authorized {
		if refusal, ok := s.drain(x); !ok {
			return refusal
		}
		return s.refuse(http.StatusUnauthorized, "Unauthorized")
	}
	if refusal, ok := x.op.read(s, x); !ok {
		return refusal
	}
	if x.rates.over() {
		return s.limited(x)
	}
	a := s.misbehave(x)
	if x.showRates && a.status/100 == 2 {
		x.rates.writeTo(a.header)
	}
	return a
}

func (s *Split) end(x *exchange, a answer) {
	now := time.Now()
	call := Call{
		Start: x.start, End: now, Target: x.target, IP: x.ip, Operation: x.op.name, Verb: x.verb,
		Keys: len(x.body.Keys), Digest: digest(x.verb, x.body.Keys), Status: a.status, Outcome: a.outcome, Applied: x.applied,
	}
	s.mu.Lock()
	s.leave(x, now)
	if x.authorized {
		s.organisation(x.target.Organisation).gate.shut(now, a.orgReset, s.opts.Grace)
		s.address(x.ip).gate.shut(now, a.ipReset, s.opts.Grace)
	}
	s.log.add(call, s.opts.CallLog)
	s.mu.Unlock()
	if s.opts.OnCall != nil {
		s.opts.OnCall(call)
	}
}

func (s *Split) leave(x *exchange, now time.Time) {
	s.verdicts.add(x.provenOverlaps(now, s.opts.Grace, true)...)
	rest := slices.DeleteFunc(s.underWay[x.target], func(other *exchange) bool { return other == x })
	if len(rest) == 0 {
		delete(s.underWay, x.target)
	} else {
		s.underWay[x.target] = rest
	}
}

func (s *Split) blame(found ...Violation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.verdicts.add(found...)
}

func (x *exchange) violation(p Promise, key, detail string) Violation {
	return Violation{Time: x.start, Promise: p, Target: x.target, Verb: x.verb, Key: key, Detail: detail}
}
