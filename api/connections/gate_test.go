package connections

import (
	"bytes"
	"container/list"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func (g *Gate) closedFor(why Closing) float64 {
	return testutil.ToFloat64(g.metrics.closed.WithLabelValues(string(why)))
}

// TestSilentStrangersKeepNobodyOut fills a gate with those who say nothing, half a
// hello, or half a handshake: whoever comes then gets in at once, and they are cut
// off when their time is over.
func TestSilentStrangersKeepNobodyOut(t *testing.T) {
	hello := firstFlight(t, &tls.Config{InsecureSkipVerify: true})
	old := firstFlight(t, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
	retried := serverTLS()
	retried.CurvePreferences = []tls.CurveID{tls.CurveP384} // for which no client has a key at hand: it is told to come again
	for name, c := range map[string]struct {
		says   []byte
		server *tls.Config
	}{
		"nothing":                    {nil, serverTLS()},
		"one byte":                   {hello[:1], serverTLS()},
		"half a hello":               {hello[:len(hello)/2], serverTLS()},
		"a hello, TLS 1.3":           {hello, serverTLS()},
		"a hello, TLS 1.2":           {old, serverTLS()},
		"a hello that is to be anew": {hello, retried},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				told := make(chan Closing, 50)
				g, s := open(t, Options{Max: 50, TLS: c.server, Places: 1, LetGo: func(remote net.Addr, why Closing) {
					if remote.String() == "192.0.2.1:1" {
						told <- why
					}
				}}, echo)
				begun := time.Now()
				ended := make(chan time.Duration, 50)
				for range 50 {
					conn := s.dial(t, "192.0.2.1")
					go func() {
						if c.says != nil {
							_, _ = conn.Write(c.says)
						}
						_ = hungUp(conn)
						ended <- time.Since(begun)
					}()
				}
				synctest.Wait()
				for range 10 {
					// A pipe has no buffer, so a caller that is told to come again would wait for ever.
					conn := tls.Client(s.dial(t, "10.0.0.1"), &tls.Config{InsecureSkipVerify: true, CurvePreferences: c.server.CurvePreferences})
					if err := exchange(conn); err != nil || time.Since(begun) != 0 {
						t.Fatalf("%v after %v", err, time.Since(begun))
					}
				}
				if n := g.closedFor(ForFull); n != 10 || len(told) != 10 || <-told != ForFull {
					t.Errorf("%v were let go, want 10; %d were told of", n, len(told))
				}
				for i := range 50 {
					if after := <-ended; (i < 10 && after != 0) || (i >= 10 && after != 5*time.Second) {
						t.Errorf("stranger %d was cut off after %v", i, after)
					}
				}
				synctest.Wait()
				failed := 0.0
				for _, why := range failures {
					failed += testutil.ToFloat64(g.metrics.failed.WithLabelValues(string(why)))
				}
				if failed != 40 {
					t.Errorf("%v handshakes failed, want 40: ten were let go", failed)
				}
			})
		})
	}
}

// TestWhoDoesNotReadHasNoTurn: the turn ends before a write that may wait.
func TestWhoDoesNotReadHasNoTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, s := open(t, Options{TLS: serverTLS(), Places: 1}, func(conn net.Conn) {
			if _, err := io.ReadFull(conn, make([]byte, 1)); err == nil {
				_, _ = conn.Write(make([]byte, 1<<20))
			}
		})
		for range 3 {
			client := tls.Client(s.dial(t, "192.0.2.1"), &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
			if _, err := client.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		g.turns.mu.Lock()
		defer g.turns.mu.Unlock()
		if g.turns.taken != 0 || g.turns.unknown.length != 0 {
			t.Errorf("%d turns taken, %d waiting", g.turns.taken, g.turns.unknown.length)
		}
	})
}

// TestOnlyPlacesComputeAtOnce: with all places taken, hellos wait for theirs, and
// the one that has proven itself does not.
func TestOnlyPlacesComputeAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, s := open(t, Options{TLS: serverTLS(), Places: 2}, func(conn net.Conn) {
			c := under(conn)
			buffer := make([]byte, 1)
			for {
				if _, err := io.ReadFull(conn, buffer); err != nil {
					return
				}
				if buffer[0] == 'p' && c.Prove() {
					c.Done()
				}
				_, _ = conn.Write(buffer)
			}
		})
		caller := tls.Client(s.dial(t, "10.0.0.1"), &tls.Config{InsecureSkipVerify: true})
		say := func(text string) error {
			if _, err := io.WriteString(caller, text); err != nil {
				return err
			}
			_, err := io.ReadFull(caller, make([]byte, 1))
			return err
		}
		if err := say("p"); err != nil {
			t.Fatal(err)
		}
		stranger := tls.Client(s.dial(t, "192.0.2.99"), &tls.Config{InsecureSkipVerify: true})
		if err := exchange(stranger); err != nil {
			t.Fatal(err)
		}
		g.turns.mu.Lock()
		g.turns.taken = 2
		g.turns.mu.Unlock()
		ended := make(chan error, 20)
		for i := range 20 {
			conn := s.dial(t, fmt.Sprint("192.0.2.", i))
			go func() { ended <- speak(conn) }()
		}
		go func() { ended <- exchange(stranger) }() // whose handshake is long over
		synctest.Wait()
		if n := g.turns.waiting(); n != 21 {
			t.Errorf("%d wait, want 21", n)
		}
		if err := say("x"); err != nil {
			t.Errorf("the one that has proven itself: %v", err)
		}
		g.giveBackTwo()
		for range 21 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
}

