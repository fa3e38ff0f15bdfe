package sandbox

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// Pipe serves a sandbox over net.Pipe with a real http.Server, so that hanging,
// cut and timed-out calls behave as on a wire, and still everything stays in
// memory: it works in a testing/synctest bubble. It is an http.RoundTripper
// that takes a request for any host.
type Pipe struct {
	transport http.Transport
	server    http.Server
	accept    chan net.Conn
	closed    chan struct{}
	once      sync.Once
	open      sync.WaitGroup // the server's accept loop and connections
}

// idleConnections saves the dials of a relay that talks about many segments at once.
const idleConnections = 100

// Pipe starts serving. Close it before the bubble or the test ends.
func (s *Split) Pipe() *Pipe {
	p := &Pipe{accept: make(chan net.Conn), closed: make(chan struct{})}
	p.transport.DialContext = p.DialContext
	p.transport.MaxIdleConnsPerHost = idleConnections
	p.server.Handler = s
	p.server.ConnState = p.track
	p.open.Go(func() { _ = p.server.Serve(pipeListener{p}) }) // ends with Close and has nothing else to report
	return p
}

// Client returns a client of the sandbox without a timeout of its own.
func (p *Pipe) Client() *http.Client { return &http.Client{Transport: p} }

// RoundTrip makes one call over the pipe, also for https URLs of Split.
func (p *Pipe) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "http" {
		r = r.Clone(r.Context())
		r.URL.Scheme = "http"
	}
	return p.transport.RoundTrip(r)
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach the pipe.
func (p *Pipe) CloseIdleConnections() { p.transport.CloseIdleConnections() }

// DialContext opens a connection to the sandbox, whatever the address, for
// callers with a transport of their own.
func (p *Pipe) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.accept <- server:
		return client, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Close cuts the calls under way; no goroutine is left when it returns.
func (p *Pipe) Close() {
	p.once.Do(func() { close(p.closed) })
	p.transport.CloseIdleConnections()
	_ = p.server.Close() // its error is the listener's, which has none
	p.open.Wait()
}

func (p *Pipe) track(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		p.open.Add(1)
	case http.StateClosed, http.StateHijacked:
		p.open.Done()
	}
}

// pipeListener is the server's side of a Pipe.
type pipeListener struct{ *Pipe }

func (l pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.accept:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l pipeListener) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }
