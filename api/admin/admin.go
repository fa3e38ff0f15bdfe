// Package admin is the operator's side of the relay: a plain HTTP server on an
// address of its own, by default one that only this machine reaches. It serves
// what orchestrators and Prometheus ask for; pages for people belong here too.
package admin

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"

	"audiences/api/connections"
	"audiences/status"
)

// Options say what a Server shows.
type Options struct {
	// Ready returns nil when changes are taken, and otherwise the reason why not,
	// which /readyz shows. It is asked on every request and must not block. nil: always
	// ready.
	Ready func() error
	// Gatherer is what /metrics shows. nil: nothing.
	Gatherer prometheus.Gatherer
	// Status is what the JSON API tells of; nil: there is no JSON API.
	Status func(context.Context) ([]status.Tenant, error)
	// MaxConnections is how many connections may be open at once; beyond it the
	// one whose last request is longest ago is let go. 0: 64.
	MaxConnections int
	Logger         zerolog.Logger
	Registerer     prometheus.Registerer // nil: metrics are kept and not registered
}

// Server serves /livez, /readyz and /metrics.
type Server struct {
	options Options
	gate    *connections.Gate
	http    *http.Server
}

// New returns a server that is ready to Serve.
func New(options Options) *Server {
	if options.Ready == nil {
		options.Ready = func() error { return nil }
	}
	if options.Gatherer == nil {
		options.Gatherer = prometheus.NewRegistry()
	}
	s := &Server{options: options}
	s.gate = connections.NewGate(connections.Options{
		Max: cmp.Or(options.MaxConnections, 64), Port: "admin", Registerer: options.Registerer,
		AcceptFailed: func(err error) { options.Logger.Debug().Err(err).Msg("cannot accept an admin connection") }})
	s.http = &http.Server{
		Handler:           touching(guarded(s.routes())),
		ConnContext:       connections.WithConn,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       75 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          log.New(warnings{options.Logger}, "", 0),
	}
	return s
}

// touching tells the gate that a request has come.
func touching(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connections.From(r.Context()).Touch()
		next.ServeHTTP(w, r)
	})
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", s.livez)
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.options.Gatherer, promhttp.HandlerOpts{}))
	if s.options.Status != nil {
		mux.HandleFunc("GET "+apiPath+"/summary", s.summary)
		mux.HandleFunc("GET "+apiPath+"/tenants", s.listTenants)
		mux.HandleFunc("GET "+apiPath+"/segments", s.listSegments)
	}
	return mux
}

// livez says that the process lives; a restart would help against nothing that
// it could look at here.
func (s *Server) livez(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "alive") }

func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	if err := s.options.Ready(); err != nil {
		answer(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	answer(w, http.StatusOK, "ready")
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // fails only when the caller has gone
}

// Serve answers requests on the listener until Shutdown; it then returns nil.
// The listener is closed on return.
func (s *Server) Serve(listener net.Listener) error {
	if err := s.http.Serve(s.gate.Listen(listener)); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve admin requests: %w", err)
	}
	return nil
}

// Shutdown stops listening and waits for the requests under way; when ctx ends
// first, their connections are cut.
func (s *Server) Shutdown(ctx context.Context) error {
	if err := s.http.Shutdown(ctx); err != nil {
		_ = s.http.Close() // the first error is the one that tells what happened
		return fmt.Errorf("finish admin requests: %w", err)
	}
	return nil
}

// warnings takes the http.Server's own log lines, but for a panic's value, which
// nobody chose to print (I7).
type warnings struct{ logger zerolog.Logger }

func (w warnings) Write(line []byte) (int, error) {
	cause := bytes.TrimSpace(line[:min(len(line), 300)])
	if bytes.Contains(cause, []byte("panic serving")) {
		cause = []byte("BUG: a request's handling panicked")
	}
	w.logger.Warn().Bytes("cause", cause).Msg("admin server")
	return len(line), nil
}
