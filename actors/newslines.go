package actors

import (
	"maps"
	"slices"
	"time"

	"audiences/audience"

	"github.com/rs/zerolog"
)

// This is how news reads in the log.

// newsTexts are the lines: of one piece of news, and of several that are gathered.
var newsTexts = map[newsKind]struct {
	level     zerolog.Level
	one, more string
}{
	segmentFails:     {zerolog.WarnLevel, "calls to Split fail for a segment: its keys are kept, the call is repeated", "calls to Split fail for more segments: their keys are kept, the calls are repeated"},
	segmentRecovered: {zerolog.InfoLevel, "calls to Split go through again for a segment", "calls to Split go through again for more segments"},
	segmentParked:    {zerolog.WarnLevel, "Split refuses a segment: parked, its keys are kept", "Split refuses more segments: parked, their keys are kept"},
	segmentUnparked:  {zerolog.InfoLevel, "Split takes a parked segment again", "Split takes more parked segments again"},
	keysParked:       {zerolog.WarnLevel, "Split refuses keys of a segment: parked", "Split refuses keys of more segments: parked"},
	tokenRefused:     {zerolog.WarnLevel, "Split refuses the token of a tenant: its keys are kept, the token is tried now and then", "Split refuses the tokens of more tenants: their keys are kept, the tokens are tried now and then"},
	tokenWorks:       {zerolog.InfoLevel, "the token of a tenant works again", "the tokens of more tenants work again"},
	tenantLimited:    {zerolog.WarnLevel, "the limit of a tenant's organisation is used up: the tenant waits", "the limits of more organisations are used up: their tenants wait"},
	addressLimited:   {zerolog.WarnLevel, "the limit of the relay's address is used up: all tenants wait", "the limit of the relay's address was used up again: all tenants wait"},
	callHeld:         {zerolog.InfoLevel, "a call is due and not made, as delivery is switched off: its keys are kept", "more calls are due and not made, as delivery is switched off: their keys are kept"},
	pauseOver:        {zerolog.InfoLevel, "the pause of a tenant or segment is over: it goes on", "more pauses are over: their tenants or segments go on"},
}

// named is how many segments or tenants a line of several names.
const named = 3

// line writes a line of all that was gathered, and drops it.
func (d *newsdesk) line(kind newsKind, g *gathering) {
	if g.count == 0 {
		return
	}
	text := newsTexts[kind]
	event := d.Logger.WithLevel(text.level)
	if len(g.of) == 1 && kind != addressLimited {
		d.one(event, g)
	} else {
		d.several(event, g)
	}
	if g.keys > 0 {
		event.Int("keys", g.keys)
	}
	if kind == segmentFails || kind == segmentRecovered {
		event.Int("failing", len(d.failing))
	}
	if len(g.of) == 1 {
		event.Msg(text.one)
	} else {
		event.Msg(text.more)
	}
	if _, shown := events[kind]; shown {
		d.note(d.event(kind, g))
	}
	g.news, g.of, g.reason, g.count, g.keys, g.draft = nil, nil, nil, 0, 0, time.Time{}
}

// one is a line of one segment or tenant, as it was the last time.
func (d *newsdesk) one(event *zerolog.Event, g *gathering) {
	n := g.last
	d.naming(event, n.segment)
	if n.reason != "" {
		event.Str("reason", n.reason)
	}
	if n.status != 0 {
		event.Int("status", n.status)
	}
	if n.cause != "" {
		event.Str("cause", n.cause)
	}
	if !n.next.IsZero() {
		event.Time("until", n.next)
	}
	if g.count > 1 {
		event.Int("times", g.count)
	}
}

// naming says who it is about.
func (s *settings) naming(event *zerolog.Event, who audience.Segment) {
	event.Stringer("tenant", who.Tenant)
	if s.Name != nil {
		if name := s.Name(who.Tenant); name != "" {
			event.Str("name", name)
		}
	}
	if who.Name != "" {
		event.Str("environment", who.Environment).Str("segment", who.Name)
	}
}

// several is a line of many, of which some are named.
func (d *newsdesk) several(event *zerolog.Event, g *gathering) {
	if until := g.last.next; g.last.kind == addressLimited {
		event.Time("until", until).Int("times", g.count)
		return
	}
	tenants := map[audience.TenantID]struct{}{}
	segments := 0
	for of := range g.of {
		tenants[of.Tenant] = struct{}{}
		if of.Name != "" {
			segments++
		}
	}
	if segments > 0 {
		event.Int("segments", segments)
	}
	event.Int("tenants", len(tenants))
	reasons := zerolog.Dict()
	for _, reason := range slices.Sorted(maps.Keys(g.reason)) {
		if reason != "" {
			reasons.Int(reason, g.reason[reason])
		}
	}
	event.Dict("reasons", reasons)
	examples := zerolog.Arr()
	for _, n := range g.news[:min(named, len(g.news))] {
		example := zerolog.Dict()
		d.naming(example, n.segment)
		examples.Dict(example)
	}
	event.Array("among", examples)
}
