package sandbox

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// misbehave serves a call as the rules say; without a matching one, as it should be.
func (s *Split) misbehave(x *exchange) answer {
	for after := 0; ; {
		r := s.take(x, after)
		if r == nil {
			return s.serve(x)
		}
		var served answer
		if r.Applied || r.Kind == Headers {
			served = s.serve(x)
		}
		switch r.Kind {
		case Slow, Hang:
		case Headers:
			return served.with(r.Headers)
		default:
			return s.faulty(r, x).with(r.Headers)
		}
		if !s.hold(x, r) {
			return cut(string(r.Kind))
		}
		if r.Applied {
			return served
		}
		after = r.id
	}
}

func (s *Split) serve(x *exchange) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return x.op.run(s, x)
}

// take returns the first matching rule behind the one with the given id, used
// up by one. Rules without use are dropped on the way, unless they hold calls:
// removing those by hand must still let go.
func (s *Split) take(x *exchange, after int) *rule {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.rules = slices.DeleteFunc(s.rules, func(r *rule) bool { return r.spent(now) && r.holding == 0 })
	for _, r := range s.rules {
		if r.id > after && r.matches(s, x, now) {
			r.used++
			if r.Kind == Slow || r.Kind == Hang {
				r.holding++
			}
			return r
		}
	}
	return nil
}

// hold keeps a call waiting and reports whether its client is still there.
func (s *Split) hold(x *exchange, r *rule) bool {
	defer func() {
		s.mu.Lock()
		r.holding--
		s.mu.Unlock()
	}()
	var over <-chan time.Time // never, for a Hang without For
	if r.Kind == Slow || r.For > 0 {
		wait := r.Delay
		if r.Kind == Hang {
			wait = time.Until(r.made.Add(r.For))
		}
		timer := time.NewTimer(wait)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-over:
	case <-r.removed:
	case <-x.ctx.Done():
	case <-s.closed:
		return false
	}
	return x.ctx.Err() == nil
}

// faulty is the answer of a rule that serves nothing.
func (s *Split) faulty(r *rule, x *exchange) answer {
	outcome := string(r.Kind)
	switch r.Kind {
	case Throttle:
		return s.throttle(r, x)
	case Status:
		a := s.fail(cmp.Or(r.Code, http.StatusInternalServerError), cmp.Or(r.Message, "Internal error"), outcome)
		r.writeRetryAfter(a.header)
		return a
	case Reset:
		return cut(outcome)
	case EmptyBadRequest, CommentsRequired:
		return raw(http.StatusBadRequest, "", nil, outcome)
	case HTMLBadGateway:
		return raw(http.StatusBadGateway, "text/html", []byte("<html><body><h1>502 Bad Gateway</h1></body></html>"), outcome)
	case Redirect:
		a := raw(http.StatusFound, "", nil, outcome)
		a.header.Set("Location", "/login")
		return a
	case Raw:
		a := raw(cmp.Or(r.Code, http.StatusOK), r.MediaType, []byte(r.Body), outcome)
		a.cutAfter = r.CutAfter
		return a
	}
	plain := plainFaults[r.Kind]
	return s.fail(plain.status, plain.message, outcome)
}

// plainFaults are errors in Split's form; only the text of Approvals is
// documented (Split docs: approvals), the others are guesses.
var plainFaults = map[Kind]struct {
	status  int
	message string
}{
	Unauthorized: {http.StatusUnauthorized, "Unauthorized"},
	Forbidden:    {http.StatusForbidden, "Forbidden"},
	Approvals:    {http.StatusForbidden, "Approvals are required"},
	NotActive:    {http.StatusNotFound, "Segment is not activated in this environment"},
	Conflict:     {http.StatusConflict, "Conflict"},
	TooLarge:     {http.StatusRequestEntityTooLarge, "Request entity too large"},
	Poison:       {http.StatusBadRequest, "Bad request"},
	Full:         {http.StatusBadRequest, guessFull},
}

// throttle is a 429 out of the blue. The limiter that it does not speak of
// shows what it really counts.
func (s *Split) throttle(r *rule, x *exchange) answer {
	a := s.fail(http.StatusTooManyRequests, "Too many requests", string(r.Kind))
	r.writeRetryAfter(a.header)
	wait := r.Reset
	if r.NoHeaders {
		wait = r.RetryAfter
	}
	shown := x.rates
	if r.Scope == IP {
		shown.ip = rate{known: true, reset: wait}
		a.ipReset = wait
	} else {
		shown.org = rate{known: true, reset: wait}
		a.orgReset = wait
	}
	if !r.NoHeaders {
		shown.writeTo(a.header)
	}
	return a
}

func (r *rule) writeRetryAfter(h http.Header) {
	if r.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(r.RetryAfter/time.Second)))
	}
}
