package splitclient

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/net/http/httpproxy"
)

const (
	// maxConns bounds the connections where HTTP/1.1 is spoken, idle ones
	// included, so that busy times do not end in closing and dialling. It is far
	// above what permits allow at once; over HTTP/2 one connection carries all.
	maxConns = 128
	// idleTimeout lies below the 60 s after which common load balancers drop an
	// idle connection, so that we are the one who closes: a call written into a
	// connection that the other side just closed has an unknown outcome.
	idleTimeout = 45 * time.Second
	// pingAfter and pingTimeout find an HTTP/2 connection whose other end is gone
	// without a word (a NAT that forgot it): every call on it would time out.
	pingAfter   = 10 * time.Second
	pingTimeout = 5 * time.Second
)

// errProxyLogin ends the attempt to connect through a proxy that wants a login.
var errProxyLogin = errors.New("the proxy wants a login")

// proxyAnswered tells that refusal from others of a proxy by its status; for the
// rest net/http makes an error of the status line.
func proxyAnswered(_ context.Context, _ *url.URL, _ *http.Request, res *http.Response) error {
	if res.StatusCode == http.StatusProxyAuthRequired || res.StatusCode == http.StatusNetworkAuthenticationRequired {
		return errProxyLogin
	}
	return nil
}

// newTransport makes the connections that all tenants share. The timeout is a
// call's: net/http lets dialling outlive the call that began it, for a later one
// to use, and so it needs an end of its own; a later end, so that a call's
// reason is its own timeout.
//
// Compressed answers are asked for, tiny as they are: some gateways compress in
// any case, and net/http undoes only what it asked for.
func newTransport(timeout time.Duration, connections int, mayWrite func() error) *http.Transport {
	dialling := 2 * timeout
	dial := (&net.Dialer{Timeout: dialling}).DialContext
	if mayWrite != nil {
		dial = asking(dial, mayWrite)
	}
	proxy := httpproxy.FromEnvironment().ProxyFunc()
	return &http.Transport{
		Proxy:                  func(req *http.Request) (*url.URL, error) { return proxy(req.URL) },
		OnProxyConnectResponse: proxyAnswered,
		DialContext:            dial,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    dialling,
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
		MaxConnsPerHost:        connections,
		MaxIdleConnsPerHost:    connections,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// asking makes dial's connections ask before each write. Between the check before a call
// and its first byte the process may have stood still for any time.
func asking(dial dialFunc, mayWrite func() error) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &askingConn{Conn: conn, mayWrite: mayWrite}, nil
	}
}

// askingConn writes while it may.
type askingConn struct {
	net.Conn
	mayWrite func() error
}

func (c *askingConn) Write(b []byte) (int, error) {
	if err := c.mayWrite(); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}
