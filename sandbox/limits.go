package sandbox

import (
	"net/http"
	"strconv"
	"time"
)

// Limit allows Calls per Window; the zero value allows everything. A window
// opens with the first call after the last one ended.
type Limit struct {
	Calls  int           `json:"calls"`
	Window time.Duration `json:"windowSeconds"`
}

// Limits are the two limiters in front of Split (Split docs: rate limiting).
// Every call counts against both, refused or not; Split publishes no numbers.
type Limits struct {
	Org              Limit `json:"org,omitzero"` // per organisation
	IP               Limit `json:"ip,omitzero"`  // per source address
	HeadersOnSuccess bool  `json:"headersOnSuccess,omitzero"`
}

// window counts the calls of one organisation or address.
type window struct {
	opened time.Time
	used   int
}

// rate is what one limiter says of a call; known is false when it is off.
type rate struct {
	known, over bool
	remaining   int
	reset       time.Duration // rounded up to what a header can say
}

func (w *window) count(l Limit, now time.Time) rate {
	if l.Calls <= 0 || l.Window <= 0 {
		return rate{}
	}
	if now.Sub(w.opened) >= l.Window {
		*w = window{opened: now}
	}
	w.used++
	return rate{
		known:     true,
		over:      w.used > l.Calls,
		remaining: max(0, l.Calls-w.used),
		reset:     roundUp(w.opened.Add(l.Window).Sub(now), time.Millisecond),
	}
}

// rates are the headers of one answer.
type rates struct{ org, ip rate }

func (r rates) over() bool { return r.org.over || r.ip.over }

func (r rates) writeTo(h http.Header) {
	r.org.writeTo(h, "Org")
	r.ip.writeTo(h, "IP")
}

func (r rate) writeTo(h http.Header, scope string) {
	if r.known {
		h.Set("X-RateLimit-Remaining-"+scope, strconv.Itoa(r.remaining))
		h.Set("X-RateLimit-Reset-Seconds-"+scope, strconv.FormatFloat(r.reset.Seconds(), 'f', -1, 64))
	}
}

// roundUp makes d a multiple of what a header can say, so that who waits as long
// as the header says is never early.
func roundUp(d, unit time.Duration) time.Duration {
	return max(0, d+unit-1).Truncate(unit)
}

// gate knows until when a 429 told its receivers to stay away. An order is
// fresh until the grace has passed since it was written: calls that start by
// then cannot have known of it.
type gate struct {
	shutUntil time.Time
	fresh     []order
}

type order struct{ binding, until time.Time }

// shut notes a 429 written at now that asked for the given wait.
func (g *gate) shut(now time.Time, reset, grace time.Duration) {
	if reset > 0 {
		g.fresh = append(g.fresh, order{now.Add(grace), now.Add(reset)})
	}
}

// ignored reports whether a call that starts now breaks an order.
func (g *gate) ignored(now time.Time) bool {
	keep := g.fresh[:0]
	for _, o := range g.fresh {
		if !o.binding.Before(now) {
			keep = append(keep, o)
		} else if o.until.After(g.shutUntil) {
			g.shutUntil = o.until
		}
	}
	g.fresh = keep
	return now.Before(g.shutUntil)
}
