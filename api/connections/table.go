package connections

import (
	"container/heap"
	"container/list"
	"net/netip"
	"sync"
)

// table has every open connection, and says which one goes when another needs its
// room:
//
//  1. a stranger of an address that never showed the token: of the address that
//     has most of them, the one that has done nothing for longest, so that a flood
//     from one address displaces itself. Where several addresses have equally many
//     it is the one of all theirs that has done nothing for longest: otherwise
//     whoever comes could be the next to go, while those who sit there stay;
//  2. likewise a stranger of an address that has shown it;
//  3. a caller that has shown the token and has nothing under way, the one whose
//     last request is longest ago.
//
// A connection with a request under way that has shown the token never goes.
//
// What a stranger sends in bits and pieces does not count as doing something: only
// to have come, a finished handshake and whole request headers do.
type table struct {
	max, maxPerAddress int

	mu      sync.Mutex
	open    int
	busy    int
	greets  int    // strangers whose handshake is not over
	deeds   uint64 // what strangers have done so far; orders them over all addresses
	hosts   map[netip.Addr]*host
	crowds  crowds    // the hosts that have strangers, the worst first
	callers list.List // of *Conn: idle callers of all hosts, the longest idle first
	known   *known
}

// host is an address that has connections.
type host struct {
	address   netip.Addr
	known     bool // it has shown the token
	open      int
	strangers list.List // of *Conn, the longest idle first
	callers   list.List // of *Conn: its idle callers, the longest idle first
	rank      int       // in crowds
}

// place is a connection's part of the table.
type place struct {
	host      *host // nil: not in the table
	greeted   bool  // the handshake is over
	proven    bool
	deed      uint64        // the number of the last thing that it did as a stranger
	underWay  int           // requests that have shown the token
	inHost    *list.Element // in the host's strangers or callers; nil while busy
	inCallers *list.Element // in the table's callers
}

func newTable(most, mostPerAddress int) *table {
	return &table{max: most, maxPerAddress: mostPerAddress, hosts: map[netip.Addr]*host{}, known: newKnown()}
}

// enter takes c in. It returns the connection that has to go for it and why, c
// itself when none can.
func (t *table) enter(c *Conn) (victim *Conn, why Closing) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.hosts[c.address]
	switch {
	case t.maxPerAddress > 0 && h != nil && h.open >= t.maxPerAddress:
		victim, why = h.worst(), ForAddress
	case t.open >= t.max:
		victim, why = t.worst(), ForFull
	default:
		t.add(c)
		return nil, ""
	}
	if victim == nil {
		return c, ForBusy
	}
	t.drop(victim)
	t.add(c)
	return victim, why
}

// giveUpOne takes the one out that is worth least; nil when there is none.
func (t *table) giveUpOne() *Conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	victim := t.worst()
	if victim != nil {
		t.drop(victim)
	}
	return victim
}

// greeted says that c has its handshake behind it.
func (t *table) greeted(c *Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c.place.host != nil && !c.place.greeted {
		c.place.greeted = true
		t.greets--
		t.refresh(c)
	}
}

// touch says that c did something.
func (t *table) touch(c *Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refresh(c)
}

func (t *table) refresh(c *Conn) {
	h := c.place.host
	if h == nil || c.place.inHost == nil {
		return
	}
	if c.place.proven {
		h.callers.MoveToBack(c.place.inHost)
		t.callers.MoveToBack(c.place.inCallers)
		return
	}
	h.strangers.MoveToBack(c.place.inHost)
	c.place.deed = t.nextDeed()
	t.rerank(h)
}

func (t *table) nextDeed() uint64 {
	t.deeds++
	return t.deeds
}

// prove says that a request of c has shown the token; false when c is not in the
// table any more.
func (t *table) prove(c *Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := c.place.host
	if h == nil {
		return false
	}
	t.known.add(h.address)
	h.known = true
	t.unlist(c) // which ranks the host anew where it was not known before
	c.place.proven = true
	c.place.underWay++
	if c.place.underWay == 1 {
		t.busy++
	}
	return true
}

