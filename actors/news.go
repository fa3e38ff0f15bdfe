package actors

import (
	"time"

	"audiences/audience"
	"audiences/splitclient"
	"audiences/status"

	"github.com/asynkron/protoactor-go/actor"
)

// news is something that has changed, for the log. It names the thing that changed: a
// segment, a tenant, or with neither all of them. It holds no key and no token (I7).
type news struct {
	kind    newsKind
	segment audience.Segment // with a Tenant alone: the tenant
	reason  string
	status  int       // of HTTP; 0: there was no answer, or no call
	cause   string    // as in splitclient.Outcome
	next    time.Time // the next attempt, or the end of a wait; zero: there is none
	keys    int
	at      time.Time // when it was told; given by the newsdesk
}

type newsKind uint8

const (
	segmentFails newsKind = iota
	segmentRecovered
	segmentQuiet // it does not fail any more, as nothing is left to be delivered; no line
	segmentParked
	segmentUnparked
	keysParked
	tokenRefused
	tokenWorks
	tenantLimited
	addressLimited
	pauseOver
	callHeld // a call is due while delivery is switched off; a line, and no event
)

// tell has a line written of it, unless it is gathered with others. It does not wait.
func (s *settings) tell(n news) {
	if s.desk != nil {
		s.desk(&n)
	}
}

// How long news of one kind is gathered: the first one has a line at once, and what comes
// within the period after it has one line together. While news keeps coming the period
// grows, so that an outage of an hour takes a few dozen lines.
const (
	leastPeriod = 10 * time.Second
	mostPeriod  = 2 * time.Minute
	forgetAfter = 5 * time.Minute // without news of the kind: the period is the least again
)

// draftAfter is how long news is in memory alone: then the journal has what was gathered
// so far, and a kill loses no more than that. It is one small write a second and kind,
// however much is told. Limits have no drafts: they end by themselves, come again and
// again while there is much to send, and are told anew after a restart.
const draftAfter = time.Second

// newsdesk is the actor that writes them.
type newsdesk struct {
	hidden[newsdesk]
	*settings
	kinds   map[newsKind]*gathering
	failing map[audience.Segment]struct{} // whose calls fail now: what is said of all is true
	alarm   alarm
}

// gathering is the news of one kind that has no line yet.
type gathering struct {
	period time.Duration
	ends   time.Time // of the period; zero: none is on
	ended  time.Time // the last one
	draft  time.Time // when the journal is to have what is gathered; zero: it has
	news   []news    // the first of each segment or tenant, as many as an event names
	of     map[audience.Segment]struct{}
	count  int
	keys   int
	reason map[string]int
	last   news
}

func newNewsdesk(s *settings) *newsdesk {
	return &newsdesk{settings: s, kinds: map[newsKind]*gathering{}, failing: map[audience.Segment]struct{}{}}
}

func (d *newsdesk) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *news:
		d.take(*m, time.Now())
	case *tick:
		d.alarm.fired()
		d.write(time.Now())
	case *actor.Stopping:
		for kind, g := range d.kinds {
			d.line(kind, g)
		}
		d.alarm.cancel()
		return
	}
	next := time.Time{}
	for _, g := range d.kinds {
		next = earlierOf(next, g.ends, g.draft)
	}
	d.alarm.set(ctx, next, &tick{})
}

// take writes a piece of news, or gathers it.
func (d *newsdesk) take(n news, now time.Time) {
	switch n.kind {
	case segmentFails:
		d.failing[n.segment] = struct{}{}
	case segmentRecovered, segmentQuiet:
		delete(d.failing, n.segment)
	}
	if n.kind == segmentQuiet {
		return
	}
	g := d.kinds[n.kind]
	if g == nil {
		g = &gathering{}
		d.kinds[n.kind] = g
	}
	n.at = now
	g.add(n)
	switch {
	case g.ends.IsZero():
		d.line(n.kind, g)
		g.begin(now)
	case g.draft.IsZero() && n.kind != callHeld && n.kind != addressLimited && n.kind != tenantLimited:
		g.draft = now.Add(draftAfter)
	}
}

// add gathers a piece of news.
func (g *gathering) add(n news) {
	if g.count == 0 {
		g.of, g.reason = map[audience.Segment]struct{}{}, map[string]int{}
	}
	if _, known := g.of[n.segment]; !known && len(g.news) < status.MostNamed {
		g.news = append(g.news, n)
	}
	g.of[n.segment] = struct{}{}
	g.count++
	g.keys += n.keys
	g.reason[n.reason]++
	g.last = n
}

// begin begins a period.
func (g *gathering) begin(now time.Time) {
	if g.period = min(2*g.period, mostPeriod); g.period == 0 || now.Sub(g.ended) > forgetAfter {
		g.period = leastPeriod
	}
	g.ends = now.Add(g.period)
}

// write writes what was gathered in periods that are over, and drafts of the rest.
func (d *newsdesk) write(now time.Time) {
	for kind, g := range d.kinds {
		if !g.draft.IsZero() && !g.draft.After(now) && g.ends.After(now) {
			g.draft = time.Time{}
			d.draft(d.event(kind, g))
		}
		if g.ends.IsZero() || g.ends.After(now) {
			continue
		}
		g.ends, g.ended = time.Time{}, now
		if g.count > 0 {
			d.line(kind, g)
			g.begin(now)
		}
	}
}

// events are what an operator is shown of the news.
var events = map[newsKind]status.EventKind{
	segmentFails: status.EventSegmentFails, segmentRecovered: status.EventSegmentRecovered, segmentParked: status.EventSegmentParked,
	segmentUnparked: status.EventSegmentUnparked, keysParked: status.EventKeysParked, tokenRefused: status.EventTokenRefused,
	tokenWorks: status.EventTokenAccepted, tenantLimited: status.EventTenantLimited, addressLimited: status.EventAddressLimited,
	pauseOver: status.EventPauseOver,
}

// event is that of a line: of the latest piece of news in it.
func (d *newsdesk) event(kind newsKind, g *gathering) status.Event {
	n := g.last
	e := status.Event{At: n.at, Kind: events[kind], Environment: n.segment.Environment, Segment: n.segment.Name,
		Keys: g.keys, Until: n.next, Reason: n.reason, Status: n.status, Segments: len(g.of)}
	if n.segment.Tenant != (audience.TenantID{}) {
		e.Tenant = n.segment.Tenant.String()
	}
	for _, other := range g.news {
		if of := other.segment; of != n.segment && len(e.Others) < status.MostNamed-1 {
			e.Others = append(e.Others, status.EventSubject{Tenant: of.Tenant.String(), Environment: of.Environment, Segment: of.Name, Reason: other.reason})
		}
	}
	return e
}

// newsOf is news of a call.
func newsOf(kind newsKind, segment audience.Segment, o splitclient.Outcome, next time.Time) news {
	return news{kind: kind, segment: segment, reason: string(o.Reason), status: o.Status, cause: o.Cause, next: next}
}
