package connections

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// issuer is an authority of clients.
type issuer struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newIssuer(t *testing.T) issuer {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<34, 0)}
	key, der := signed(t, template, template, nil)
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return issuer{parsed, key}
}

func (i issuer) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(i.certificate)
	return pool
}

// client is a client's certificate that ends then.
func (i issuer) client(t *testing.T, usage x509.ExtKeyUsage, until time.Time) []tls.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(2), ExtKeyUsage: []x509.ExtKeyUsage{usage}, NotBefore: time.Unix(0, 0), NotAfter: until}
	key, der := signed(t, template, i.certificate, i.key)
	return []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}
}

// signed makes a key and its certificate, signed by itself without a signer.
func signed(t *testing.T, template, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if signer == nil {
		signer = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	return key, der
}

// TestClientCertificates: who has no certificate of the authorities is refused in the
// handshake and counted under what is wrong with it, in both versions of TLS.
func TestClientCertificates(t *testing.T) {
	later := time.Unix(1<<33, 0)
	ours, others := newIssuer(t), newIssuer(t)
	for name, c := range map[string]struct {
		certificates []tls.Certificate
		want         Failure // "": it is served
	}{
		"one of ours":         {ours.client(t, x509.ExtKeyUsageClientAuth, later), ""},
		"none":                {nil, NoClient},
		"another authority's": {others.client(t, x509.ExtKeyUsageClientAuth, later), BadClient},
		"one that has ended":  {ours.client(t, x509.ExtKeyUsageClientAuth, time.Unix(1, 0)), BadClient},
		"that of a server":    {ours.client(t, x509.ExtKeyUsageServerAuth, later), BadClient},
		"signed by who it is": {[]tls.Certificate{certificate()}, BadClient},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(name+" "+tls.VersionName(version), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					g, s := open(t, Options{TLS: serverTLS(), ClientCAs: ours.pool}, echo)
					conn := tls.Client(s.dial(t, "192.0.2.1"), &tls.Config{InsecureSkipVerify: true, MaxVersion: version,
						GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
							if c.certificates == nil {
								return &tls.Certificate{}, nil
							}
							return &c.certificates[0], nil
						}})
					err := exchange(conn)
					_ = conn.Close()
					synctest.Wait()
					if (err == nil) != (c.want == "") {
						t.Errorf("%v", err)
					}
					for _, why := range Failures() {
						want := 0.0
						if why == c.want {
							want = 1
						}
						if got := testutil.ToFloat64(g.metrics.failed.WithLabelValues(string(why))); got != want {
							t.Errorf("%s: %v, want %v", why, got, want)
						}
					}
				})
			})
		}
	}
}

// TestAuthorityThatIsTakenAway: who had a session by its certificate has no other without
// it, and without authorities nobody needs any.
func TestAuthorityThatIsTakenAway(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		synctest.Test(t, func(t *testing.T) {
			ours := newIssuer(t)
			pool := ours.pool()
			_, s := open(t, Options{TLS: serverTLS(), ClientCAs: func() *x509.CertPool { return pool }}, echo)
			client := &tls.Config{InsecureSkipVerify: true, MaxVersion: version, ServerName: "relay", ClientSessionCache: tls.NewLRUClientSessionCache(0),
				Certificates: ours.client(t, x509.ExtKeyUsageClientAuth, time.Unix(1<<33, 0))}
			try := func(s *street, config *tls.Config) error {
				conn := tls.Client(s.dial(t, "192.0.2.1"), config)
				defer func() { _ = conn.Close() }()
				return exchange(conn)
			}
			if err := try(s, client); err != nil {
				t.Error(err)
			}
			pool = newIssuer(t).pool()
			if try(s, client) == nil {
				t.Error("its session went on without its authority")
			}
			pool = nil
			if err := try(s, &tls.Config{InsecureSkipVerify: true, MaxVersion: version}); err != nil {
				t.Error(err)
			}
		})
	}
}
