package postgres

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// echo is a server that says again whatever it is told, after its own name.
type echo struct {
	net.Listener

	mu    sync.Mutex
	heard bytes.Buffer
	conns []net.Conn
}

func newEcho(t *testing.T, name string) *echo {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &echo{Listener: listener}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			e.mu.Lock()
			e.conns = append(e.conns, conn)
			e.mu.Unlock()
			running.Go(func() {
				defer conn.Close()
				_, _ = io.WriteString(conn, name)
				_, _ = io.Copy(conn, io.TeeReader(conn, e)) // until either side has gone
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		e.hangUp()
		running.Wait()
	})
	return e
}

func (e *echo) Write(text []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.heard.Write(text)
}

func (e *echo) hasHeard(text string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Contains(e.heard.String(), text)
}

func (e *echo) hangUp() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, conn := range e.conns {
		conn.Close()
	}
}

func newProxy(t *testing.T, e *echo) *Proxy {
	t.Helper()
	p, err := NewProxy(e.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// dial connects through the proxy. No read of the connection waits for ever.
func dial(t *testing.T, p *Proxy) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// expect reads that text.
func expect(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	got := make([]byte, len(text))
	if n, err := io.ReadFull(conn, got); string(got) != text {
		t.Errorf("%q, %v; want %q", got[:n], err, text)
	}
}

// expectReset reads nothing but the news that the connection is broken.
func expectReset(t *testing.T, conn net.Conn) {
	t.Helper()
	if n, err := conn.Read(make([]byte, 10)); n > 0 || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%d bytes and %v instead of a reset", n, err)
	}
}

func say(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Error(err)
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if until(ctx, nil, holds) != nil {
		t.Fatal("not so: ", what)
	}
}

// hasLost tells whether something vanished on any connection in that direction.
func (p *Proxy) hasLost(d direction) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.connections {
		if c.lost[d] {
			return true
		}
	}
	return false
}

// TestProxyCarries everything in its order, in both directions, and the end of each.
func TestProxyCarries(t *testing.T) {
	t.Parallel()
	p := newProxy(t, newEcho(t, "a"))
	p.Delay(time.Millisecond)
	text := strings.Repeat("0123456789abcde\n", 1<<16)
	conn := dial(t, p)
	if got := p.URL("postgres://u:p@127.0.0.1:1/relay?sslmode=disable"); got != "postgres://u:p@"+p.Addr()+"/relay?sslmode=disable" {
		t.Errorf("the way through the proxy is %s", got)
	}
	go func() {
		_, _ = io.WriteString(conn, text) // a failure shows in what comes back
		_ = conn.(*net.TCPConn).CloseWrite()
	}()
	if got, err := io.ReadAll(conn); err != nil || string(got) != "a"+text {
		t.Errorf("%d of %d bytes came back, %v", len(got), len(text)+1, err)
	}
	eventually(t, "no connection is left", func() bool { return p.Connections() == 0 })
}

// TestProxyDelays each direction, and changes no order.
func TestProxyDelays(t *testing.T) {
	t.Parallel()
	p := newProxy(t, newEcho(t, "a"))
	conn := dial(t, p)
	expect(t, conn, "a")
	const late = 50 * time.Millisecond
	p.Delay(late)
	began := time.Now()
	for range 20 {
		say(t, conn, "0123456789")
	}
	expect(t, conn, strings.Repeat("0123456789", 20))
	if took := time.Since(began); took < 2*late {
		t.Errorf("there and back took %v", took)
	}
	p.Delay(0)
	say(t, conn, "soon")
	expect(t, conn, "soon")
}

// TestProxyIsCut: all are told, and nobody comes in until it is mended.
func TestProxyIsCut(t *testing.T) {
	t.Parallel()
	e := newEcho(t, "a")
	p := newProxy(t, e)
	conn := dial(t, p)
	expect(t, conn, "a")
	p.Cut()
	expectReset(t, conn)
	if refused, err := net.Dial("tcp", p.Addr()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a connection through a cut: %v, %v", refused, err)
	}
	p.Cut()
	for range 2 {
		if err := p.Mend(); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, dial(t, p), "a")
	p.CloseAll()
	expect(t, dial(t, p), "a")
	if got := p.Connections(); got != 1 {
		t.Errorf("%d connections", got)
	}
}

