package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// closeTimeout is how long Close waits for answers that are on their way.
const closeTimeout = 10 * time.Second

// readHeaderTimeout frees connections that never send a request.
const readHeaderTimeout = 10 * time.Second

// Server is a sandbox that listens.
type Server struct {
	*Split
	URL string // http://host:port

	server *http.Server
	served chan error
	silent sync.Map // the connections that have not sent a byte yet
}

// Start makes a sandbox and serves it over plain HTTP on Options.Address.
func Start(opts Options) (*Server, error) {
	split := New(opts)
	listener, err := net.Listen("tcp", split.opts.Address)
	if err != nil {
		return nil, fmt.Errorf("start sandbox: %w", err)
	}
	s := &Server{
		Split:  split,
		URL:    "http://" + listener.Addr().String(),
		server: &http.Server{Handler: split, ReadHeaderTimeout: readHeaderTimeout},
		served: make(chan error, 1),
	}
	s.server.ConnState = s.track
	s.server.RegisterOnShutdown(s.closeSilent)
	go func() { s.served <- s.server.Serve(listener) }()
	return s, nil
}

// Close cuts the calls that are being held, lets the others finish and stops
// listening. It is called once.
func (s *Server) Close() error {
	s.Split.Close()
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := s.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.server.Close())
	}
	if served := <-s.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	if err != nil {
		return fmt.Errorf("close sandbox: %w", err)
	}
	return nil
}

// http.Transport keeps connections that it dialled and then did not need.
// Shutdown would wait five seconds for each to say something.
func (s *Server) closeSilent() {
	s.silent.Range(func(conn, _ any) bool {
		_ = conn.(net.Conn).Close() // nobody waits for it
		return true
	})
}

func (s *Server) track(conn net.Conn, state http.ConnState) {
	if state == http.StateNew {
		s.silent.Store(conn, nil)
	} else {
		s.silent.Delete(conn)
	}
}
