package connections

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// watched is a connection that tells how many reads of it are under way.
type watched struct {
	house
	reading *atomic.Int32
}

func (w watched) Read(p []byte) (int, error) {
	w.reading.Add(1)
	defer w.reading.Add(-1)
	return w.house.Read(p)
}

// ask serves HTTP through a gate and sends one request, whose handler shows the token
// or not. It returns when that handler waits; answer lets it go on.
func ask(t *testing.T, proves bool, request string) (client *tls.Conn, reading *atomic.Int32, answer func(), canceled *atomic.Bool) {
	t.Helper()
	s, g := newStreet(), NewGate(Options{TLS: serverTLS()})
	release := make(chan struct{})
	canceled = new(atomic.Bool)
	server := &http.Server{ConnContext: WithConn, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn := From(r.Context())
		if proves {
			conn.Prove()
			defer conn.Done()
		}
		body, _ := io.ReadAll(r.Body)
		select {
		case <-release:
		case <-r.Context().Done():
			canceled.Store(true)
		}
		_, _ = fmt.Fprintf(w, "%s, TLS %v", body, r.TLS != nil)
	})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(g.Listen(s))
	}()
	inner, outer := net.Pipe()
	reading = new(atomic.Int32)
	s.waiting <- watched{house{outer, "192.0.2.1"}, reading}
	client = tls.Client(inner, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	t.Cleanup(func() {
		_ = inner.Close()
		_ = server.Close()
		<-ended
	})
	if _, err := io.WriteString(client, request); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	return client, reading, func() { close(release) }, canceled
}

const waitingPost = "POST / HTTP/1.1\r\nHost: relay\r\nContent-Length: 3\r\n\r\nabc"

// TestNothingIsReadWhileAPostWaits: net/http's read beside the handler never gets to
// the connection of a request that has shown the token, and the connection is good for
// the next requests afterwards.
func TestNothingIsReadWhileAPostWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, reading, answer, _ := ask(t, true, waitingPost)
		if n := reading.Load(); n != 0 {
			t.Errorf("%d reads are under way while the handler waits", n)
		}
		answer()
		answers := bufio.NewReader(client)
		for n := range 3 {
			if n > 0 {
				if _, err := io.WriteString(client, waitingPost); err != nil {
					t.Fatal(err)
				}
			}
			response, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatal(err)
			}
			if body, err := io.ReadAll(response.Body); string(body) != "abc, TLS true" || err != nil {
				t.Errorf("answer %d: %q, %v", n, body, err)
			}
		}
	})
}

// TestWhoAsksAheadIsAnswered: two requests in one record.
func TestWhoAsksAheadIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, _, answer, _ := ask(t, true, waitingPost+waitingPost)
		answer()
		answers := bufio.NewReader(client)
		for range 2 {
			response, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, response.Body)
		}
	})
}

// TestAStrangersEndIsNoticed: for those who have not shown the token everything is as
// net/http does it.
func TestAStrangersEndIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, reading, _, canceled := ask(t, false, waitingPost)
		if n := reading.Load(); n != 1 {
			t.Errorf("%d reads are under way while the handler waits, want 1", n)
		}
		_ = client.NetConn().Close()
		synctest.Wait()
		if !canceled.Load() {
			t.Error("the handler does not learn that its client has gone")
		}
	})
}
