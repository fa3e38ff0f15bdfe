package splitclient

import (
	"context"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"audiences/audience"
)

// counted counts the connections that a server takes.
func counted(server *httptest.Server) *atomic.Int64 {
	var n atomic.Int64
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			n.Add(1)
		}
	}
	return &n
}

// trusting is a client with the package's own transport that knows the
// server's CA.
func trusting(t *testing.T, server *httptest.Server) *Client {
	t.Helper()
	transport := newTransport(time.Minute, maxConns, nil)
	transport.TLSClientConfig.RootCAs = x509.NewCertPool()
	transport.TLSClientConfig.RootCAs.AddCert(server.Certificate())
	t.Cleanup(transport.CloseIdleConnections)
	return newClientWith(t, Options{BaseURL: server.URL, Timeout: time.Minute, Transport: transport})
}

// Every answer is read to its end, also one with more than is looked at, so
// that all calls of all tenants share a connection.
func TestConnectionIsReused(t *testing.T) {
	want := []Reason{OK, OK, EmptyBadRequest, ThrottledUnsaid, Redirected, ServerError, ServerError}
	answers := []reply{
		{200, jsonType, "{}", nil}, {204, "", "", nil}, {400, "", "", nil}, {429, htmlType, page, nil},
		{302, "", "moved", map[string]string{"Location": "/x"}},
		{500, jsonType, strings.Repeat("x", maxAnswer), nil}, {500, jsonType, strings.Repeat("x", 3*maxAnswer), nil},
	}
	var next atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answers[int(next.Add(1)-1)%len(answers)].ServeHTTP(w, r)
	}))
	connections := counted(server)
	server.Start()
	defer server.Close()
	c := newClient(t, server.URL)
	for i := range 3 * len(answers) {
		made := call(audience.Add, "1")
		made.Token = mustToken("tenant" + string(rune('a'+i)))
		if out := c.Do(t.Context(), made); out.Reason != want[i%len(want)] {
			t.Fatalf("call %d: %+v", i, out)
		}
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections for %d calls", n, 3*len(answers))
	}
}

// An endless answer is not read to its end; the status counts.
func TestEndlessAnswer(t *testing.T) {
	base := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(401)
		for chunk := strings.Repeat("x", 1<<16); ; {
			if _, err := io.WriteString(w, chunk); err != nil {
				return
			}
		}
	}))
	out := newClient(t, base).Do(t.Context(), call(audience.Add, "1"))
	sameVerdict(t, out, permanent(Unauthorized, ScopeTenant))
	if len(out.Message) != MaxMessage {
		t.Errorf("message of %d bytes", len(out.Message))
	}
}

// Over TLS the calls of many share one HTTP/2 connection, and a call that hung
// on it counts as sent: were it not traced, I4 would not hold.
func TestHTTP2(t *testing.T) {
	var hang atomic.Bool
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			w.WriteHeader(http.StatusHTTPVersionNotSupported)
		}
		if hang.Load() {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}
	}))
	server.EnableHTTP2 = true
	connections := counted(server)
	server.StartTLS()
	defer server.Close()
	c := trusting(t, server)
	sameVerdict(t, c.Do(t.Context(), call(audience.Add, "1")), delivered(OK))
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { sameVerdict(t, c.Do(t.Context(), call(audience.Delete, "1")), delivered(OK)) })
	}
	all.Wait()
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections for 51 calls", n)
	}

	hang.Store(true)
	for name, hasty := range map[string]*Client{"reused": c, "fresh": trusting(t, server)} {
		t.Run(name, func(t *testing.T) {
			hasty.timeout = 300 * time.Millisecond
			sameVerdict(t, hasty.Do(t.Context(), call(audience.Add, "1")), transient(Timeout))
		})
	}
}

// An HTTP/2 server that aborts a stream may have applied the call.
func TestHTTP2StreamAborted(t *testing.T) {
	var calls atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		calls.Add(1)
		panic(http.ErrAbortHandler)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	sameVerdict(t, trusting(t, server).Do(t.Context(), call(audience.Add, "1")), transient(ConnectionLost))
	if n := calls.Load(); n != 1 {
		t.Errorf("Split saw the call %d times, want once", n)
	}
}

// A call whose connection dies after it was written is not repeated behind the
// caller's back: a repetition needs a permit of its own.
func TestNoRepetitionOfItsOwn(t *testing.T) {
	var calls atomic.Int64
	base := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if calls.Add(1) > 1 {
			panic(http.ErrAbortHandler)
		}
	}))
	c := newClient(t, base)
	sameVerdict(t, c.Do(t.Context(), call(audience.Add, "1")), delivered(OK))
	sameVerdict(t, c.Do(t.Context(), call(audience.Add, "1")), transient(ConnectionLost)) // on the kept connection
	if n := calls.Load(); n != 2 {
		t.Errorf("Split saw %d calls, want 2", n)
	}
}

// The environment's proxy is asked, and a redirect leads nowhere.
func TestProxyOfTheEnvironment(t *testing.T) {
	var asked atomic.Value
	gate := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked.Store(r.RequestURI) }))
	t.Setenv("HTTP_PROXY", gate)
	t.Setenv("NO_PROXY", "")
	t.Setenv("REQUEST_METHOD", "")
	sameVerdict(t, newClient(t, "http://split.invalid").Do(t.Context(), call(audience.Delete, "1")), delivered(OK))
	if want := "http://split.invalid/internal/api/v2/segments/env1/s1/removeKeys"; asked.Load() != want {
		t.Errorf("the proxy was asked for %v, want %s", asked.Load(), want)
	}
}

// The token goes to the base URL and nowhere else.
func TestRedirectIsNotFollowed(t *testing.T) {
	var reached atomic.Bool
	elsewhere := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Store(true) }))
	for _, status := range []int{301, 302, 303, 307, 308} {
		base := serve(t, reply{status, "", "", map[string]string{"Location": elsewhere}})
		sameVerdict(t, newClient(t, base).Do(t.Context(), call(audience.Add, "1")), transient(Redirected))
	}
	if reached.Load() {
		t.Error("a redirect was followed")
	}
}

// Close lets go of what is idle and breaks nothing.
func TestCloseIsNotAnEnd(t *testing.T) {
	server := httptest.NewUnstartedServer(reply{status: 200})
	connections := counted(server)
	server.Start()
	defer server.Close()
	c := newClient(t, server.URL)
	for range 2 {
		sameVerdict(t, c.Do(context.Background(), call(audience.Add, "1")), delivered(OK))
		c.Close()
	}
	if n := connections.Load(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}

// A server that refuses a body for its size without reading it is heard, though
// we are still writing: were the refusal lost, the call would go round for ever
// instead of being halved.
func TestRefusalBeforeTheBodyIsRead(t *testing.T) {
	made := call(audience.Add)
	for i := range 5000 {
		made.Keys.Add(keyOf(strings.Repeat("😀", 240) + strconv.Itoa(i)))
	}
	out := newClient(t, serve(t, reply{status: 413})).Do(t.Context(), made)
	sameVerdict(t, out, permanent(TooLarge, ScopeKeys))
}
