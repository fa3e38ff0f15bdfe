package connections

import (
	"container/list"
	"net/netip"
	"sync"
	"time"
)

// Classes of turns.
const (
	noTurn int32 = iota
	ofKnown
	ofUnknown
)

const (
	// longestWait for a turn; the lambda has given up by then.
	longestWait = 3 * time.Second
	// passedOver is how often in a row known addresses come before the others, so
	// that a new address finds its way in however busy the known ones are.
	passedOver = 3
)

// turns lets few strangers compute at once. Addresses that have shown the token
// come before those that have not, which share half of the places; within each of
// the two, address after address has one turn; and within an address who has begun
// comes before who begins. Otherwise the work for a hello would be done in vain, and
// many who send nothing but hellos would hold up who goes on.
type turns struct {
	places, forUnknown int

	mu        sync.Mutex
	taken     int // by both
	byUnknown int
	passed    int // turns of known addresses in a row while others waited
	known     line
	unknown   line
}

func newTurns(places int) *turns {
	return &turns{places: places, forUnknown: max(1, places/2), known: newLine(), unknown: newLine()}
}

// waiter is one connection that waits for its turn.
type waiter struct {
	turn    chan struct{} // closed when it has come
	address netip.Addr
	element *list.Element // in its address's queue; nil when it is not there
}

// await returns the class of the turn, to be given back, or noTurn when closed was
// closed or it took too long.
func (t *turns) await(address netip.Addr, known, begun bool, closed <-chan struct{}) int32 {
	class, queue := ofUnknown, &t.unknown
	if known {
		class, queue = ofKnown, &t.known
	}
	t.mu.Lock()
	if t.free(class) { // then nobody of this class waits, as next has seen to it
		t.take(class)
		t.mu.Unlock()
		return class
	}
	w := &waiter{turn: make(chan struct{}), address: address}
	queue.push(w, begun)
	t.mu.Unlock()
	timeout := time.NewTimer(longestWait)
	defer timeout.Stop()
	select {
	case <-w.turn:
		return class
	case <-closed:
	case <-timeout.C:
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if w.element == nil { // its turn came at the same moment
		t.release(class)
	} else {
		queue.remove(w)
	}
	return noTurn
}

func (t *turns) giveBack(class int32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.release(class)
}

func (t *turns) release(class int32) {
	t.taken--
	if class == ofUnknown {
		t.byUnknown--
	}
	t.next()
}

// next gives away what is free.
func (t *turns) next() {
	for {
		known := t.known.length > 0 && t.free(ofKnown)
		unknown := t.unknown.length > 0 && t.free(ofUnknown)
		switch {
		case known && !(unknown && t.passed >= passedOver):
			if unknown {
				t.passed++
			}
			t.take(ofKnown)
			close(t.known.pop().turn)
		case unknown:
			t.passed = 0
			t.take(ofUnknown)
			close(t.unknown.pop().turn)
		default:
			return
		}
	}
}

func (t *turns) free(class int32) bool {
	return t.taken < t.places && (class == ofKnown || t.byUnknown < t.forUnknown)
}

func (t *turns) take(class int32) {
	t.taken++
	if class == ofUnknown {
		t.byUnknown++
	}
}

func (t *turns) waiting() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.known.length + t.unknown.length
}

// line has a queue for each address, and goes round.
type line struct {
	queues map[netip.Addr]*list.Element // of round
	round  list.List                    // of *list.List of *waiter; the next one first
	length int
}

func newLine() line { return line{queues: map[netip.Addr]*list.Element{}} }

func (l *line) push(w *waiter, begun bool) {
	e := l.queues[w.address]
	if e == nil {
		e = l.round.PushBack(list.New())
		l.queues[w.address] = e
	}
	if queue := e.Value.(*list.List); begun {
		w.element = queue.PushFront(w)
	} else {
		w.element = queue.PushBack(w)
	}
	l.length++
}

func (l *line) pop() *waiter {
	e := l.round.Front()
	l.round.MoveToBack(e)
	w := e.Value.(*list.List).Front().Value.(*waiter)
	l.remove(w)
	return w
}

func (l *line) remove(w *waiter) {
	e := l.queues[w.address]
	queue := e.Value.(*list.List)
	queue.Remove(w.element)
	w.element = nil
	l.length--
	if queue.Len() == 0 {
		l.round.Remove(e)
		delete(l.queues, w.address)
	}
}
