package connections

import (
	"crypto/tls"
	"errors"
	"net"
	"syscall"
	"time"
)

// What accept waits after a failure: longer each time, as net/http does.
const (
	leastPause   = 5 * time.Millisecond
	longestPause = time.Second
)

// acceptAll lets in whoever comes until the listener is closed or broken.
func (l *listener) acceptAll() {
	pause := leastPause
	for {
		inner, err := l.Listener.Accept()
		if err == nil {
			pause = leastPause
			l.letIn(inner)
			continue
		}
		if broken(err) {
			l.failed <- err
			return
		}
		l.gate.metrics.accept.Inc()
		l.gate.options.AcceptFailed(err)
		if outOfDescriptors(err) {
			l.gate.makeRoom()
		}
		select {
		case <-time.After(pause):
		case <-l.closed:
			return
		}
		pause = min(2*pause, longestPause)
	}
}

// broken tells a listener that will never accept again from everything else that
// accept reports: a connection that was gone before it was accepted, a network
// that is down, descriptors or memory that are short (accept(2)). To end the
// process for one of these would let a stranger end it.
func broken(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.EBADF) ||
		errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSOCK)
}

func outOfDescriptors(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// makeRoom is for the case that the gate is not full and descriptors are: their
// number was lowered, or something else took them.
func (g *Gate) makeRoom() {
	if victim := g.table.giveUpOne(); victim != nil {
		g.letGo(victim, ForDescriptors)
	}
}

func (l *listener) letIn(inner net.Conn) {
	c := newConn(inner, l.gate)
	victim, full := l.gate.table.enter(c)
	if victim == c {
		l.gate.noteLetGo(c, ForBusy)
		c.reset()
		return
	}
	if victim != nil {
		l.gate.letGo(victim, full)
	}
	l.running.Go(func() { l.greet(c) })
}

// letGo closes a connection that the table has given up.
func (g *Gate) letGo(victim *Conn, why Closing) {
	g.noteLetGo(victim, why)
	if victim.proven.Load() {
		_ = victim.Close() // whatever it says, the connection is gone
		return
	}
	victim.reset()
}

func (g *Gate) noteLetGo(c *Conn, why Closing) {
	c.letGo.Store(true)
	g.metrics.closed.WithLabelValues(string(why)).Inc()
	g.options.LetGo(c.RemoteAddr(), why)
}

// greet makes the handshake and hands the connection on.
func (l *listener) greet(c *Conn) {
	conn, err := l.gate.handshake(c)
	if err != nil {
		l.gate.noteFailure(c, err)
		_ = c.Close() // the handshake's error is the one that counts
		return
	}
	c.hello = nil
	c.giveTurnBack()
	l.gate.table.greeted(c)
	select {
	case l.ready <- conn:
	case <-l.closed:
		_ = c.Close()
	}
}

// handshake returns what the http.Server is to read from.
func (g *Gate) handshake(c *Conn) (net.Conn, error) {
	if g.tls == nil {
		return c, nil
	}
	if err := c.SetDeadline(time.Now().Add(g.options.HandshakeTimeout)); err != nil {
		return nil, err
	}
	conn := tls.Server(c, g.tls)
	if err := conn.Handshake(); err != nil {
		return nil, err
	}
	if conn.ConnectionState().NegotiatedProtocol == "h2" {
		return conn, c.SetDeadline(time.Time{}) // net/http speaks it over a *tls.Conn only
	}
	return overTLS{conn, c}, c.SetDeadline(time.Time{})
}