// TestSilenceToDatabase: what is said does not arrive, nor does the goodbye. Who comes
// meanwhile hears nothing. Who said nothing goes on afterwards.
func TestSilenceToDatabase(t *testing.T) {
	t.Parallel()
	e := newEcho(t, "a")
	p := newProxy(t, e)
	conn, quiet, leaves := dial(t, p), dial(t, p), dial(t, p)
	for _, c := range []net.Conn{conn, quiet, leaves} {
		expect(t, c, "a")
	}
	p.Silence(true, false)
	say(t, conn, "lost")
	eventually(t, "it vanished", func() bool { return p.hasLost(toDatabase) })
	leaves.Close()
	newcomer := dial(t, p)
	eventually(t, "all are open", func() bool { return p.Connections() == 4 })
	p.Silence(false, false)
	say(t, conn, "after a gap")
	say(t, quiet, "whole")
	expect(t, quiet, "whole")
	if err := p.Mend(); err != nil {
		t.Fatal(err)
	}
	expectReset(t, conn)
	expectReset(t, newcomer)
	say(t, quiet, "still")
	expect(t, quiet, "still")
	if e.hasHeard("lost") || e.hasHeard("gap") {
		t.Error("what vanished has arrived")
	}
	eventually(t, "who left is gone", func() bool { return p.Connections() == 1 })
}

// TestSilenceToRelay: what is said arrives, and the answer does not; nor does the news
// that the database has gone.
func TestSilenceToRelay(t *testing.T) {
	t.Parallel()
	e := newEcho(t, "a")
	p := newProxy(t, e)
	conn := dial(t, p)
	expect(t, conn, "a")
	p.Silence(false, true)
	say(t, conn, "commit")
	eventually(t, "it arrived", func() bool { return e.hasHeard("commit") })
	eventually(t, "the answer vanished", func() bool { return p.hasLost(toRelay) })
	e.hangUp()
	if got := p.Connections(); got != 1 {
		t.Errorf("%d connections", got)
	}
	if err := p.Mend(); err != nil {
		t.Fatal(err)
	}
	expectReset(t, conn)
	expect(t, dial(t, p), "a")
}

// TestRetarget: the next connection leads to the other server, or is reset where there
// is none.
func TestRetarget(t *testing.T) {
	t.Parallel()
	p, other := newProxy(t, newEcho(t, "a")), newEcho(t, "b")
	old := dial(t, p)
	expect(t, old, "a")
	p.Retarget(other.Addr().String())
	expect(t, dial(t, p), "b")
	say(t, old, "still here")
	expect(t, old, "still here")
	other.Close()
	conn, err := net.Dial("tcp", p.Addr())
	if err == nil {
		t.Cleanup(func() { conn.Close() })
		_, err = conn.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("nobody is there: %v", err)
	}
}

// TestProxyEnds: whatever goes on in it, nothing of it runs after Close.
func TestProxyEnds(t *testing.T) {
	t.Parallel()
	p := newProxy(t, newEcho(t, "a"))
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for range 20 {
				conn, err := net.Dial("tcp", p.Addr())
				if err != nil {
					continue // it is cut, or closed
				}
				_, _ = io.WriteString(conn, "x")
				_, _ = conn.Read(make([]byte, 1))
				conn.Close()
			}
		})
	}
	for i := range 20 {
		p.Delay(time.Duration(i%3) * time.Millisecond)
		p.Silence(i%4 == 1, i%4 == 3)
		p.CloseAll()
		p.Cut()
		if err := p.Mend(); err != nil {
			t.Error(err)
		}
	}
	stays := dial(t, p)
	expect(t, stays, "a")
	p.Close() // waits for all
	p.Close()
	callers.Wait()
	expectReset(t, stays)
	if err := p.Mend(); err == nil || p.Connections() > 0 {
		t.Errorf("after Close: %v, %d connections", err, p.Connections())
	}
}