// TestWhoGoesOnComesBeforeHellos: what a connection sends behind its hello is ahead
// of hellos that came earlier.
func TestWhoGoesOnComesBeforeHellos(t *testing.T) {
	hello := firstFlight(t, &tls.Config{InsecureSkipVerify: true})
	synctest.Test(t, func(t *testing.T) {
		g, s := open(t, Options{TLS: serverTLS(), Places: 1}, echo)
		next := func() *waiter {
			synctest.Wait()
			g.turns.mu.Lock()
			defer g.turns.mu.Unlock()
			if g.turns.unknown.length == 0 {
				return nil
			}
			return g.turns.unknown.round.Front().Value.(*list.List).Front().Value.(*waiter)
		}
		begun, late := s.dial(t, "192.0.2.1"), s.dial(t, "192.0.2.1")
		go func() { _, _ = begun.Write(hello) }()
		go func() { _ = hungUp(begun) }()
		if next() != nil {
			t.Fatal("the hello waits, and nobody computes")
		}
		g.turns.mu.Lock()
		g.turns.taken, g.turns.byUnknown = 1, 1
		g.turns.mu.Unlock()
		go func() { _, _ = late.Write(hello) }()
		go func() { _ = hungUp(late) }()
		first := next()
		go func() { _, _ = begun.Write([]byte{20}) }()
		if second := next(); first == nil || second == first || g.turns.waiting() != 2 {
			t.Errorf("the one that has begun waits behind a hello")
		}
		g.turns.giveBack(ofUnknown)
	})
}

// TestRequestsThatGetNoTurn: a request that waits in vain is told of and counted, with
// the reason. A handshake that does so has failed, and is not told of twice.
func TestRequestsThatGetNoTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told, failed := make(chan Closing, 9), make(chan Failure, 9)
		g, s := open(t, Options{TLS: serverTLS(), Places: 1,
			LetGo:  func(_ net.Addr, why Closing) { told <- why },
			Failed: func(_ net.Addr, why Failure, _ error) { failed <- why },
		}, echo)
		conn := tls.Client(s.dial(t, "10.0.0.1"), &tls.Config{InsecureSkipVerify: true})
		if err := exchange(conn); err != nil {
			t.Fatal(err)
		}
		if class := g.turns.await(netip.MustParseAddr("192.0.2.1"), false, false, nil); class != ofUnknown {
			t.Fatal("the only place is not free")
		}
		defer g.turns.giveBack(ofUnknown)
		late := s.dial(t, "10.0.0.2")
		go func() { _ = speak(late) }()
		if err := exchange(conn); err == nil {
			t.Error("answered without a turn")
		}
		if why := <-told; why != ForTurn || g.closedFor(ForTurn) != 1 {
			t.Errorf("told of %q, %v counted", why, g.closedFor(ForTurn))
		}
		if why := <-failed; why != TooSlow || len(told) != 0 {
			t.Errorf("the handshake: %q, and told of %d more", why, len(told))
		}
	})
}

// TestTheProvenHoldNoTurn: they may wait long, for the disk.
func TestTheProvenHoldNoTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		proven, end := make(chan struct{}), make(chan struct{})
		_, s := open(t, Options{TLS: serverTLS(), Places: 1}, func(conn net.Conn) {
			buffer := make([]byte, 1)
			if _, err := io.ReadFull(conn, buffer); err == nil && buffer[0] == 'p' {
				under(conn).Prove()
				close(proven)
				<-end
			}
			_, _ = conn.Write(buffer)
		})
		caller := tls.Client(s.dial(t, "10.0.0.1"), &tls.Config{InsecureSkipVerify: true})
		if _, err := io.WriteString(caller, "p"); err != nil {
			t.Fatal(err)
		}
		<-proven
		begun := time.Now()
		if err := speak(s.dial(t, "192.0.2.1")); err != nil || time.Since(begun) != 0 {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		close(end)
	})
}

