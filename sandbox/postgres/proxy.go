package postgres

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"
)

// Proxy is the network between a relay and its database, on the loopback. Its methods
// may be called by several goroutines.
//
// The handshake of a connection is the proxy's own: where nobody listens at the target,
// a connection is taken and then reset.
type Proxy struct {
	port    int
	running sync.WaitGroup // its goroutines

	mu          sync.Mutex
	listener    net.Listener // nil while it is cut, and after Close
	target      string
	delay       time.Duration
	silent      [2]bool // by direction
	closed      bool
	connections map[*connection]bool // those that are open
}

// NewProxy listens, and connects whoever comes to the target, which is host:port.
func NewProxy(target string) (*Proxy, error) {
	port, err := takePort()
	if err != nil {
		return nil, fmt.Errorf("start a proxy: %w", err)
	}
	p := &Proxy{port: port, target: target, connections: map[*connection]bool{}}
	if err := p.Mend(); err != nil {
		givePortBack(port)
		return nil, fmt.Errorf("start a proxy: %w", err)
	}
	return p, nil
}

// Addr is where the proxy listens: host:port. It stays the same.
func (p *Proxy) Addr() string { return loopback(p.port) }

// URL is a server's URL with the way through the proxy. It panics on what is no URL.
func (p *Proxy) URL(serverURL string) string {
	u, err := url.Parse(serverURL)
	if err != nil {
		panic(fmt.Sprint("postgres: ", err))
	}
	u.Host = p.Addr()
	return u.String()
}

// Delay has the bytes of either direction, and the ends of connections, arrive so much
// later, in their order. It holds for those that come from now on; zero ends it.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Cut resets all connections and refuses new ones.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut()
}

func (p *Proxy) cut() {
	if p.listener != nil {
		_ = p.listener.Close()
		p.listener = nil
	}
	p.resetAll()
}

// Silence has all vanish that goes in these directions, the ends of connections too, as
// a network partition does. Nobody is told: connections stay open. New ones are taken,
// but do not reach the database, as each direction is needed for that.
//
// A connection that lost something has a gap, after which nothing passes any more. Mend
// resets it. One that lost nothing goes on when the silence ends.
func (p *Proxy) Silence(towardsDatabase, towardsRelay bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = [2]bool{toDatabase: towardsDatabase, toRelay: towardsRelay}
}

// Mend ends Cut and Silence, but no Delay. It fails where somebody else took the port
// meanwhile, and after Close.
func (p *Proxy) Mend() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return net.ErrClosed
	}
	p.silent = [2]bool{}
	for c := range p.connections {
		if c.lost[toDatabase] || c.lost[toRelay] {
			c.reset()
		}
	}
	if p.listener != nil {
		return nil
	}
	listener, err := net.Listen("tcp", p.Addr())
	if err != nil {
		return err
	}
	p.listener = listener
	p.running.Go(func() { p.accept(listener) })
	return nil
}

// CloseAll resets all connections, and takes new ones.
func (p *Proxy) CloseAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.resetAll()
}

func (p *Proxy) resetAll() {
	for c := range p.connections {
		c.reset()
	}
}

// Retarget has new connections lead to another server. Those that are open stay.
func (p *Proxy) Retarget(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

// Connections is how many are open towards relays.
func (p *Proxy) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.connections)
}

// Close cuts for good, and waits until nothing of the proxy runs.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.cut()
	if !p.closed {
		p.closed = true
		givePortBack(p.port)
	}
	p.mu.Unlock()
	p.running.Wait()
}

// accept takes connections until the listener is closed.
func (p *Proxy) accept(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // such as too many open files, which passes
			time.Sleep(10 * time.Millisecond)
			continue
		}
		p.take(conn.(*net.TCPConn), listener)
	}
}

// take connects somebody who was accepted, unless the proxy was cut meanwhile.
func (p *Proxy) take(relay *net.TCPConn, listener net.Listener) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := newConnection(p, relay)
	if p.listener != listener {
		c.reset()
		return
	}
	p.connections[c] = true
	if p.silent[toDatabase] || p.silent[toRelay] {
		c.lost = [2]bool{true, true}
		return
	}
	target := p.target
	p.running.Go(func() { c.connect(target) })
}