// done ends what prove began.
func (t *table) done(c *Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c.place.underWay--
	if c.place.underWay > 0 || c.place.host == nil {
		return
	}
	t.busy--
	c.place.inHost = c.place.host.callers.PushBack(c)
	c.place.inCallers = t.callers.PushBack(c)
}

// remove takes out what has been closed.
func (t *table) remove(c *Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c.place.host != nil {
		t.drop(c)
	}
}

// isKnown reports whether the address of c has shown the token.
func (t *table) isKnown(c *Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return c.place.host != nil && c.place.host.known
}

// handshaking lists those whose handshake is not over.
func (t *table) handshaking() (all []*Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, h := range t.hosts {
		for e := h.strangers.Front(); e != nil; e = e.Next() {
			if c := e.Value.(*Conn); !c.place.greeted {
				all = append(all, c)
			}
		}
	}
	return all
}

// Census counts the open connections by what they do.
type Census struct {
	Handshaking int
	Strangers   int // that have not shown the token
	Idle        int // callers with nothing under way
	Busy        int // callers with a request under way
}

func (t *table) census() Census {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := Census{Handshaking: t.greets, Idle: t.callers.Len(), Busy: t.busy}
	c.Strangers = t.open - c.Handshaking - c.Idle - c.Busy
	return c
}

func (t *table) add(c *Conn) {
	h := t.hosts[c.address]
	if h == nil {
		h = &host{address: c.address, known: t.known.has(c.address), rank: unranked}
		t.hosts[c.address] = h
	}
	t.open++
	t.greets++
	h.open++
	c.place = place{host: h, inHost: h.strangers.PushBack(c), deed: t.nextDeed()}
	t.rerank(h)
}

func (t *table) drop(c *Conn) {
	h := c.place.host
	t.unlist(c)
	if !c.place.greeted {
		t.greets--
	}
	if c.place.underWay > 0 {
		t.busy--
	}
	t.open--
	h.open--
	c.place.host = nil
	if h.open == 0 {
		delete(t.hosts, h.address)
	}
}

// unlist takes c out of those that may be let go.
func (t *table) unlist(c *Conn) {
	if c.place.inHost == nil {
		return
	}
	h := c.place.host
	if c.place.proven {
		h.callers.Remove(c.place.inHost)
		t.callers.Remove(c.place.inCallers)
	} else {
		h.strangers.Remove(c.place.inHost)
		t.rerank(h)
	}
	c.place.inHost, c.place.inCallers = nil, nil
}

func (t *table) worst() *Conn {
	if len(t.crowds) > 0 {
		return t.crowds[0].worst()
	}
	return first(&t.callers)
}

func (h *host) worst() *Conn {
	if c := first(&h.strangers); c != nil {
		return c
	}
	return first(&h.callers)
}

func first(l *list.List) *Conn {
	if e := l.Front(); e != nil {
		return e.Value.(*Conn)
	}
	return nil
}

func (t *table) rerank(h *host) {
	switch here := h.strangers.Len() > 0; {
	case here && h.rank == unranked:
		heap.Push(&t.crowds, h)
	case here:
		heap.Fix(&t.crowds, h.rank)
	case h.rank != unranked:
		heap.Remove(&t.crowds, h.rank)
	}
}

// crowds is a heap: the host whose stranger goes next is its first.
type crowds []*host

const unranked = -1

func (c crowds) Len() int { return len(c) }

func (c crowds) Less(i, j int) bool {
	if c[i].known != c[j].known {
		return c[j].known
	}
	if n, m := c[i].strangers.Len(), c[j].strangers.Len(); n != m {
		return n > m
	}
	return first(&c[i].strangers).place.deed < first(&c[j].strangers).place.deed
}

func (c crowds) Swap(i, j int) {
	c[i], c[j] = c[j], c[i]
	c[i].rank, c[j].rank = i, j
}

func (c *crowds) Push(h any) {
	h.(*host).rank = len(*c)
	*c = append(*c, h.(*host))
}

func (c *crowds) Pop() any {
	last := len(*c) - 1
	h := (*c)[last]
	(*c)[last] = nil
	*c = (*c)[:last]
	h.rank = unranked
	return h
}
