package connections

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestSuitesOfTLS12 has a client offer each suite of TLS 1.2 alone, to a server with an ECDSA
// and an RSA certificate: those that have forward secrecy and are no CBC are spoken, and no
// others.
func TestSuitesOfTLS12(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<34, 0)}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	server := serverTLS()
	server.Certificates = append(server.Certificates, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key})
	want := []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
		tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	}
	for _, suite := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		if !slices.Contains(suite.SupportedVersions, tls.VersionTLS12) {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			_, s := open(t, Options{TLS: server}, echo)
			conn := tls.Client(s.dial(t, "192.0.2.1"), &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite.ID}})
			defer func() { _ = conn.Close() }()
			if err := exchange(conn); (err == nil) != slices.Contains(want, suite.ID) {
				t.Errorf("%s: %v", suite.Name, err)
			}
		})
	}
}
