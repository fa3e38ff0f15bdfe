// Package admin is the operator's side of the relay: a server on an address of its
// own, by default one that only this machine reaches. It serves what orchestrators and
// Prometheus ask for to everybody, and all else through the guard of package access.
package admin

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"

	"audiences/api/admin/access"
	"audiences/api/admin/dashboard"
	"audiences/api/admin/series"
	"audiences/api/connections"
	"audiences/status"
)

// Options say what a Server shows.
type Options struct {
	// Checks are what has to be right for changes to be taken; /readyz shows the first
	// that is not. None: always ready.
	Checks []Check
	// Gatherer is what /metrics shows. nil: nothing.
	Gatherer prometheus.Gatherer
	// Relay is what the JSON API tells of and acts on. nil: there is no JSON API.
	Relay Relay
	// Own is what the metrics count, where Relay tells of several nodes: each counts its
	// own. nil: Relay.
	Own Relay
	// Nodes are the nodes that share the journal. nil: there is only this one.
	Nodes func(context.Context) ([]status.Node, error)
	// Tokens are those of the callers, with their last uses. nil: none are told.
	Tokens func() []status.Token
	// Names are what people call tenants, by their fingerprints.
	Names map[string]string
	// Reload has the relay read its configuration again. It answers *status.ConfigurationFault
	// where that has a fault, and all stays as it was. nil: it cannot.
	Reload func(ctx context.Context, who string) (status.Reload, error)
	// Troubles are sentences that the verdict begins with: what an operator has to see to and
	// the relay's tenants do not show. nil: there are none.
	Troubles func() []string
	// SplitURL is how /health/dependencies names Split. "": Split.
	SplitURL string
	// Access says who may do more than ask for probes and metrics. Zero: nobody. Its
	// TLS and Logger are those of the server.
	Access access.Options
	// ClosedMetrics shows /metrics to viewers alone. false: to everybody.
	ClosedMetrics bool
	// FlushInterval is how long keys are gathered, for what counts as fresh.
	FlushInterval time.Duration
	// Version is what the page says of the program. "": nothing.
	Version string
	// Profiles serves the profiles of the process to operators.
	Profiles bool
	// GetCertificate is what the server presents to a client; it is asked at every
	// handshake and must not wait. nil: plain HTTP.
	GetCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// MinTLS is the least version of TLS that is spoken. 0: TLS 1.2.
	MinTLS uint16
	// MaxConnections is how many connections may be open at once; beyond it the
	// one whose last request is longest ago is let go. 0: 64.
	MaxConnections int
	Logger         zerolog.Logger
	Registerer     prometheus.Registerer // nil: metrics are kept and not registered
}

// Server serves probes and metrics, health, the login, the page, the JSON API, and profiles.
type Server struct {
	options  Options
	changing atomic.Pointer[Changing] // what Options said of these at first
	access   *access.Guard
	gate     *connections.Gate
	http     *http.Server

	snapshots snapshots
	since     healthySince
	series    series.Ring
	liveText  liveText
	stopping  chan struct{} // closed by Shutdown, for the streams
	stop      func()
}

// New returns a server that is ready to Serve.
func New(options Options) *Server {
	if options.Gatherer == nil {
		options.Gatherer = prometheus.NewRegistry()
	}
	options.Access.TLS = options.GetCertificate != nil
	options.Access.Logger = options.Logger
	options.Access.Refuse = refuse
	options.Access.Home = dashboard.Path
	s := &Server{options: options, access: access.New(options.Access), stopping: make(chan struct{})}
	s.changing.Store(&Changing{Names: options.Names, FlushInterval: options.FlushInterval, Users: options.Access.Users})
	s.snapshots = snapshots{relay: options.Relay, names: s.names}
	s.stop = sync.OnceFunc(func() { close(s.stopping) })
	s.gate = connections.NewGate(connections.Options{
		Max: cmp.Or(options.MaxConnections, 64), Port: "admin", Registerer: options.Registerer, TLS: overTLS(options),
		AcceptFailed: func(err error) { options.Logger.Debug().Err(err).Msg("cannot accept an admin connection") }})
	if options.Relay != nil && options.Registerer != nil {
		options.Registerer.MustRegister(s.states())
	}
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

// Changing is what of the Options may change while the server runs; the fields mean what they
// mean there.
type Changing struct {
	Names         map[string]string
	FlushInterval time.Duration
	Users         []access.User
}

// Take goes by other values from now on. The sessions of users that were taken out, or
// changed, end.
func (s *Server) Take(values Changing) {
	s.changing.Store(&values)
	s.access.SetUsers(values.Users)
	s.snapshots.forget()
}

// names are what people call tenants now, by their fingerprints.
func (s *Server) names() map[string]string { return s.changing.Load().Names }

// overTLS is how connections are made; nil: without TLS.
func overTLS(options Options) *tls.Config {
	if options.GetCertificate == nil {
		return nil
	}
	return &tls.Config{MinVersion: cmp.Or(options.MinTLS, tls.VersionTLS12), NextProtos: []string{"http/1.1"}, GetCertificate: options.GetCertificate}
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
	metrics := promhttp.HandlerFor(s.options.Gatherer, promhttp.HandlerOpts{})
	if s.options.ClosedMetrics {
		metrics = s.access.Require(access.Viewer, metrics)
	}
	mux.Handle("GET /metrics", metrics)
	s.access.Routes(mux)
	viewers := func(path string, handle http.HandlerFunc) {
		mux.Handle("GET "+path, s.access.Require(access.Viewer, handle))
	}
	viewers("/health/application", s.applicationHealth)
	viewers("/health/dependencies", s.dependencyHealth)
	viewers("/{$}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, dashboard.Path, http.StatusFound)
	})
	if s.options.Relay != nil {
		s.mount(mux)
		s.mountPage(mux)
	}
	if s.options.Profiles {
		s.profiles(mux)
	}
	return mux
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // fails only when the caller has gone
}

// Serve answers requests on the listener until Shutdown; it then returns nil. It
// takes a point of the series every ten seconds meanwhile. The listener is closed on return.
func (s *Server) Serve(listener net.Listener) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go s.series.Run(ctx, s.options.Gatherer.Gather)
	if err := s.http.Serve(s.gate.Listen(listener)); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve admin requests: %w", err)
	}
	return nil
}

// Shutdown stops listening and waits for the requests under way; when ctx ends
// first, their connections are cut.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop()
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
