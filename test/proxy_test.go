package test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"audiences/sandbox"
	"audiences/test/harness"
)

// hiddenHost is a name that no resolver knows (RFC 6761): who reaches it went by
// way of the proxy.
const hiddenHost = "split.test"

// connectProxy tunnels to one server, whatever host it is asked for.
type connectProxy struct {
	server string // host:port

	mu    sync.Mutex
	asked []string // host:port and Proxy-Authorization of each CONNECT
}

func (p *connectProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked = append(p.asked, r.Method+" "+r.Host+" "+r.Header.Get("Proxy-Authorization"))
	p.mu.Unlock()
	if r.Method != http.MethodConnect {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	there, err := net.Dial("tcp", p.server)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer there.Close()
	here, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer here.Close()
	_, _ = io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
	go func() { // until either side closes
		_, _ = io.Copy(there, here)
		_ = there.Close()
	}()
	_, _ = io.Copy(here, there)
}

func (p *connectProxy) requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.asked...)
}

// behindTLS serves the look-alike under hiddenHost, with a certificate of which the
// PEM text is returned.
func behindTLS(t *testing.T, s *harness.Site) (address, authority string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: hiddenHost}, DNSNames: []string{hiddenHost},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	to, err := url.Parse(s.Split.URL)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(httputil.NewSingleHostReverseProxy(to))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String(), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// TestProxyAndAuthorities: calls to Split take the way and trust the authorities
// that the environment names, as docs/configuration.md says.
func TestProxyAndAuthorities(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{}, nil)
	address, authority := behindTLS(t, s)
	proxy := &connectProxy{server: address}
	front := httptest.NewServer(proxy)
	t.Cleanup(front.Close)
	file := filepath.Join(s.Dir, "authorities", "own.pem")
	if err := os.Mkdir(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, file, authority)
	through := strings.Replace(front.URL, "http://", "http://relay:sekrit-proxy@", 1)
	credentials := "Basic " + base64.StdEncoding.EncodeToString([]byte("relay:sekrit-proxy"))
	for _, c := range []struct {
		what   string
		env    []string
		reason string // of calls that do not get through
		asks   bool   // the proxy
	}{
		{"proxy and file", []string{"HTTPS_PROXY=" + through, "SSL_CERT_FILE=" + file}, "", true},
		{"in small letters and a directory", []string{"https_proxy=" + through, "SSL_CERT_DIR=" + filepath.Dir(file)}, "", true},
		{"an authority that nobody named", []string{"HTTPS_PROXY=" + through}, "tls_failure", true},
		{"around the proxy", []string{"HTTPS_PROXY=" + through, "NO_PROXY=" + hiddenHost, "SSL_CERT_FILE=" + file}, "dns_failure", false},
		{"a proxy that is not there", []string{"HTTPS_PROXY=http://relay:sekrit-proxy@127.0.0.1:1", "SSL_CERT_FILE=" + file}, "unreachable", false},
	} {
		s.Configure(map[string]any{"splitApiUrl": "https://" + hiddenHost, "journalDir": strings.ReplaceAll(c.what, " ", "-"), "drainTimeout": 0})
		before := len(proxy.requests())
		p := s.LaunchWith(append([]string{"NO_PROXY=", "no_proxy="}, c.env...))
		p.Listening()
		segment := "s" + strings.ReplaceAll(c.what, " ", "_")
		p.MustPost(harness.Change{Segment: segment, Keys: []string{"1"}})
		reason := c.reason
		if reason == "" {
			reason = "delivered"
		}
		harness.Eventually(t, harness.Patience, c.what+": a call ends as "+reason, func() bool {
			a, err := p.AdminGet("/metrics")
			return err == nil && strings.Contains(a.Body, `audiences_split_calls_total{reason="`+reason+`"} `) &&
				!strings.Contains(a.Body, `audiences_split_calls_total{reason="`+reason+`"} 0`)
		})
		if got := len(s.Members(segment)) == 1; got != (c.reason == "") {
			t.Errorf("%s: delivered: %v", c.what, got)
		}
		asked := proxy.requests()[before:]
		if (len(asked) > 0) != c.asks {
			t.Errorf("%s: the proxy was asked %q", c.what, asked)
		}
		for _, request := range asked {
			if request != "CONNECT "+hiddenHost+":443 "+credentials {
				t.Errorf("%s: the proxy was asked %q", c.what, request)
			}
		}
		p.Terminate()
		mustNotShow(t, "the log", p.Log(), "sekrit-proxy", harness.APIToken)
	}
}