// TestHandshakesTimeoutEndsWithIt: a connection may be idle for longer.
func TestHandshakesTimeoutEndsWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s := open(t, Options{TLS: serverTLS()}, echo)
		conn := tls.Client(s.dial(t, "10.0.0.1"), &tls.Config{InsecureSkipVerify: true})
		for range 3 {
			if err := exchange(conn); err != nil {
				t.Fatal(err)
			}
			<-time.After(time.Minute)
		}
	})
}

func (g *Gate) giveBackTwo() {
	g.turns.giveBack(ofKnown)
	g.turns.giveBack(ofKnown)
}

// TestAcceptErrorsEndNothing: accept(2) lists what a listener may report and go on.
func TestAcceptErrorsEndNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := 0
		g, s := open(t, Options{TLS: serverTLS(), AcceptFailed: func(error) { told++ }}, echo)
		idle := s.dial(t, "192.0.2.1")
		errors := []syscall.Errno{syscall.ECONNABORTED, syscall.ENOBUFS, syscall.ENOMEM, syscall.EPROTO, syscall.ENETDOWN,
			syscall.EHOSTUNREACH, syscall.EPERM, syscall.EMFILE, syscall.ENFILE, syscall.EMFILE, syscall.EMFILE}
		begun := time.Now()
		for _, e := range errors {
			s.faults <- &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", e)}
		}
		if err := speak(s.dial(t, "10.0.0.1")); err != nil {
			t.Error(err)
		}
		begunAgain := time.Now()
		s.faults <- syscall.ECONNABORTED
		if err := speak(s.dial(t, "10.0.0.1")); err != nil || time.Since(begunAgain) != 5*time.Millisecond {
			t.Errorf("%v after %v, want 5 ms: the pause begins anew", err, time.Since(begunAgain))
		}
		begun = begun.Add(time.Since(begunAgain))
		// 5 ms, twice as long each time, at most 1 s
		if want := 4275 * time.Millisecond; time.Since(begun) != want {
			t.Errorf("it took %v, want %v", time.Since(begun), want)
		}
		if told != len(errors)+1 {
			t.Errorf("told of %d errors, want %d", told, len(errors)+1)
		}
		if n := testutil.ToFloat64(g.metrics.accept); n != float64(told) {
			t.Errorf("%v errors counted", n)
		}
		if said := hungUp(idle); len(said) != 0 || g.closedFor(ForDescriptors) != 1 {
			t.Errorf("%v were let go for their descriptors, want 1", g.closedFor(ForDescriptors))
		}
	})
}

func TestBrokenListenerIsReported(t *testing.T) {
	for _, e := range []error{syscall.EBADF, syscall.EINVAL, net.ErrClosed} {
		synctest.Test(t, func(t *testing.T) {
			s := newStreet()
			l := NewGate(Options{}).Listen(s)
			s.faults <- &net.OpError{Op: "accept", Err: e}
			if conn, err := l.Accept(); err == nil {
				t.Errorf("%v", conn)
			}
			_ = l.Close()
		})
	}
}

