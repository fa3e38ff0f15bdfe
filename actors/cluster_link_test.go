package actors

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"audiences/journal"
)

// errAway is why the table was not asked, or what became of it is not known.
var errAway = errors.New("the table does not answer")

// lots are drawn by many goroutines at once.
type lots struct {
	mu   sync.Mutex
	from *rand.Rand
}

func newLots(seed uint64) *lots { return &lots{from: rand.New(rand.NewPCG(seed, 1))} }

func (l *lots) float() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.from.Float64()
}

func (l *lots) even() bool { return l.float() < 0.5 }

// upTo is a time between 1 ms and most.
func (l *lots) upTo(most time.Duration) time.Duration {
	return max(time.Millisecond, time.Duration(l.float()*float64(most)))
}

// door lets through who comes while it is open.
type door struct {
	mu   sync.Mutex
	shut chan struct{} // closed when the door opens; nil: it is open
}

// close shuts the door, and reports whether it was open.
func (d *door) close() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.shut != nil {
		return false
	}
	d.shut = make(chan struct{})
	return true
}

func (d *door) open() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.shut != nil {
		close(d.shut)
		d.shut = nil
	}
}

// pass waits until the door is open; false: gone was closed before.
func (d *door) pass(gone <-chan struct{}) bool {
	for {
		d.mu.Lock()
		shut := d.shut
		d.mu.Unlock()
		select {
		case <-gone:
			return false
		default:
		}
		if shut == nil {
			return true
		}
		select {
		case <-shut:
		case <-gone:
			return false
		}
	}
}

// link is the way of one life of a node to the table. What was sent arrives, unless it is
// lost with the link; also after nobody waits for its answer any more, and after the node's
// end.
type link struct {
	table    *table
	lots     *lots
	still    *door         // shut while the process stands still
	gone     chan struct{} // closed when the process ends
	silent   door          // shut while nothing gets through, and nobody is told
	slow     atomic.Int64  // what one way takes at most
	carriers sync.WaitGroup

	mu     sync.Mutex
	broken chan struct{} // closed when the link is cut
	isCut  bool
}

func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.isCut {
		l.isCut = true
		close(l.broken)
	}
}

func (l *link) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isCut {
		l.isCut, l.broken = false, make(chan struct{})
	}
}

func (l *link) state() (broken chan struct{}, isCut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.broken, l.isCut
}

// travel takes as long as one way does.
func (l *link) travel() {
	time.Sleep(l.lots.upTo(time.Duration(l.slow.Load())))
	l.silent.pass(nil)
}

// mostLate is how long a statement that nobody waits for may be under way yet.
const mostLate = 10 * time.Second

// ask has the table carry out a statement, and waits for the answer: at most for patience,
// until ctx or the process ends, or the link is cut. Then the statement is lost, or comes
// late.
func ask[T any](ctx context.Context, l *link, patience time.Duration, statement func(*table) T) (answer T, err error) {
	if !l.still.pass(l.gone) {
		return answer, journal.ErrClosed
	}
	broken, isCut := l.state()
	if isCut {
		return answer, errAway
	}
	answers, lost, late := make(chan T, 1), make(chan struct{}), make(chan struct{})
	l.carriers.Go(func() {
		l.travel()
		select {
		case <-lost:
			return
		case <-late: // on a connection that was given up
			time.Sleep(l.lots.upTo(mostLate))
		default:
		}
		l.table.mu.Lock()
		answer := statement(l.table)
		l.table.mu.Unlock()
		l.travel()
		answers <- answer
	})
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case answer = <-answers:
	case <-timer.C:
		err = errAway
	case <-broken:
		err = errAway
	case <-ctx.Done():
		err = ctx.Err()
	case <-l.gone:
		err = journal.ErrClosed
	}
	if err != nil && l.lots.even() {
		close(lost)
	} else if err != nil {
		close(late)
	}
	if !l.still.pass(l.gone) {
		return answer, journal.ErrClosed
	}
	if err != nil && l.lots.even() {
		select {
		case answer = <-answers: // it came while the process stood still
			err = nil
		default:
		}
	}
	return answer, err
}
