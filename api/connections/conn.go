package connections

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Conn is one connection, as the gate sees it.
//
//	accepted --handshake--> stranger --Prove--> busy <--Prove, Done--> idle caller
//
// It leaves each of these states but busy when another needs its room.
type Conn struct {
	net.Conn
	gate      *Gate
	address   netip.Addr // what connections are counted by
	place     place      // in the table, which alone touches it
	proven    atomic.Bool
	turn      atomic.Int32 // the class of the turn in hand, noTurn for none
	turns     atomic.Int32 // how many it has had
	asked     atomic.Int32 // requests that have come
	answering atomic.Int32 // requests that have shown the token and are not answered yet
	closed    chan struct{}
	once      sync.Once

	resting resting
	unheard atomic.Bool // a request has begun, and no handler has got it yet
	letGo   atomic.Bool // for want of room or of a turn

	hello *hello // of the handshake's goroutine alone; nil when that is over
}

func newConn(inner net.Conn, g *Gate) *Conn {
	return &Conn{Conn: inner, gate: g, address: countedBy(inner.RemoteAddr()), closed: make(chan struct{}), hello: new(hello)}
}

// countedBy is the address without its port. Of an IPv6 address it is the /64,
// as that is what one customer of a network has at least. What has no address,
// as a pipe, counts as one.
func countedBy(remote net.Addr) netip.Addr {
	tcp, ok := remote.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	address := tcp.AddrPort().Addr().Unmap().WithZone("")
	if address.Is4() {
		return address
	}
	prefix, err := address.Prefix(64)
	if err != nil {
		return address
	}
	return prefix.Addr()
}

// resting ends a connection that has had no request for a while. An http.Server can do
// that itself; but over HTTP/2 it starts the timer of a connection that was closed with
// requests open once more, and so keeps all of the connection in memory for as long:
// those who come, ask and go would fill it.
type resting struct {
	mu    sync.Mutex
	timer *time.Timer
	ended bool
}

func (r *resting) begin(d time.Duration, end func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.ended:
	case r.timer == nil:
		r.timer = time.AfterFunc(d, end)
	default:
		r.timer.Reset(d)
	}
}

func (r *resting) interrupt() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stop()
}

// end is for good.
func (r *resting) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stop()
	r.ended = true
}

func (r *resting) stop() {
	if r.timer != nil {
		r.timer.Stop()
	}
}

// Watch is for http.Server.ConnState. It closes a connection that has had no request
// for idle long. It tells unheard, which must not wait, of a connection that ends with
// a request that no handler got: net/http answers those that are not whole, not HTTP,
// too slow or too large in their headers by itself or not at all, and tells nobody.
func Watch(idle time.Duration, unheard func(remote net.Addr)) func(net.Conn, http.ConnState) {
	return func(conn net.Conn, state http.ConnState) {
		c := under(conn)
		if c == nil {
			return
		}
		if state == http.StateIdle {
			c.resting.begin(idle, c.end)
		} else {
			c.resting.interrupt()
		}
		if state == http.StateClosed && c.unheard.Load() && !c.letGo.Load() {
			unheard(c.RemoteAddr())
		}
		c.unheard.Store(state == http.StateActive)
	}
}

// under is the gate's connection below TLS; nil: it came through no gate.
func under(conn net.Conn) *Conn {
	switch t := conn.(type) {
	case overTLS:
		return t.below
	case *tls.Conn:
		conn = t.NetConn()
	}
	c, _ := conn.(*Conn)
	return c
}

type contextKey struct{}

// WithConn is for http.Server.ConnContext: it lets From find the connection.
func WithConn(ctx context.Context, conn net.Conn) context.Context {
	if c := under(conn); c != nil {
		return context.WithValue(ctx, contextKey{}, c)
	}
	return ctx
}

// From is the connection that a request came by; nil for one that came through no
// gate, on which all methods below do nothing.
func From(ctx context.Context) *Conn {
	c, _ := ctx.Value(contextKey{}).(*Conn)
	return c
}

