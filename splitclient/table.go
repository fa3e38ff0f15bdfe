package splitclient

import "strings"

// table is the whole judgement on a call: the first row whose two conditions
// hold decides. Sources: Split docs (rate limiting, segments, errors) and the
// vendor's clients; where a row goes beyond them, it says so. Every answer and
// every failure finds a row, since the last one asks nothing.
//
// After a transient outcome nobody asks whether Split applied the call: it is
// repeated before anything newer for its keys (I4), and to repeat it does no harm.
var table = []row{
	// No answer.
	{failed(badCall), always, permanent(InvalidCall, ScopeSegment)}, // parks in sight of the operator, rather than going round for ever
	{failed(cancelled), always, transient(Cancelled)},
	{failed(timedOut), always, transient(Timeout)},
	{failed(unresolved), always, transient(NameNotResolved)}, // never left
	{failed(unreachable), always, transient(Unreachable)},    // never left
	{failed(untrusted), always, transient(TLSFailure)},       // never left; certificates get renewed
	{failed(lost), always, transient(ConnectionLost)},
	{failed(barred), always, transient(EgressRefused)}, // never left

	// The one refusal told by its words. Not confirmed: Split publishes neither status nor words.
	{status(400, 403, 409, 413, 422), full, permanent(SegmentFull, ScopeSegment)},

	// Answers that anything on the way may give, a page or not.
	{status(429), ipUsedUp, throttled(ThrottledIP)},
	{status(429), orgUsedUp, throttled(ThrottledOrg)},
	{status(429), always, throttled(ThrottledUnsaid)},       // some gateways throttle with a page
	{status(407, 511), always, transient(EgressRefused)},    // a proxy or a portal wants a login of us, which is not the tenant's fault
	{class(5), always, transient(ServerError)},              // load balancers write pages
	{class(3), always, transient(Redirected)},               // by its meaning not carried out
	{status(421, 425), always, transient(UnexpectedAnswer)}, // "not here", "not yet": words of whatever stands in between
	{status(408), always, transient(RequestTimeout)},
	{status(413), always, permanent(TooLarge, ScopeKeys)}, // also as a gateway's page: half as much may pass there too

	// Pages, where Split speaks JSON, and a refusal whose body says that all went well.
	{class(2), markup, transient(UnexpectedAnswer)}, // a portal says 200 to everything
	{class(4), markup, transient(UnexpectedAnswer)}, // Split's refusals are JSON or empty
	{class(4), said(success), transient(UnexpectedAnswer)},

	// Success is what Split documents, an object, and what the vendor's clients take for it. A body that
	// is missing contradicts nothing; one that says otherwise, or nothing that Split could say, counts more
	// than the status: a call that is repeated does no harm, one that is taken for done loses its keys (I3).
	{status(204), always, delivered(OK)},
	{status(200, 201), said(notSplit), transient(UnexpectedAnswer)},
	{status(200, 201), said(denial), transient(Unconfirmed)},
	{status(200, 201), always, delivered(OK)},
	{class(2), always, transient(Unconfirmed)}, // 202 "later", 205, 206 "a part", ...: not that it is done

	// Split's refusals.
	{status(400), empty, permanent(EmptyBadRequest, ScopeKeys)},
	{status(400), always, permanent(BadRequest, ScopeKeys)},
	{status(401), always, permanent(Unauthorized, ScopeTenant)},
	{status(403), says("approval"), permanent(ApprovalsRequired, ScopeSegment)},
	{status(403), always, permanent(Forbidden, ScopeSegment)},
	{status(404), always, permanent(NotFound, ScopeSegment)},
	{status(409), always, transient(Conflict)},
	{status(422), always, permanent(Unprocessable, ScopeKeys)},
	{class(4), always, permanent(Refused, ScopeSegment)}, // undocumented: better parked with its message than repeated unseen

	{always, always, transient(UnexpectedAnswer)}, // 101, 600, ...: nothing an API says
}

// row is one line of the table.
type row struct {
	when, and condition
	outcome   Outcome
}

type condition func(*answer) bool

// judge turns what came back into the outcome.
func judge(a *answer) Outcome {
	var out Outcome
	for _, r := range table {
		if r.when(a) && r.and(a) {
			out = r.outcome
			break
		}
	}
	out.Status, out.Transaction, out.Limits, out.Message, out.Cause = a.status, a.transaction, a.limits, cut(a.text), a.cause
	if out.Kind == Throttled {
		out.Delay, out.Doubtful = a.delay()
	}
	if out.Reason == ThrottledIP {
		out.DelayIP, out.DoubtfulIP = a.delayIP()
	}
	return out
}

func delivered(r Reason) Outcome          { return Outcome{Kind: Delivered, Reason: r} }
func throttled(r Reason) Outcome          { return Outcome{Kind: Throttled, Reason: r} }
func transient(r Reason) Outcome          { return Outcome{Kind: Transient, Reason: r} }
func permanent(r Reason, s Scope) Outcome { return Outcome{Kind: Permanent, Reason: r, Scope: s} }

func always(*answer) bool   { return true }
func markup(a *answer) bool { return a.markup }
func empty(a *answer) bool  { return a.empty }

func said(s speech) condition { return func(a *answer) bool { return a.body == s } }

func failed(f failure) condition { return func(a *answer) bool { return a.failure == f } }

// class holds for the statuses of one hundred; 2 is 2xx.
func class(hundred int) condition {
	return func(a *answer) bool { return a.status/100 == hundred }
}

func status(codes ...int) condition {
	return func(a *answer) bool {
		for _, code := range codes {
			if a.status == code {
				return true
			}
		}
		return false
	}
}

// says holds where any of the words, in lower case, is in the answer's text in
// any case.
func says(words ...string) condition {
	return func(a *answer) bool {
		text := strings.ToLower(a.text)
		for _, word := range words {
			if strings.Contains(text, word) {
				return true
			}
		}
		return false
	}
}

// full recognises "the segment cannot hold that many". A miss is cheap, because
// halves that fail alike park the segment too; a false hit would park a segment
// for one bad key. So the words must speak of the segment and of a limit, and
// not of the length of a key or the size of a call. Removing never fills.
func full(a *answer) bool {
	return a.adding &&
		says("segment", "100000", "100,000")(a) &&
		says("exceed", "limit", "maximum", "too many", "full")(a) &&
		!says("length", "characters", "per request", "in request", "per call", "payload", "body")(a)
}
