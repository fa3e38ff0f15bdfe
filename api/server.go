// Package api is the relay's HTTPS edge: it authenticates, bounds, decodes and
// validates what callers post, hands each change to the actors, and answers 200
// only after they said that it is durable (I1).
//
// One post passes, in this order: audiences.go (method, token), admission.go
// (is there room?), body.go (read, bounded), decode.go and fields.go (pure: bytes
// to change), and audiences.go again (accept, wait, answer). Every refusal is a
// [failure] and takes nothing of the request; it has a [Cause], by which it is counted
// and logged (refusals.go). No token and no key is logged or sent back (I7).
//
// Before it, its connection comes through the gate of package connections, which
// bounds what those can take who never show the token.
//
// Echo routes and carries the handlers; limits and timeouts belong to the
// http.Server, TLS to the gate, and decoding knows of neither.
package api

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"audiences/api/connections"
	"audiences/logging"
	"audiences/status"
)

// Time and size limits of a connection. The lambda sends its whole request at
// once; these are for those who do not.
const (
	handshakeTimeout  = 5 * time.Second
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 30 * time.Second
	idleTimeout       = 75 * time.Second
	writeSlack        = 20 * time.Second // to write the answer after body and outcome
	maxHeaderBytes    = 16 << 10
)

// Bounds of an HTTP/2 connection. All of a connection's streams together may have
// the buffer, and a stranger's are refused before it fills.
var http2Bounds = http.HTTP2Config{
	MaxConcurrentStreams:          16,
	MaxReceiveBufferPerConnection: 1 << 20,
	MaxReceiveBufferPerStream:     512 << 10,
	SendPingTimeout:               30 * time.Second, // finds who is gone without a word
	PingTimeout:                   15 * time.Second,
	WriteByteTimeout:              20 * time.Second, // for who does not read its answers
}

// classical are the key exchanges that were there before the post-quantum ones. Their
// order means nothing (package crypto/tls: Config.CurvePreferences).
var classical = []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521}

// Server serves /audiences, /ping, /uptime and /cache over TLS.
type Server struct {
	options   Options
	tokens    tokens
	guesses   guesses
	admission *admission
	metrics   *metrics
	refusals  *refusalLog
	ignored   *logging.Gathered[ignoredOf]
	edge      *edgeLog
	echo      *echo.Echo
	gate      *connections.Gate
	http      *http.Server
	draining  atomic.Bool
	decoding  sync.Mutex // held while a large body is decoded
}

// New returns a server that is ready to Serve.
func New(options Options) *Server {
	options = options.withDefaults()
	s := &Server{
		options:   options,
		admission: &admission{maxRequests: int64(options.MaxRequestsInFlight), maxBytes: options.MaxBytesInFlight},
	}
	s.tokens.set(options.Tokens)
	s.metrics = newMetrics(options.Registerer, s.admission)
	if options.Registerer != nil {
		options.Registerer.MustRegister(newTokenUse(&s.tokens))
	}
	s.refusals = newRefusalLog(s.metrics, options.Logger)
	s.ignored = gatherIgnored(options.Logger)
	s.edge = newEdgeLog(options.Logger)
	s.echo = s.routes()
	config := &tls.Config{
		MinVersion:     options.MinTLS,
		NextProtos:     []string{"h2", "http/1.1", "http/1.0"},
		GetCertificate: options.GetCertificate,
	}
	if options.Classical {
		config.CurvePreferences = classical
	}
	s.gate = connections.NewGate(connections.Options{
		Max:              options.MaxConnections,
		MaxPerAddress:    options.MaxConnectionsPerAddress,
		TLS:              config,
		ClientCAs:        options.ClientCAs,
		HandshakeTimeout: handshakeTimeout,
		Failed:           s.edge.handshakeFailed,
		LetGo:            s.edge.letGo,
		AcceptFailed:     s.edge.acceptFailed,
		Port:             "https",
		Registerer:       options.Registerer,
	})
	s.http = &http.Server{
		Handler:           s.echo,
		TLSConfig:         config, // the gate speaks TLS; here it says that HTTP/2 is spoken
		HTTP2:             &http2Bounds,
		ConnContext:       connections.WithConn,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      readTimeout + options.AnswerTimeout + writeSlack,
		IdleTimeout:       -1, // ConnState sees to it
		ConnState:         connections.Watch(idleTimeout, s.unheard),
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          log.New(serverLog{s.edge, s.metrics}, "", 0),
	}
	return s
}

func (s *Server) routes() *echo.Echo {
	e := echo.New()
	e.IPExtractor = echo.ExtractIPDirect()
	e.HTTPErrorHandler = s.answerError
	e.Use(s.observe)
	e.Pre(decoded)
	// A not-found route takes every method, also those that Echo has no name
	// for; the old server's probes answered all of them.
	for path, handler := range map[string]echo.HandlerFunc{
		"/audiences": s.audiences,
		"/ping":      s.ping,
		"/uptime":    s.uptime,
		"/cache":     s.cache,
	} {
		e.RouteNotFound(path, handler)
		e.RouteNotFound(path+"/", handler)
	}
	return e
}

// decoded has a path routed as it is meant, however it is written: Echo would go
// by the percent-encoded form, in which /%61udiences is another path.
func decoded(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.Request().URL.RawPath = ""
		return next(c)
	}
}

// SetTokens replaces the tokens that callers may show; requests that have shown one are
// answered.
func (s *Server) SetTokens(list []Token) { s.tokens.set(list) }

// Tokens tells of each token when it was used last.
func (s *Server) Tokens() []status.Token { return s.tokens.uses() }

// Serve answers requests on the listener, speaking TLS over it, until Shutdown;
// it then returns nil. The listener is closed on return.
func (s *Server) Serve(listener net.Listener) error {
	if err := s.http.Serve(s.gate.Listen(listener)); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve requests: %w", err)
	}
	return nil
}

// Drain refuses every further change with 503 and Retry-After. Posts that are
// under way are answered, and so are the probes.
func (s *Server) Drain() { s.draining.Store(true) }

// unheard counts and tells of a request that broke off before a handler had it.
func (s *Server) unheard(remote net.Addr) {
	s.refusals.add(CauseHeaders, refusal{from: ipOf(remote)})
}

// Shutdown drains, stops listening and waits for the requests under way. When
// ctx ends first their connections are cut, which their callers must take for an
// unknown outcome (I1), and the error says so.
func (s *Server) Shutdown(ctx context.Context) error {
	s.Drain()
	defer s.flushLog()
	if err := s.http.Shutdown(ctx); err != nil {
		_ = s.http.Close() // the first error is the one that tells what happened
		return fmt.Errorf("finish requests under way: %w", err)
	}
	return nil
}

// flushLog writes what has been gathered for the log.
func (s *Server) flushLog() {
	s.refusals.flush()
	s.ignored.Flush()
	s.edge.flush()
}
