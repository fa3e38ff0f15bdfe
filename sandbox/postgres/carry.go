package postgres

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"time"
)

// direction is one of the two of a connection.
type direction int

const (
	toDatabase direction = iota
	toRelay
)

func (d direction) back() direction { return 1 - d }

// connection is one through the proxy. Two goroutines carry each of its directions: one
// reads and the other one writes when the time has come. They end when it is closed.
type connection struct {
	proxy  *Proxy
	closed context.Context
	close  context.CancelFunc
	queues [2]chan parcel  // what is on its way, by direction
	ends   [2]*net.TCPConn // by the direction that leads there; written before the goroutines start

	// Guarded by proxy.mu.
	lost     [2]bool // something vanished, and so does all that comes after it
	finished [2]bool // the end was handed over
}

// parcel is what travels: bytes, or the end of the direction where there are none.
type parcel struct {
	due   time.Time
	bytes []byte
	end   error // io.EOF in order; anything else breaks the connection
}

func newConnection(p *Proxy, relay *net.TCPConn) *connection {
	const roomy = 1024 // parcels on their way, before the sender has to wait
	c := &connection{proxy: p, queues: [2]chan parcel{make(chan parcel, roomy), make(chan parcel, roomy)}}
	c.ends[toRelay] = relay
	c.closed, c.close = context.WithCancel(context.Background())
	return c
}

// connect reaches the database and begins to carry.
func (c *connection) connect(target string) {
	var dialer net.Dialer
	database, err := dialer.DialContext(c.closed, "tcp", target)
	p := c.proxy
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case c.closed.Err() != nil:
		if err == nil {
			_ = database.Close()
		}
	case err != nil && p.silent[toRelay]:
		c.lost[toRelay] = true
	case err != nil:
		c.reset()
	default:
		c.ends[toDatabase] = database.(*net.TCPConn)
		for _, d := range []direction{toDatabase, toRelay} {
			p.running.Go(func() { c.read(d) })
			p.running.Go(func() { c.write(d) })
		}
	}
}

// read takes what comes from one end and puts it on its way.
func (c *connection) read(d direction) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := c.ends[d.back()].Read(buffer)
		if n > 0 {
			c.send(d, parcel{bytes: bytes.Clone(buffer[:n])})
		}
		if err != nil {
			c.send(d, parcel{end: err})
			return
		}
	}
}

// send puts something on its way. It waits while too much is.
func (c *connection) send(d direction, what parcel) {
	c.proxy.mu.Lock()
	what.due = time.Now().Add(c.proxy.delay)
	c.proxy.mu.Unlock()
	select {
	case c.queues[d] <- what:
	case <-c.closed.Done():
	}
}

// write hands over what has been on its way for long enough.
func (c *connection) write(d direction) {
	for {
		var what parcel
		select {
		case what = <-c.queues[d]:
		case <-c.closed.Done():
			return
		}
		if early := time.Until(what.due); early > 0 {
			select {
			case <-time.After(early):
			case <-c.closed.Done():
				return
			}
		}
		if !c.passes(d, what.end) {
			continue
		}
		if _, err := c.ends[d].Write(what.bytes); err != nil {
			c.send(d.back(), parcel{end: err}) // whoever is there has gone
			return
		}
	}
}

// passes decides whether something arrives, at the moment when it would. The end of a
// direction is handed over here; bytes are not, as that may take its time.
func (c *connection) passes(d direction, end error) bool {
	c.proxy.mu.Lock()
	defer c.proxy.mu.Unlock()
	c.lost[d] = c.lost[d] || c.proxy.silent[d]
	switch {
	case c.lost[d]:
		return false
	case end == nil:
		return true
	case !errors.Is(end, io.EOF):
		c.reset()
		return false
	}
	c.finished[d] = true
	_ = c.ends[d].CloseWrite() // fails where the other side has gone, which its own direction tells
	if c.finished[d.back()] {
		c.release()
	}
	return false
}

// reset breaks the connection for both sides. The caller holds proxy.mu.
func (c *connection) reset() {
	for _, end := range c.ends {
		if end != nil {
			_ = end.SetLinger(0) // so that closing resets
		}
	}
	c.release()
}

// release closes what is left of the connection. The caller holds proxy.mu.
func (c *connection) release() {
	c.close()
	delete(c.proxy.connections, c)
	for _, end := range c.ends {
		if end != nil {
			_ = end.Close()
		}
	}
}
