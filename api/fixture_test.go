package api

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"audiences/audience"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fixture is a Server that listens on pipes, so that all of it, TLS included,
// lives in a synctest bubble: time is virtual and every instant exact.
type fixture struct {
	*Server
	pipes  *pipes
	client *http.Client // keeps its connections, speaks HTTP/2

	mu    sync.Mutex
	taken []audience.Change
}

// fooToken is that of the callers in tests.
var fooToken = []Token{tokenOf("authToken", "foo")}

func tokenOf(name, text string) Token {
	return Token{Name: name, Text: text, Hash: sha256.Sum256([]byte(text))}
}

// start serves until the test ends. Without an Accept of the test's own, every
// change is durable at once and kept in taken.
func start(t *testing.T, options Options) *fixture {
	t.Helper()
	f := &fixture{pipes: newPipes()}
	options.Tokens = fooToken
	options.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		served := certificate()
		return &served, nil
	}
	if options.Accept == nil {
		options.Accept = func(reply chan<- error, _ ...audience.Change) { reply <- nil }
	}
	accept := options.Accept
	options.Accept = func(reply chan<- error, changes ...audience.Change) {
		f.mu.Lock()
		f.taken = append(f.taken, changes...)
		f.mu.Unlock()
		accept(reply, changes...)
	}
	f.Server = New(options)
	transport := &http.Transport{
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return f.pipes.dial(ctx) },
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
		ForceAttemptHTTP2: true,
	}
	f.client = &http.Client{Transport: transport}
	served := make(chan error, 1)
	go func() { served <- f.Serve(f.pipes) }()
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := f.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return f
}

func (f *fixture) takenSoFar() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.taken)
}

// answer is what came back; status 0 when nothing did.
type answer struct {
	status     int
	body       string
	retryAfter string
	proto      string
	header     http.Header
	close      bool // the server ends the connection
}

func (f *fixture) do(t *testing.T, r *http.Request) answer {
	t.Helper()
	response, err := f.client.Do(r)
	if err != nil {
		t.Error(err)
		return answer{}
	}
	return readAnswer(response)
}

func (f *fixture) get(t *testing.T, path string) answer {
	t.Helper()
	return f.do(t, newRequest(http.MethodGet, path, nil))
}

func (f *fixture) post(t *testing.T, body string) answer {
	t.Helper()
	return f.do(t, newRequest(http.MethodPost, "/audiences", strings.NewReader(body)))
}

// postLater posts in a goroutine; the channel holds the answer when it is there.
func (f *fixture) postLater(t *testing.T, body string) <-chan answer {
	answers := make(chan answer, 1)
	go func() { answers <- f.post(t, body) }()
	return answers
}

func newRequest(method, path string, body io.Reader) *http.Request {
	r, err := http.NewRequest(method, "https://relay"+path, body)
	if err != nil {
		panic(err)
	}
	r.Header.Set("Authorization", "foo")
	return r
}

func readAnswer(response *http.Response) answer {
	defer func() { _ = response.Body.Close() }()
	text, _ := io.ReadAll(response.Body)
	return answer{response.StatusCode, string(text), response.Header.Get("Retry-After"), response.Proto, response.Header, response.Close}
}

// dialOnce is for a client that has one connection, which is there already.
func dialOnce(plain net.Conn) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		if plain == nil {
			return nil, net.ErrClosed
		}
		conn := tls.Client(plain, &tls.Config{InsecureSkipVerify: true})
		plain = nil
		return conn, conn.HandshakeContext(ctx)
	}
}

// raw sends text as it is over a connection of its own, which stays open, and
// returns what is answered; a zero answer means that the server hung up.
func (f *fixture) raw(t *testing.T, text string) <-chan answer {
	t.Helper()
	plain, err := f.pipes.dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	conn := tls.Client(plain, &tls.Config{InsecureSkipVerify: true})
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	answers := make(chan answer, 1)
	go func() { // before writing: the server's session ticket wants a reader
		defer func() { _ = plain.Close() }()
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			answers <- answer{}
			return
		}
		answers <- readAnswer(response)
	}()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return answers
}

// pipes is a net.Listener whose connections are net.Pipes.
type pipes struct {
	waiting chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

func newPipes() *pipes { return &pipes{waiting: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) dial(ctx context.Context) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.waiting <- server:
		return client, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.waiting:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes", Net: "pipe"} }

var certificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"relay"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<34, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

// logBuffer is a log that may be read while others write to it.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(line)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
