package api

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"audiences/api/connections"
	"audiences/audience"
)

// TestPostUnderWayIsNotLetGo: with the server full, strangers and idle callers
// give way, and a post that waits for its answer never does.
func TestPostUnderWayIsNotLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		replies := make(chan chan<- error, 3)
		f := start(t, Options{MaxConnections: 3, Accept: func(reply chan<- error, _ ...audience.Change) { replies <- reply }})
		request := fmt.Sprintf("POST /audiences HTTP/1.1\r\nHost: x\r\nAuthorization: foo\r\nContent-Length: %d\r\n\r\n%s", len(body()), body())
		begun := time.Now()
		first := f.raw(t, request)
		(<-replies) <- nil
		if got := <-first; got.status != 200 {
			t.Fatal(got)
		}
		second := f.raw(t, request)
		reply := <-replies
		for range 20 {
			_ = f.rawPlain(t, "\x16")
		}
		for _, path := range []string{"/ping", "/uptime"} {
			if got := <-f.raw(t, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n"); got.status != 200 || time.Since(begun) != 0 {
				t.Errorf("%s at the limit: %+v after %v", path, got, time.Since(begun))
			}
		}
		reply <- nil
		if got := <-second; got.status != 200 {
			t.Errorf("the post under way: %+v", got)
		}
	})
}

// TestWrongTokensMakeNoCaller: who is refused stays a stranger, however often he
// asks, and is let go like one.
func TestWrongTokensMakeNoCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, Options{MaxConnections: 2})
		if got := f.post(t, body()); got.status != 200 { // the fixture's client, which keeps its connection
			t.Fatal(got)
		}
		stranger, _ := f.pipes.dial(t.Context())
		client := &http.Client{Transport: &http.Transport{DialTLSContext: dialOnce(stranger)}}
		defer client.CloseIdleConnections()
		for range 10 {
			r, _ := http.NewRequest(http.MethodPost, "https://relay/audiences", strings.NewReader(body()))
			r.Header.Set("Authorization", "bar")
			if response, err := client.Do(r); err != nil || readAnswer(response).status != 401 {
				t.Fatal(err)
			}
		}
		other := f.rawPlain(t, "\x16") // needs the room of one of the two
		synctest.Wait()
		if _, err := stranger.Write([]byte{0}); err == nil {
			t.Error("the stranger is still there")
		}
		begun := time.Now()
		if got := f.post(t, body()); got.status != 200 || time.Since(begun) != 0 {
			t.Errorf("the caller: %+v", got)
		}
		<-other
	})
}

// TestWhoAsksStaysLonger than who asked before him, and a limit for one address is
// kept within it.
func TestWhoAsksStaysLonger(t *testing.T) {
	for _, options := range []Options{{MaxConnections: 2}, {MaxConnectionsPerAddress: 2}} {
		synctest.Test(t, func(t *testing.T) {
			f := start(t, options)
			ask := func(conn *tls.Conn) error {
				if _, err := io.WriteString(conn, "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
					return err
				}
				_, err := http.ReadResponse(bufio.NewReader(conn), nil)
				return err
			}
			dial := func() *tls.Conn {
				plain, err := f.pipes.dial(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = plain.Close() })
				conn := tls.Client(plain, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.0"}})
				if err := ask(conn); err != nil {
					t.Fatal(err)
				}
				return conn
			}
			first, second := dial(), dial()
			if err := ask(first); err != nil {
				t.Error(err)
			}
			third := dial()
			if ask(first) != nil || ask(third) != nil || ask(second) == nil {
				t.Error("another one than the second, which asked last before all others, was let go")
			}
		})
	}
}

// TestNothingIsTakenFromWhoWasLetGo: a request can have been read when its
// connection goes. Its caller would never learn what became of it.
func TestNothingIsTakenFromWhoWasLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		taken := 0
		s := New(Options{Tokens: fooToken, Accept: func(reply chan<- error, _ ...audience.Change) {
			taken++
			reply <- nil
		}})
		pipes := newPipes()
		listener := connections.NewGate(connections.Options{Max: 1}).Listen(pipes)
		defer func() { _ = listener.Close() }()
		accept := func() net.Conn {
			if _, err := pipes.dial(t.Context()); err != nil {
				t.Fatal(err)
			}
			conn, err := listener.Accept()
			if err != nil {
				t.Fatal(err)
			}
			return conn
		}
		post := func(conn net.Conn) int {
			r := httptest.NewRequest(http.MethodPost, "/audiences", strings.NewReader(body()))
			r.Header.Set("Authorization", "foo")
			w := httptest.NewRecorder()
			s.echo.ServeHTTP(w, r.WithContext(connections.WithConn(r.Context(), conn)))
			return w.Code
		}
		first := accept()
		second := accept()
		if code := post(first); code != 503 || taken != 0 {
			t.Errorf("from the one that was let go: %d, %d taken", code, taken)
		}
		if code := post(second); code != 200 || taken != 1 {
			t.Errorf("from the other one: %d, %d taken", code, taken)
		}
		_ = second.Close()
	})
}

// TestConnectionsAreCounted by what they do.
func TestConnectionsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		replies := make(chan chan<- error, 1)
		f := start(t, Options{Accept: func(reply chan<- error, _ ...audience.Change) { replies <- reply }})
		_ = f.rawPlain(t, "\x16")
		answers := f.postLater(t, body())
		reply := <-replies
		synctest.Wait()
		if got := f.gate.Census(); got != (connections.Census{Handshaking: 1, Busy: 1}) {
			t.Errorf("%+v", got)
		}
		reply <- nil
		<-answers
		synctest.Wait()
		if got := f.gate.Census(); got != (connections.Census{Handshaking: 1, Idle: 1}) {
			t.Errorf("%+v", got)
		}
	})
}

// TestStrangersAskNotForEver: what a request costs is for the most part not computed
// in a turn, so a stranger's connection ends with its answer after some requests. A
// caller keeps his, and so does over HTTP/2 who has shown the token on it once.
func TestStrangersAskNotForEver(t *testing.T) {
	for _, protocol := range []string{"h2", "http/1.1"} {
		for _, token := range []string{"", "foo"} {
			synctest.Test(t, func(t *testing.T) {
				f := start(t, Options{})
				dials := 0
				transport := &http.Transport{ForceAttemptHTTP2: true, DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
					dials++
					plain, err := f.pipes.dial(ctx)
					if err != nil {
						return nil, err
					}
					conn := tls.Client(plain, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol}})
					return conn, conn.HandshakeContext(ctx)
				}}
				defer transport.CloseIdleConnections()
				client := &http.Client{Transport: transport}
				ask := func(method, path string) {
					t.Helper()
					r := newRequest(method, path, nil)
					r.Header.Set("Authorization", token)
					response, err := client.Do(r)
					if err != nil {
						t.Fatal(err)
					}
					readAnswer(response)
					synctest.Wait()
				}
				ask(http.MethodGet, "/cache")
				for range 100 {
					ask(http.MethodGet, "/ping")
				}
				if few := dials == 1; few != (token == "foo") || dials > 10 {
					t.Errorf("%s, token %q: %d connections for 101 requests", protocol, token, dials)
				}
			})
		}
	}
}
