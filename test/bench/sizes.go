package main

import (
	"context"
	"fmt"
	"maps"
	"time"

	"audiences/test/harness"
)

// bulk is how much waits while Split is down, and is delivered when it is back.
type bulk struct {
	keys, each        int // keys altogether, and in each post
	segments, tenants int
	known             bool           // Split took keys of every segment before
	settings          map[string]any // of the relay, beside those that all have
}

// sizeRounds is how often each size is measured: a turn starts a relay, and takes a minute.
const sizeRounds = 3

// measureSizes: the processor time of a key and of a call, each with few of
// something and with many.
func measureSizes(ctx context.Context, h *house, r *report) error {
	full := func(full, quick int) int { return of(h.options, full, quick) }
	for _, pair := range []struct {
		what, each string
		few, many  int
		bulk       func(n int) bulk
	}{
		{"keys of one segment", "key", full(1_000_000, 20_000), full(5_000_000, 100_000), func(n int) bulk {
			return bulk{keys: n, each: 10_000, segments: 1, tenants: 1}
		}},
		{"segments due at once", "call", full(10_000, 200), full(100_000, 1_000), func(n int) bulk {
			return bulk{keys: n, each: 1, segments: n, tenants: usualTenants, known: true}
		}},
		{"tenants", "call", full(100, 10), full(50_000, 500), func(n int) bulk {
			segments := full(50_000, 500)
			return bulk{keys: segments, each: 1, segments: segments, tenants: n, known: true}
		}},
	} {
		t := &turns{}
		for _, n := range []int{pair.few, pair.many} {
			t.add(fmt.Sprint(n, " ", pair.what), func() (outcome, error) { return h.pileAndDeliver(ctx, pair.bulk(n)) })
		}
		if err := t.measure(of(h.options, sizeRounds, 1), 0); err != nil {
			return err
		}
		few, many := t.servers[0], t.servers[1]
		ratio := t.compare(many, few, costInMicros)
		r.check(many+": CPU a "+pair.each, "within 15 % of that of "+few, ratio.text("%.2f")+" of it", ratio.median <= 1.15, ratio.median <= 10)
		what := "one " + pair.each + " each"
		r.table("sizes", t.rows(what, sizeFigures))
		r.steady(what, t, sizeFigures[1])
	}
	return nil
}

func writtenEach(o outcome) float64 { return float64(o.written) / float64(max(1, o.posts)) }

// sizeFigures are those of a size; what they count are keys or calls.
var sizeFigures = []figure{
	{"delivered a second", outcome.perSecond, "%.0f"},
	{"CPU of delivering, us", costInMicros, "%.2f"},
	{"CPU of accepting, us", func(o outcome) float64 {
		return float64(o.accepting) / float64(max(1, o.posts)) / float64(time.Microsecond)
	}, "%.2f"},
	{"bytes written", writtenEach, "%.0f"},
}

// pileAndDeliver has keys accepted while Split hangs, and lets it come back. The
// outcome counts keys; where each is a call of its own, that is the same.
func (h *house) pileAndDeliver(ctx context.Context, b bulk) (o outcome, err error) {
	s, err := h.newSite(h.ecdsa, unlimited)
	if err != nil {
		return o, err
	}
	settings := map[string]any{"splitTimeout": 300, "segmentsFlushRateInSeconds": 1}
	maps.Copy(settings, b.settings)
	if err := s.start(settings); err != nil {
		return o, err
	}
	l := newLedgerOf("size", b.segments, b.tenants)
	if b.known {
		if err := s.post(ctx, l, b.segments, 1); err != nil {
			return o, err
		}
		if err := s.rest(ctx, l); err != nil {
			return o, err
		}
	}
	before, err := s.usage()
	if err != nil {
		return o, err
	}
	if err := s.pile(ctx, l, b.keys/b.each, b.each); err != nil {
		return o, err
	}
	piled, err := s.usage()
	if err != nil {
		return o, err
	}
	began := time.Now()
	if err := s.fault(""); err != nil {
		return o, err
	}
	if err := s.arrived(ctx, l); err != nil {
		return o, err
	}
	o.posts, o.took = b.keys, time.Since(began)
	if err := s.rest(ctx, l); err != nil {
		return o, err
	}
	after, err := s.usage()
	if err != nil {
		return o, err
	}
	o.accepting, o.server, o.written = piled.cpu-before.cpu, after.cpu-piled.cpu, after.written-before.written
	return o, s.stop()
}

// usage is what the relay has taken since its start.
type usage struct {
	cpu     time.Duration
	written int // bytes
}

func (s *site) usage() (u usage, err error) {
	if u.cpu, err = harness.CPU(s.relay.PID()); err != nil {
		return u, err
	}
	u.written, err = harness.Written(s.relay.PID())
	return u, err
}

// Rest is when a relay writes no more than this in a second.
const restBytes = 64 << 10

// rest waits until all keys of the ledger have arrived and are settled, and the
// store has compacted what it wants to.
func (s *site) rest(ctx context.Context, l *ledger) error {
	if err := s.arrived(ctx, l); err != nil {
		return err
	}
	last, at := -restBytes, time.Time{}
	return harness.Until(ctx, arrivalPatience, "the relay is at rest", func() (bool, error) {
		if time.Since(at) < time.Second {
			return false, nil
		}
		m, err := s.relay.Metrics()
		if err != nil {
			return false, err
		}
		now, err := harness.Written(s.relay.PID())
		still := m["audiences_keys_pending"] == 0 && now-last < restBytes
		last, at = now, time.Now()
		return still, err
	})
}
