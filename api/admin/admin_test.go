package admin

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start serves on loopback until the test ends and returns the address.
func start(t *testing.T, options Options) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := New(options)
	served := make(chan error, 1)
	go func() { served <- s.Serve(listener) }()
	t.Cleanup(func() {
		if err := errors.Join(s.Shutdown(context.Background()), <-served); err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

func ask(t *testing.T, method, address, path, host string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, "http://"+address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	r.Close = true
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(text)
}

func TestWhoAnswersWhat(t *testing.T) {
	address := start(t, Options{})
	for _, c := range []struct {
		method, path, host string
		status             int
	}{
		{"GET", "/livez", "", 200},
		{"HEAD", "/livez", "localhost", 200},
		{"GET", "/readyz", "LOCALHOST:3010", 200},
		{"GET", "/metrics", "[::1]:3010", 200},
		{"GET", "/livez", "127.8.9.1", 200},
		{"POST", "/livez", "", 405},
		{"DELETE", "/metrics", "", 405},
		{"OPTIONS", "/readyz", "", 405},
		{"GET", "/", "", 403},
		{"GET", "/livez/x", "", 404},
		{"GET", "/login", "", 403},
		{"GET", "/debug/pprof/", "", 404},
		{"GET", "/metrics", "evil.example", 403},
		{"GET", "/metrics", "evil.example:3010", 403},
		{"GET", "/metrics", "localhost.evil.example", 403},
		{"GET", "/metrics", "192.0.2.1:3010", 403},
	} {
		if response, _ := ask(t, c.method, address, c.path, c.host); response.StatusCode != c.status {
			t.Errorf("%s %s, host %q: %d, want %d", c.method, c.path, c.host, response.StatusCode, c.status)
		}
	}
}

// TestHostNamesAreFreeOffLoopback: Prometheus and orchestrators use service
// names there.
func TestHostNamesAreFreeOffLoopback(t *testing.T) {
	r := &http.Request{Method: http.MethodGet, Host: "audiences:3010"}
	for ip, guarded := range map[string]bool{"10.0.0.7": false, "127.0.0.1": true, "::1": true} {
		ctx := context.WithValue(t.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: net.ParseIP(ip)})
		if overLoopback(r.WithContext(ctx)) != guarded {
			t.Errorf("over %s: guarded %v", ip, !guarded)
		}
	}
}

func TestReadyzTellsWhyNot(t *testing.T) {
	var reason error = errors.New("replaying the journal")
	address := start(t, Options{Checks: []Check{{"journal", func() error { return reason }}}})
	if response, text := ask(t, "GET", address, "/readyz", ""); response.StatusCode != 503 || text != "replaying the journal\n" {
		t.Errorf("%d %q", response.StatusCode, text)
	}
	if response, _ := ask(t, "GET", address, "/livez", ""); response.StatusCode != 200 {
		t.Errorf("not ready is not dead: %d", response.StatusCode)
	}
	reason = nil
	if response, text := ask(t, "GET", address, "/readyz", ""); response.StatusCode != 200 || text != "ready\n" {
		t.Errorf("%d %q", response.StatusCode, text)
	}
}

func TestMetricsShowsTheGatherer(t *testing.T) {
	registry := prometheus.NewRegistry()
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "audiences_test_total", Help: "x"})
	registry.MustRegister(counter)
	counter.Add(7)
	response, text := ask(t, "GET", start(t, Options{Gatherer: registry}), "/metrics", "")
	if !strings.Contains(text, "\naudiences_test_total 7\n") || response.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%v %s", response.Header, text)
	}
}

// TestFullPortAnswers: who sits there gives way to who asks.
func TestFullPortAnswers(t *testing.T) {
	address := start(t, Options{MaxConnections: 3})
	var first net.Conn
	for range 10 {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if response, text := ask(t, "GET", address, "/livez", ""); response.StatusCode != 200 {
			t.Errorf("%d %s", response.StatusCode, text)
		}
		if first == nil {
			first = conn
		}
	}
	_ = first.SetReadDeadline(time.Now().Add(2 * time.Second)) // sooner than one that says nothing is cut off
	if _, err := first.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the first of eleven is still there: %v", err)
	}
}

// TestWhoAsksStaysLonger than who asked before him.
func TestWhoAsksStaysLonger(t *testing.T) {
	address := start(t, Options{MaxConnections: 2})
	keeping := func() *http.Client { return &http.Client{Transport: &http.Transport{}} }
	ask := func(client *http.Client) (reused bool) {
		trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused }}
		r, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), http.MethodGet, "http://"+address+"/livez", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			t.Fatal(err)
		}
		return reused
	}
	first, second, third := keeping(), keeping(), keeping()
	defer first.CloseIdleConnections()
	defer second.CloseIdleConnections()
	defer third.CloseIdleConnections()
	ask(first)
	ask(second)
	ask(first)
	ask(third)
	if !ask(first) {
		t.Error("the first one, which asked after the second, was let go")
	}
}

// TestPanicShowsNoValue covers I7: net/http would log the value.
func TestPanicShowsNoValue(t *testing.T) {
	var out bytes.Buffer
	s := New(Options{Logger: zerolog.New(&out)})
	s.http.ErrorLog.Printf("http: panic serving 127.0.0.1:5: tok-secret")
	if out.Len() == 0 || strings.Contains(out.String(), "tok-secret") {
		t.Errorf("logged %q", out.String())
	}
}
