package series

import (
	"context"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"
)

const (
	// Step is how long one point is about.
	Step = 10 * time.Second
	// Longest is how far back the points go.
	Longest = 24 * time.Hour
	// freshWindow is how far back freshness and rates look.
	freshWindow = 5 * time.Minute
	// rateWindow is how far back the rates of now look.
	rateWindow = 30 * time.Second

	capacity = int(Longest / Step)
)

// Point is one step, which ends At. Rates are those a second.
type Point struct {
	At        time.Time `json:"at"`
	Taken     float64   `json:"taken"`     // keys accepted a second
	Delivered float64   `json:"delivered"` // keys that Split confirmed a second
	Refused   float64   `json:"refused"`   // posts refused a second
	Throttled float64   `json:"throttled"` // calls answered 429, in the step
	Failed    float64   `json:"failed"`    // calls that failed for now, in the step
	Pending   float64   `json:"pending"`   // keys, at its end
	Oldest    float64   `json:"oldest"`    // seconds since the oldest of them was accepted, at its end
	Parked    float64   `json:"parked"`    // keys, at its end
}

// Now is how the relay fares at the moment.
type Now struct {
	At        time.Time `json:"at"`
	Taken     float64   `json:"taken"`     // keys accepted a second, in the last half minute
	Delivered float64   `json:"delivered"` // keys that Split confirmed a second, in the last half minute
	Calls     float64   `json:"calls"`     // calls to Split a second, in the last half minute
	Refused   float64   `json:"refused"`   // posts refused in the last five minutes
	Pending   float64   `json:"pending"`   // keys
	Oldest    float64   `json:"oldest"`    // seconds since the oldest of them was accepted
	Parked    float64   `json:"parked"`    // keys that are parked one by one
	P50       float64   `json:"p50"`       // seconds from accepted to delivered, of the keys of the last five minutes
	P99       float64   `json:"p99"`       // the same
	Within    float64   `json:"within"`    // seconds: Fresh is the share of those keys that took no longer; 0: not known
	Fresh     float64   `json:"fresh"`     // from 0 to 1
	Measured  float64   `json:"measured"`  // how many keys P50, P99 and Fresh are about
}

// Ring holds the points of the last day. The zero value is empty; its methods may be
// called at the same time.
type Ring struct {
	mu     sync.Mutex
	points []Point // in the order of time from next on, once it is full
	next   int
	recent []reading // the last freshWindow
}

// Run takes a reading every Step until ctx ends. A reading that fails is left out: the next
// point is about all of the time since.
func (r *Ring) Run(ctx context.Context, gather func() ([]*dto.MetricFamily, error)) {
	ticks := time.NewTicker(Step)
	defer ticks.Stop()
	for {
		if families, err := gather(); err == nil || len(families) > 0 {
			r.Add(families, time.Now())
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return
		}
	}
}

// Add takes the metrics of one time, which is later than that of the call before.
func (r *Ring) Add(families []*dto.MetricFamily, at time.Time) {
	now := read(families, at)
	r.mu.Lock()
	defer r.mu.Unlock()
	if last := len(r.recent) - 1; last >= 0 {
		r.keep(pointOf(r.recent[last], now))
	}
	r.recent = append(r.recent, now)
	for len(r.recent) > 1 && at.Sub(r.recent[0].at) > freshWindow {
		r.recent = r.recent[1:]
	}
}

func (r *Ring) keep(p Point) {
	if len(r.points) < capacity {
		r.points = append(r.points, p)
		return
	}
	r.points[r.next] = p
	r.next = (r.next + 1) % capacity
}

func pointOf(before, now reading) Point {
	seconds := now.at.Sub(before.at).Seconds()
	return Point{
		At: now.at.UTC().Truncate(time.Second), Taken: (now.taken - before.taken) / seconds, Delivered: (now.delivered - before.delivered) / seconds,
		Refused: (now.refused - before.refused) / seconds, Throttled: now.throttled - before.throttled, Failed: now.failed - before.failed,
		Pending: now.pending, Oldest: now.oldest, Parked: now.parked,
	}
}

// Now is the last reading, with the rates up to it. The share of keys that are fresh is
// that of those within fresh, or within the next bound that the metric has.
func (r *Ring) Now(fresh time.Duration) (n Now) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.recent) == 0 {
		return Now{}
	}
	last := r.recent[len(r.recent)-1]
	first := r.recent[0]
	ages := last.fresh.since(first.fresh)
	n = Now{At: last.at.UTC(), Refused: last.refused - first.refused, Pending: last.pending, Oldest: last.oldest, Parked: last.parked,
		P50: ages.quantile(0.5), P99: ages.quantile(0.99), Measured: ages.all}
	n.Within, n.Fresh = ages.within(fresh.Seconds())
	for _, from := range r.recent {
		if seconds := last.at.Sub(from.at).Seconds(); seconds > 0 && seconds <= rateWindow.Seconds() {
			n.Taken, n.Delivered, n.Calls = (last.taken-from.taken)/seconds, (last.delivered-from.delivered)/seconds, (last.calls-from.calls)/seconds
			break
		}
	}
	return n
}

// Since are the points after a time, the oldest first. Where they would be more than most,
// neighbours are made into one: rates are averaged, counts added up, and of what was at
// the end the greatest is shown, so that no peak is hidden.
func (r *Ring) Since(from time.Time, most int) []Point {
	all := r.after(from)
	group := (len(all) + most - 1) / max(most, 1)
	if group <= 1 {
		return all
	}
	merged := make([]Point, 0, most)
	for len(all) > 0 {
		n := min(group, len(all))
		merged = append(merged, merge(all[:n]))
		all = all[n:]
	}
	return merged
}

func (r *Ring) after(from time.Time) (found []Point) {
	r.mu.Lock()
	defer r.mu.Unlock()
	found = []Point{}
	for i := range r.points {
		if p := r.points[(r.next+i)%len(r.points)]; p.At.After(from) {
			found = append(found, p)
		}
	}
	return found
}

func merge(points []Point) (m Point) {
	n := float64(len(points))
	for _, p := range points {
		m.At = p.At
		m.Taken += p.Taken / n
		m.Delivered += p.Delivered / n
		m.Refused += p.Refused / n
		m.Throttled += p.Throttled
		m.Failed += p.Failed
		m.Pending = max(m.Pending, p.Pending)
		m.Oldest = max(m.Oldest, p.Oldest)
		m.Parked = max(m.Parked, p.Parked)
	}
	return m
}