// Touch says that a request has come, which makes the connection the last of its
// kind to be let go.
func (c *Conn) Touch() {
	if c != nil {
		c.unheard.Store(false)
		c.gate.table.touch(c)
	}
}

// enough requests of a stranger on one connection: a probe that keeps its connection
// does not mind to make a new one now and then.
const enough = 20

// Outstayed counts a request, and reports whether the connection should end with its
// answer, as it has had enough of them without the token. What a request costs is
// done outside of turns for the most part, so that who asks on and on would take more
// than the part of strangers; a new connection begins with a handshake in its turn.
func (c *Conn) Outstayed() bool {
	return c.IsStranger() && c.asked.Add(1) >= enough
}

// IsStranger reports whether no request of the connection has shown the token yet.
func (c *Conn) IsStranger() bool { return c != nil && c.gate.tls != nil && !c.proven.Load() }

// Prove says that a request has shown the token, and is under way until Done. It
// returns false when the connection was let go before, so that nobody would
// receive an answer: nothing must be done for the request then.
func (c *Conn) Prove() bool {
	if c == nil {
		return true
	}
	if !c.gate.table.prove(c) {
		return false
	}
	c.proven.Store(true)
	c.answering.Add(1)
	c.giveTurnBack()
	return true
}

// Done ends what Prove began.
func (c *Conn) Done() {
	if c != nil {
		c.answering.Add(-1)
		c.gate.table.done(c)
	}
}

// Read gives a stranger what he sent when it is his turn to compute. The turn ends
// with his next read or write, so that nobody keeps one while he waits for the
// network.
func (c *Conn) Read(p []byte) (int, error) {
	c.giveTurnBack()
	n, err := c.Conn.Read(p)
	if n == 0 || c.gate.tls == nil || c.proven.Load() {
		return n, err
	}
	if c.hello != nil {
		c.hello.add(p[:n])
	}
	if !c.awaitTurn() {
		c.noteNoTurn()
		return 0, os.ErrDeadlineExceeded
	}
	return n, err
}

func (c *Conn) Write(p []byte) (int, error) {
	c.giveTurnBack()
	return c.Conn.Write(p)
}

// CloseWrite lets net/http say the last word and wait for the other side's end,
// where the inner connection can.
func (c *Conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// end is Close for a timer.
func (c *Conn) end() { _ = c.Close() }

// Close may be called more than once.
func (c *Conn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.resting.end()
		c.giveTurnBack()
		c.gate.table.remove(c)
	})
	return c.Conn.Close()
}

// reset closes without the courtesies of TCP. It is for strangers: otherwise they could
// leave what is on its way to them in the system's memory for minutes.
func (c *Conn) reset() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // it is closed either way
	}
	_ = c.Close()
}

// turnsOfOnePost is how many turns a caller needs at most from its hello until it
// has shown the token: for the hello, what ends the handshake, and a request that
// comes in pieces.
const turnsOfOnePost = 5

// hasBegun goes by the number of turns that were had.
func hasBegun(turns int32) bool { return turns > 0 && turns < turnsOfOnePost }

// awaitTurn returns false when the connection ends, or waits too long.
func (c *Conn) awaitTurn() bool {
	begun := hasBegun(c.turns.Add(1) - 1)
	class := c.gate.turns.await(c.address, c.gate.table.isKnown(c), begun, c.closed)
	c.turn.Store(class)
	select {
	case <-c.closed: // Close may have looked for the turn before it was there
		c.giveTurnBack()
		return false
	default:
		return class != noTurn
	}
}

// noteNoTurn tells of a request that waited in vain. A handshake that did so fails, and
// is told of as such.
func (c *Conn) noteNoTurn() {
	select {
	case <-c.closed:
	default:
		if c.hello == nil {
			c.gate.noteLetGo(c, ForTurn)
		}
	}
}

func (c *Conn) giveTurnBack() {
	if class := c.turn.Swap(noTurn); class != noTurn {
		c.gate.turns.giveBack(class)
	}
}
