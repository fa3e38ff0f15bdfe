package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"audiences/api/keyfile"
)

const (
	balancerLooks   = 250 * time.Millisecond // how often it asks the nodes whether they are ready
	balancerWaits   = 5 * time.Second        // for a node's answer
	balancerMaxBody = 32 << 20
)

// balancer stands before the nodes of the sandbox, as a load balancer does before those
// of a deployment. It ends TLS itself, so that it can repeat a post at another node where
// that is safe: where no connection came about, or the node says that it has not taken it.
// A post whose outcome is unknown is the caller's to repeat: it may be committed later than
// what this caller posts next.
type balancer struct {
	listener net.Listener
	server   *http.Server
	client   *http.Client // to the posts' port of the nodes
	probes   *http.Client // to their admin address

	targets atomic.Pointer[[]*target]
	turn    atomic.Uint64
}

// target is a node as the balancer knows it.
type target struct {
	https, admin string // host:port
	ready        atomic.Bool
}

// newBalancer listens on a port of this machine, 0 for a free one, with the certificate
// that its nodes have, too.
func newBalancer(port int, entry keyfile.Entry) (*balancer, error) {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, fmt.Errorf("open the balancer's port: %w", err)
	}
	trusted := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // #nosec G402 -- VerifyConnection below is stricter
		VerifyConnection: func(state tls.ConnectionState) error {
			if !bytes.Equal(state.PeerCertificates[0].Raw, entry.Certificate.Certificate[0]) {
				return errors.New("it is no node of this sandbox")
			}
			return nil
		},
	}
	b := &balancer{
		listener: tls.NewListener(listener, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{entry.Certificate}}),
		client:   &http.Client{Timeout: balancerWaits, Transport: &http.Transport{TLSClientConfig: trusted, MaxIdleConnsPerHost: 64}},
		probes:   &http.Client{Timeout: time.Second, Transport: &http.Transport{}},
	}
	b.use(nil)
	b.server = &http.Server{Handler: b, ReadHeaderTimeout: balancerWaits, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = b.server.Serve(b.listener) }() // until close
	return b, nil
}

func (b *balancer) url() string { return "https://" + b.listener.Addr().String() + "/audiences" }

func (b *balancer) close() {
	_ = b.server.Close() // callers who wait are cut off
	b.client.CloseIdleConnections()
	b.probes.CloseIdleConnections()
}

// use has these nodes take the posts from now on, those of them that are ready.
func (b *balancer) use(targets []*target) { b.targets.Store(&targets) }

// watch asks the nodes again and again whether they are ready, until ctx ends.
func (b *balancer) watch(ctx context.Context) {
	ticks := time.NewTicker(balancerLooks)
	defer ticks.Stop()
	for {
		var looking sync.WaitGroup
		for _, t := range *b.targets.Load() {
			looking.Go(func() { t.ready.Store(b.isReady(ctx, t)) })
		}
		looking.Wait()
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return
		}
	}
}

func (b *balancer) isReady(ctx context.Context, t *target) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+t.admin+"/readyz", nil)
	if err != nil {
		return false
	}
	response, err := b.probes.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body) // so that the connection is used again
	return response.StatusCode == http.StatusOK
}

// ready are the nodes that are, another one first each time.
func (b *balancer) ready() (list []*target) {
	all := *b.targets.Load()
	turn := int(b.turn.Add(1) % uint64(max(1, len(all))))
	for i := range all {
		if t := all[(turn+i)%len(all)]; t.ready.Load() {
			list = append(list, t)
		}
	}
	return list
}

// answer is what a node said.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// says is an answer of the balancer's own, in the form of the relay's.
func says(message string) answer {
	return answer{http.StatusServiceUnavailable, http.Header{"Content-Type": {"application/json"}, "Retry-After": {"1"}}, []byte(`{"message":"` + message + `"}`)}
}

// unknown begins what relays say of a post that may have been taken all the same.
const unknown = "outcome unknown"

func (b *balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, balancerMaxBody))
	if err != nil {
		http.Error(w, `{"message":"the body cannot be read"}`, http.StatusBadRequest)
		return
	}
	a := b.spread(r, body)
	maps.Copy(w.Header(), a.header)
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // fails only when the caller has gone
}

// spread sends a request to one node after the other until one has taken it, or may have.
func (b *balancer) spread(r *http.Request, body []byte) answer {
	last := says("no node is ready, send it again")
	for _, t := range b.ready() {
		a, sent, err := b.send(r, body, t)
		switch {
		case err != nil && sent:
			return says(unknown + ", send it again")
		case err != nil:
			t.ready.Store(false)
		case a.status != http.StatusServiceUnavailable || strings.Contains(string(a.body), unknown):
			return a
		default:
			last = a
		}
	}
	return last
}

// send sends a request to one node. sent: there was a connection for it, and so nobody
// knows what became of it where there is an error.
func (b *balancer) send(r *http.Request, body []byte, t *target) (a answer, sent bool, err error) {
	ctx := httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { sent = true }})
	request, err := http.NewRequestWithContext(ctx, r.Method, "https://"+t.https+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return a, false, err
	}
	for _, name := range []string{"Authorization", "Content-Type", "Content-Encoding"} {
		request.Header[name] = r.Header[name]
	}
	response, err := b.client.Do(request)
	if err != nil {
		return a, sent, err
	}
	defer response.Body.Close()
	a.status, a.header = response.StatusCode, response.Header
	a.body, err = io.ReadAll(response.Body)
	return a, true, err
}
