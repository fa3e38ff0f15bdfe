package connections

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// street is a net.Listener whose connections are pipes from addresses that the
// test chooses, and whose accept can be made to fail.
type street struct {
	waiting chan net.Conn
	faults  chan error
	closed  chan struct{}
	once    sync.Once
}

func newStreet() *street {
	return &street{waiting: make(chan net.Conn), faults: make(chan error), closed: make(chan struct{})}
}

func (s *street) Accept() (net.Conn, error) {
	select {
	case conn := <-s.waiting:
		return conn, nil
	case err := <-s.faults:
		return nil, err
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

func (s *street) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

func (s *street) Addr() net.Addr { return &net.TCPAddr{} }

// dial comes from this address.
func (s *street) dial(t *testing.T, from string) net.Conn {
	t.Helper()
	client, server := net.Pipe()
	select {
	case s.waiting <- house{server, from}:
	case <-s.closed:
		t.Fatal("nobody accepts")
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// house is a connection from an address.
type house struct {
	net.Conn
	from string
}

func (h house) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(h.from), 1))
}

// open starts a gate whose connections are answered by serve; both end with the
// test.
func open(t *testing.T, options Options, serve func(net.Conn)) (*Gate, *street) {
	t.Helper()
	s := newStreet()
	g := NewGate(options)
	l := g.Listen(s)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer func() { _ = conn.Close() }()
				serve(conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		for _, c := range g.everybody() {
			_ = c.Close()
		}
		running.Wait()
	})
	return g, s
}

// everybody lists the open connections.
func (g *Gate) everybody() (all []*Conn) {
	g.table.mu.Lock()
	defer g.table.mu.Unlock()
	for _, h := range g.table.hosts {
		for e := h.strangers.Front(); e != nil; e = e.Next() {
			all = append(all, e.Value.(*Conn))
		}
		for e := h.callers.Front(); e != nil; e = e.Next() {
			all = append(all, e.Value.(*Conn))
		}
	}
	return all
}

// echo sends back what comes.
func echo(conn net.Conn) { _, _ = io.Copy(conn, conn) }

// serverTLS is what a gate under test makes connections with.
func serverTLS() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate()}, NextProtos: []string{"http/1.1"}}
}

var certificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"relay"}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<34, 0)}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

// firstFlight is what a client of this configuration sends first.
func firstFlight(t *testing.T, config *tls.Config) []byte {
	t.Helper()
	client, server := net.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = tls.Client(client, config).HandshakeContext(ctx) // which nobody answers
	}()
	buffer := make([]byte, 1<<16)
	n, err := server.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	_ = server.Close()
	<-done
	_ = client.Close()
	return bytes.Clone(buffer[:n])
}

// hungUp waits until the other side closes and returns what it said before.
func hungUp(conn net.Conn) []byte {
	said, _ := io.ReadAll(conn)
	return said
}

// speak makes a handshake and one exchange.
func speak(conn net.Conn) error {
	return exchange(tls.Client(conn, &tls.Config{InsecureSkipVerify: true}))
}

func exchange(conn net.Conn) error {
	if _, err := io.WriteString(conn, "x"); err != nil {
		return err
	}
	_, err := io.ReadFull(conn, make([]byte, 1))
	return err
}
