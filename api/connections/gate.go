// Package connections keeps what a port has to give from being taken by
// strangers, which are all who have not shown the token. What they could take is
// descriptors, memory and processor time, each of which the journal and the calls
// to Split need as well.
//
// A [Gate] has so many connections open and no more. Whoever comes when it is full
// is let in all the same, and the connection that is worth least goes: table.go
// says which. So nobody who can prove himself is kept out by those who sit there.
//
// A stranger's connection computes, in its handshake and between two reads, with
// one of few places in its hand: turns.go. So any number of them takes no more
// than its part of the processors.
//
// The goroutines: one for each listener, which accepts; one for each connection
// until its handshake is over. The http.Server has a connection after that.
package connections

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Options of a Gate. All zero values mean something.
type Options struct {
	// Max is how many connections may be open at once. 0: 4096.
	Max int
	// MaxPerAddress is the same for one address, or for the /64 of an IPv6
	// address. 0: no limit of its own; many callers can share one address behind
	// a NAT.
	MaxPerAddress int
	// TLS is what connections are made with; of TLS 1.2 it speaks the suites with
	// forward secrecy that are no CBC. nil: without TLS, and strangers compute without
	// places.
	TLS *tls.Config
	// ClientCAs are the authorities of which each client must show a certificate. It
	// is asked at every handshake and must not wait. nil, or a nil pool: no client
	// needs one.
	ClientCAs func() *x509.CertPool
	// HandshakeTimeout is how long a connection may take from its accept to the
	// end of its TLS handshake. 0: 5 s.
	HandshakeTimeout time.Duration
	// Places is how many strangers may compute at once. 0: GOMAXPROCS. Those
	// from addresses that never showed the token share at most half of them.
	Places int
	// Failed is told of each handshake that failed, and why. nil: nobody is.
	Failed func(remote net.Addr, why Failure, err error)
	// LetGo is told of each connection that was closed for want of room or of a
	// turn. It must not wait. nil: nobody is.
	LetGo func(remote net.Addr, why Closing)
	// AcceptFailed is told of each connection that could not be accepted. nil:
	// nobody is.
	AcceptFailed func(error)
	// Port is the metrics' label.
	Port       string
	Registerer prometheus.Registerer // nil: metrics are kept and not registered
}

func (o Options) withDefaults() Options {
	if o.Max == 0 {
		o.Max = 4096
	}
	if o.HandshakeTimeout == 0 {
		o.HandshakeTimeout = 5 * time.Second
	}
	if o.Places == 0 {
		o.Places = runtime.GOMAXPROCS(0)
	}
	if o.Failed == nil {
		o.Failed = func(net.Addr, Failure, error) {}
	}
	if o.LetGo == nil {
		o.LetGo = func(net.Addr, Closing) {}
	}
	if o.AcceptFailed == nil {
		o.AcceptFailed = func(error) {}
	}
	return o
}

// suites of TLS 1.2, all with authenticated encryption. Package crypto/tls would also take
// CBC, whose padding has been attacked again and again. Java 8 and all versions of node have
// these. TLS 1.3 has no others.
var suites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// Gate bounds the connections of one port.
type Gate struct {
	options Options
	tls     *tls.Config
	table   *table
	turns   *turns
	metrics *metrics
}

// NewGate returns a Gate that is ready to Listen.
func NewGate(options Options) *Gate {
	options = options.withDefaults()
	g := &Gate{options: options, table: newTable(options.Max, options.MaxPerAddress), turns: newTurns(options.Places)}
	g.metrics = newMetrics(g)
	if options.TLS != nil {
		g.tls = options.TLS.Clone()
		g.tls.CipherSuites = suites
		g.tls.GetConfigForClient = noteHello(g.clientAuth)
	}
	return g
}

// clientAuth is nil, which means the gate's own, where a client needs no certificate.
// A session is not resumed where it does: its authority may have been taken away since.
func (g *Gate) clientAuth(*tls.ClientHelloInfo) (*tls.Config, error) {
	if g.options.ClientCAs == nil {
		return nil, nil
	}
	authorities := g.options.ClientCAs()
	if authorities == nil {
		return nil, nil
	}
	config := g.tls.Clone()
	config.ClientAuth, config.ClientCAs, config.SessionTicketsDisabled = tls.RequireAndVerifyClientCert, authorities, true
	return config, nil
}

// Census counts the connections that are open now.
func (g *Gate) Census() Census { return g.table.census() }

// Listen returns a listener whose connections have been let in through the gate,
// with their TLS handshake behind them. Closing it closes inner, and the
// connections that Accept has not returned yet.
func (g *Gate) Listen(inner net.Listener) net.Listener {
	l := &listener{Listener: inner, gate: g, ready: make(chan net.Conn), closed: make(chan struct{}), failed: make(chan error, 1)}
	l.running.Go(l.acceptAll)
	return l
}

// listener hands on connections whose handshake is over.
type listener struct {
	net.Listener
	gate    *Gate
	ready   chan net.Conn
	closed  chan struct{}
	once    sync.Once
	failed  chan error // why nothing more is accepted
	running sync.WaitGroup
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.ready:
		return conn, nil
	case err := <-l.failed:
		return nil, err
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close returns when the goroutines of this listener have ended.
func (l *listener) Close() error {
	err := net.ErrClosed
	l.once.Do(func() {
		close(l.closed)
		err = l.Listener.Close()
		for _, c := range l.gate.table.handshaking() {
			_ = c.Close()
		}
	})
	l.running.Wait()
	return err
}
