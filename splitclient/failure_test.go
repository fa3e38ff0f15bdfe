package splitclient

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"audiences/audience"
)

// accept runs serve for every connection to a loopback address, and waits for
// all of them at the end of the test.
func accept(t *testing.T, serve func(net.Conn)) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serve(conn)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = listener.Close(); <-done })
	return listener.Addr().String()
}

// readRequest takes one whole request off the connection.
func readRequest(conn net.Conn) {
	req, err := http.ReadRequest(bufio.NewReader(conn))
	if err == nil {
		_, _ = io.Copy(io.Discard, req.Body)
	}
}

// reset closes the connection with an RST.
func reset(conn net.Conn) { _ = conn.(*net.TCPConn).SetLinger(0) }

// Connections that break while the call is under way: Split may have applied it, so it
// counts as sent.
func TestBrokenConnections(t *testing.T) {
	for name, behave := range map[string]func(net.Conn){
		"closed at once":       func(net.Conn) {},
		"reset while reading":  func(c net.Conn) { _, _ = c.Read(make([]byte, 1)); reset(c) },
		"closed after reading": readRequest,
		"reset after reading":  func(c net.Conn) { readRequest(c); reset(c) },
		"half a status line":   func(c net.Conn) { readRequest(c); _, _ = io.WriteString(c, "HTTP/1.1 20") },
		"not HTTP":             func(c net.Conn) { readRequest(c); _, _ = io.WriteString(c, "220 "+secret+" ready\r\n\r\n") },
		"half a good body": func(c net.Conn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}")
		},
		"half a refusal": func(c net.Conn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 400 Bad\r\nContent-Length: 9\r\n\r\n")
		},
		"half a chunk": func(c net.Conn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{")
		},
		"headers without an end": func(c net.Conn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 100_000))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, "http://"+accept(t, behave))
			out := c.Do(t.Context(), call(audience.Add, "1"))
			sameVerdict(t, out, transient(ConnectionLost))
			sentKeys(t, c, 1)
			if out.Cause != "" || out.Message != "" || out.Limits != noLimits {
				t.Errorf("no answer gave %+v", out)
			}
		})
	}
}

// A 429 says in its headers all that matters.
func TestThrottledWithHalfABody(t *testing.T) {
	address := accept(t, func(c net.Conn) {
		readRequest(c)
		_, _ = io.WriteString(c, "HTTP/1.1 429 Slow\r\nX-RateLimit-Reset-Seconds-Org: 9\r\nContent-Length: 9\r\n\r\n{")
	})
	out := newClient(t, "http://"+address).Do(t.Context(), call(audience.Add, "1"))
	sameVerdict(t, out, throttled(ThrottledOrg))
	if out.Delay != 9*time.Second {
		t.Errorf("delay %v", out.Delay)
	}
}

// Failures before anything left: the call does not count as sent, and the cause may be
// shown.
func TestNeverSent(t *testing.T) {
	quiet := log.New(io.Discard, "", 0)
	secure := httptest.NewUnstartedServer(reply{status: 200})
	secure.Config.ErrorLog = quiet
	secure.StartTLS()
	defer secure.Close()
	old := httptest.NewUnstartedServer(reply{status: 200})
	old.Config.ErrorLog = quiet
	old.TLS = &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
	old.StartTLS()
	defer old.Close()
	plain := strings.Replace(serve(t, reply{status: 200}), "http:", "https:", 1)

	unresolvable := newTransport(time.Minute, maxConns, nil)
	unresolvable.DialContext = func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "split.invalid", IsNotFound: true}}
	}
	walled := func(status int) *http.Transport {
		gate := serve(t, reply{status: status})
		transport := newTransport(time.Minute, maxConns, nil)
		transport.Proxy = func(r *http.Request) (*url.URL, error) { return url.Parse(gate) }
		t.Cleanup(transport.CloseIdleConnections)
		return transport
	}

	for name, c := range map[string]struct {
		options Options
		want    Reason
	}{
		"refused":           {Options{BaseURL: "http://" + refused(t)}, Unreachable},
		"no such host":      {Options{BaseURL: "http://split.invalid", Transport: unresolvable}, NameNotResolved},
		"unknown CA":        {Options{BaseURL: secure.URL}, TLSFailure},
		"TLS too old":       {Options{BaseURL: old.URL}, TLSFailure},
		"no TLS":            {Options{BaseURL: plain}, TLSFailure},
		"end in handshake":  {Options{BaseURL: "https://" + accept(t, func(net.Conn) {})}, TLSFailure},
		"refused by a gate": {Options{BaseURL: "https://split.invalid", Transport: walled(403)}, Unreachable},
		"login at a proxy":  {Options{BaseURL: "https://split.invalid", Transport: walled(407)}, EgressRefused},
		"login at a portal": {Options{BaseURL: "https://split.invalid", Transport: walled(511)}, EgressRefused},
	} {
		t.Run(name, func(t *testing.T) {
			c.options.Timeout = 30 * time.Second
			client := newClientWith(t, c.options)
			out := client.Do(t.Context(), call(audience.Add, "1"))
			sameVerdict(t, out, transient(c.want))
			sentKeys(t, client, 0)
			if out.Cause == "" || len(out.Cause) > MaxMessage || strings.Contains(out.Cause, secret) {
				t.Errorf("cause %q", out.Cause)
			}
		})
	}
	unresolvable.CloseIdleConnections()
}