// TestWhyHandshakesFail has a client for each failure.
func TestWhyHandshakesFail(t *testing.T) {
	client := func(change func(*tls.Config)) []byte {
		config := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, ServerName: "relay.example.comX"}
		change(config)
		return firstFlight(t, config)
	}
	plain := client(func(*tls.Config) {})
	dotted := bytes.Replace(plain, []byte("comX"), []byte("com."), 1)
	dotted12 := bytes.Replace(client(func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }), []byte("comX"), []byte("com."), 1)
	for name, c := range map[string]struct {
		says   []byte
		hangUp bool
		want   Failure
	}{
		"nothing":               {nil, false, Silent},
		"nothing, and goes":     {nil, true, Silent},
		"half a hello":          {plain[:100], false, TooSlow},
		"half, and goes":        {plain[:100], true, HungUp},
		"a hello, and goes":     {plain, true, HungUp},
		"a hello, and waits":    {plain, false, TooSlow},
		"HTTP":                  {[]byte("GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"), false, PlainHTTP},
		"a post without TLS":    {[]byte("POST /audiences HTTP/1.1\r\n"), false, PlainHTTP},
		"HTTP/2 without TLS":    {[]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), false, PlainHTTP},
		"SSH":                   {[]byte("SSH-2.0-OpenSSH_9.6\r\n"), false, NotTLS},
		"SSL 2":                 {[]byte{0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10}, false, NotTLS},
		"TLS 1.0":               {client(func(c *tls.Config) { c.MaxVersion = tls.VersionTLS10 }), false, OldVersion},
		"TLS 1.1":               {client(func(c *tls.Config) { c.MaxVersion = tls.VersionTLS11 }), false, OldVersion},
		"a dot behind the name": {dotted, false, DottedName},
		"the same, TLS 1.2":     {dotted12, false, DottedName},
		"the alert of a client": {append(client(func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }), 21, 3, 3, 0, 2, 2, 48), false, Refused},
		"no protocol in common": {client(func(c *tls.Config) { c.NextProtos = []string{"acme-tls/1"} }), false, Other},
		"a hello cut short":     {append([]byte{22, 3, 1, 0, 6, 1, 0, 0, 2}, 3, 3), false, Other},
		"rubbish in TLS":        {[]byte{22, 3, 1, 0, 4, 0xff, 0, 0, 0}, false, Other},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got []Failure
				g, s := open(t, Options{TLS: serverTLS(), Failed: func(remote net.Addr, why Failure, err error) {
					if remote.String() != "192.0.2.1:1" || err == nil {
						t.Errorf("%v %v", remote, err)
					}
					got = append(got, why)
				}}, echo)
				conn := s.dial(t, "192.0.2.1")
				answered := make(chan []byte, 1)
				go func() { answered <- hungUp(conn) }()
				if c.says != nil {
					go func() { _, _ = conn.Write(c.says) }()
					synctest.Wait()
				}
				if c.hangUp {
					_ = conn.Close()
				}
				answer := <-answered
				synctest.Wait()
				if len(got) != 1 || got[0] != c.want || testutil.ToFloat64(g.metrics.failed.WithLabelValues(string(c.want))) != 1 {
					t.Errorf("%v, want %s", got, c.want)
				}
				if (c.want == PlainHTTP) != bytes.Contains(answer, []byte(`{"message":"`)) {
					t.Errorf("answered %q", answer)
				}
			})
		})
	}
}

// TestServerNames: whatever a caller calls us, and whichever protocols it knows
// beside HTTP, it is served.
func TestServerNames(t *testing.T) {
	config := serverTLS()
	config.NextProtos = []string{"h2", "http/1.1", "http/1.0"}
	synctest.Test(t, func(t *testing.T) {
		_, s := open(t, Options{TLS: config}, echo)
		for _, name := range []string{"", "relay", "RELAY.Example.COM", "192.0.2.1", "2001:db8::1", "other.example", "under_score.example", "xn--bcher-kva.example", "localhost"} {
			for _, protocols := range [][]string{nil, {"http/1.1"}, {"h2"}, {"http/1.0"}, {"h3", "h2"}, {"acme-tls/1", "http/1.1"}, {"\x0a\x0a", "http/1.1"}} {
				client := tls.Client(s.dial(t, "10.0.0.1"), &tls.Config{InsecureSkipVerify: true, ServerName: name, NextProtos: protocols})
				if err := client.Handshake(); err != nil {
					t.Errorf("%q %q: %v", name, protocols, err)
				}
				_ = client.NetConn().Close()
			}
		}
	})
}

// TestCloseEndsAll: also those in the middle of their handshake.
func TestCloseEndsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreet()
		g := NewGate(Options{TLS: serverTLS()})
		l := g.Listen(s)
		silent, done := s.dial(t, "192.0.2.1"), s.dial(t, "192.0.2.1")
		go func() { _ = speak(done) }() // whom nobody accepts
		synctest.Wait()
		g.turns.mu.Lock()
		if g.turns.taken != 0 {
			t.Errorf("%d turns are with connections that nobody has accepted", g.turns.taken)
		}
		g.turns.mu.Unlock()
		begun := time.Now()
		_ = l.Close()
		hungUp(silent)
		if time.Since(begun) != 0 || len(g.everybody()) != 0 || g.Census() != (Census{}) {
			t.Errorf("after %v: %d", time.Since(begun), len(g.everybody()))
		}
		if _, err := l.Accept(); err == nil {
			t.Error("accepted after the close")
		}
		_ = l.Close()
	})
}

// FuzzServerName: what a stranger sends is looked at before anything is known of
// him.
func FuzzServerName(f *testing.F) {
	f.Add([]byte{22, 3, 1, 0, 4, 1, 0, 0, 0})
	f.Fuzz(func(t *testing.T, record []byte) {
		h := &hello{}
		h.add(record)
		_ = h.failure(io.EOF)
	})
}

// TestLastWord: net/http closes its half first where a request was refused before
// all of it came, so that the answer is not lost.
func TestLastWord(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := NewGate(Options{}).Listen(inner)
	defer func() { _ = l.Close() }()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	if err := server.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if said, err := io.ReadAll(client); err != nil || len(said) != 0 {
		t.Errorf("%q %v, want the end", said, err)
	}
	if _, err := client.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(server, make([]byte, 1)); err != nil {
		t.Errorf("the other half: %v", err)
	}
}
