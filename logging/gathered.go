package logging

import (
	"sync"
	"time"
)

// GatherFor is the usual period of a Gathered: whoever looks at the log sees within
// it what goes on now, and a line each is bearable for hours.
const GatherFor = 10 * time.Second

// Gathered is the log of one kind of event that may come very often, because a caller
// or a stranger can cause it. The first event is written at once. Those that follow
// within a period are written as one line at its end, with their number, and so on
// until a period has brought none.
//
// There is no line that says that it is over: an event that comes every other period
// would have it said again and again, and never truly.
type Gathered[T any] struct {
	period time.Duration
	write  func(count int, event T)

	mu    sync.Mutex
	tally tally[T]
	timer *time.Timer // ends the period; nil before the first event
}

// Gather returns a Gathered that writes one line a period at most; the first event
// after a quiet period has one of its own. write gets the number of events since its
// last call and what join has made of them; it must not wait, nor note an event. join
// may be nil: then the latest event stands for all of them.
func Gather[T any](period time.Duration, join func(earlier, later T) T, write func(count int, event T)) *Gathered[T] {
	if join == nil {
		join = func(_, later T) T { return later }
	}
	return &Gathered[T]{period: period, write: write, tally: tally[T]{join: join}}
}

// Note takes an event.
func (g *Gathered[T]) Note(event T) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.tally.add(event) {
		g.write(1, event)
		g.begin()
	}
}

func (g *Gathered[T]) begin() {
	if g.timer == nil {
		g.timer = time.AfterFunc(g.period, g.end)
		return
	}
	g.timer.Reset(g.period)
}

// end ends a period and begins another one if something has come.
func (g *Gathered[T]) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if count, event := g.tally.end(); count > 0 {
		g.write(count, event)
		g.begin()
	}
}

// Flush writes what has been gathered without waiting for the end of the period. It
// is for the end of the process.
func (g *Gathered[T]) Flush() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if count, event := g.tally.end(); count > 0 {
		g.write(count, event)
	}
}

// tally counts the events of one kind. It knows nothing of time: its owner ends the
// periods.
//
//	quiet --add--> running --end, something was held--> running
//	                       --end, nothing was held----> quiet
type tally[T any] struct {
	join    func(earlier, later T) T
	running bool
	count   int // events held
	held    T   // what join has made of them
}

// add reports whether the event is to be told at once, as it begins a period.
// Otherwise the event is held.
func (t *tally[T]) add(event T) (atOnce bool) {
	switch {
	case !t.running:
		t.running = true
		return true
	case t.count == 0:
		t.held = event
	default:
		t.held = t.join(t.held, event)
	}
	t.count++
	return false
}

// end returns what was held in the period. When that is nothing, all is quiet.
func (t *tally[T]) end() (count int, held T) {
	count, held = t.count, t.held
	var none T
	t.count, t.held, t.running = 0, none, count > 0
	return count, held
}