// refused is an address where nobody listens.
func refused(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// inMemory is the client's own transport over net.Pipe, with a real server
// behind it: for bubbles, where a socket would stop the clock.
func inMemory(t *testing.T, timeout time.Duration, handler http.HandlerFunc) *Client {
	t.Helper()
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the server does not notice that the client has gone
		handler(w, r)
	})}
	pipes := make(pipeListener)
	go func() { _ = server.Serve(pipes) }()
	transport := newTransport(timeout, maxConns, nil)
	transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		select {
		case pipes <- theirs:
			return ours, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	t.Cleanup(func() { transport.CloseIdleConnections(); close(pipes); _ = server.Close() })
	return newClientWith(t, Options{BaseURL: "http://split.invalid", Timeout: timeout, Transport: transport})
}

type pipeListener chan net.Conn

func (l pipeListener) Accept() (net.Conn, error) {
	if conn, ok := <-l; ok {
		return conn, nil
	}
	return nil, net.ErrClosed
}
func (pipeListener) Close() error   { return nil }
func (pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// The timeout covers the whole call, to the last byte of the answer, and falls
// at its exact instant.
func TestTimeoutCoversTheWholeCall(t *testing.T) {
	for name, behave := range map[string]http.HandlerFunc{
		"no answer": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"half an answer": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
		"a drip": func(w http.ResponseWriter, r *http.Request) {
			for ctx := r.Context(); ctx.Err() == nil; {
				_, _ = io.WriteString(w, " ")
				_ = http.NewResponseController(w).Flush()
				select {
				case <-ctx.Done():
				case <-time.After(time.Second):
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := inMemory(t, 0, behave)
				begun := time.Now()
				sameVerdict(t, c.Do(t.Context(), call(audience.Add, "1")), transient(Timeout))
				sentKeys(t, c, 1)
				if took := time.Since(begun); took != DefaultTimeout {
					t.Errorf("took %v, want %v", took, DefaultTimeout)
				}
			})
		})
	}
}

// An answer just in time is an answer.
func TestSlowAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inMemory(t, 0, func(http.ResponseWriter, *http.Request) { <-time.After(DefaultTimeout - 1) })
		sameVerdict(t, c.Do(t.Context(), call(audience.Add, "1")), delivered(OK))
	})
}

// No connection within the timeout: the reason is the timeout, and yet the call
// never left.
func TestTimeoutWhileConnecting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transport := newTransport(time.Second, maxConns, nil)
		given := make(chan error)
		transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
			return nil, <-given // dialling outlives the call
		}
		c := newClientWith(t, Options{BaseURL: "http://split.invalid", Timeout: time.Second, Transport: transport})
		out := c.Do(t.Context(), call(audience.Add, "1"))
		sameVerdict(t, out, transient(Timeout))
		sentKeys(t, c, 0)
		given <- io.EOF
	})
}

// A drain ends the calls under way by their context.
func TestCallerGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := inMemory(t, 0, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second) // the caller's deadline is not our timeout
		defer cancel()
		begun := time.Now()
		sameVerdict(t, c.Do(ctx, call(audience.Add, "1")), transient(Cancelled))
		if took := time.Since(begun); took != time.Second {
			t.Errorf("took %v", took)
		}
		sentKeys(t, c, 1)
		sameVerdict(t, c.Do(ctx, call(audience.Add, "1")), transient(Cancelled)) // not even begun
		sentKeys(t, c, 1)
	})
}

// A transport that is not ours and does not report its progress leaves doubt,
// and doubt counts as sent.
type foreign struct{ err error }

func (f foreign) RoundTrip(r *http.Request) (*http.Response, error) {
	_ = r.Body.Close()
	return nil, f.err
}

func TestForeignTransport(t *testing.T) {
	for err, want := range map[error]struct {
		reason Reason
		sent   float64
	}{
		io.ErrUnexpectedEOF:                                          {ConnectionLost, 1},
		&net.OpError{Op: "read", Err: io.EOF}:                        {ConnectionLost, 1},
		&net.OpError{Op: "dial", Err: io.EOF}:                        {Unreachable, 0},
		&net.DNSError{}:                                              {NameNotResolved, 0},
		&tls.CertificateVerificationError{Err: x509.HostnameError{}}: {TLSFailure, 0},
	} {
		c := newClientWith(t, Options{BaseURL: "https://split.invalid", Transport: foreign{err}})
		sameVerdict(t, c.Do(t.Context(), call(audience.Add, "1")), transient(want.reason))
		sentKeys(t, c, want.sent)
	}
}
