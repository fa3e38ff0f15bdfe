package test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"audiences/sandbox"
	"audiences/test/harness"
)

// callersCertificate makes an authority, writes it to the file, and returns a certificate of
// a caller that it signed.
func callersCertificate(t *testing.T, file string) tls.Certificate {
	t.Helper()
	var keys [2]*ecdsa.PrivateKey
	for i := range keys {
		var err error
		if keys[i], err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	from, until := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	upper := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "callers"}, IsCA: true, BasicConstraintsValid: true, NotBefore: from, NotAfter: until}
	lower := &x509.Certificate{SerialNumber: big.NewInt(2), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, NotBefore: from, NotAfter: until}
	authority, err := x509.CreateCertificate(rand.Reader, upper, upper, keys[0].Public(), keys[0])
	if err != nil {
		t.Fatal(err)
	}
	own, err := x509.CreateCertificate(rand.Reader, lower, upper, keys[1].Public(), keys[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{own}, PrivateKey: keys[1]}
}

// TestCallersWithCertificates: with clientCaFile who has a certificate of the authority is
// served, also of one that took its place, and nobody else; and the supervisor's probe needs none.
func TestCallersWithCertificates(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{}, nil)
	file := filepath.Join(s.Dir, "callers.pem")

	for _, adminTLS := range []bool{false, true} {
		first := callersCertificate(t, file)
		s.Configure(map[string]any{"clientCaFile": file, "adminAddress": fmt.Sprintf("127.0.0.1:%d", harness.FreePort(t)), "adminTls": adminTLS})
		p := s.Start()
		served := func(certificates ...tls.Certificate) bool {
			transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				return &append(certificates, tls.Certificate{})[0], nil
			}}}
			client := &http.Client{Transport: transport, Timeout: harness.Patience}
			answer, err := p.SendBy(t.Context(), client, http.MethodGet, "/ping", "", nil)
			return err == nil && answer.Body == "pong"
		}
		if !served(first) || served() || served(callersCertificate(t, filepath.Join(s.Dir, "others.pem"))) {
			t.Error("a certificate of the authority alone should let callers in")
		}
		if code, stdout, stderr := harness.Run(t, nil, "healthcheck", s.Config()); code != exitDone || stdout != "alive\n" {
			t.Errorf("healthcheck: %d %s%s", code, stdout, stderr)
		}
		next := callersCertificate(t, file)
		harness.Eventually(t, harness.Patience, "the new authority", func() bool { return served(next) && !served(first) })
		if code := p.Terminate(); code != exitDone {
			t.Errorf("ended with %d", code)
		}
		if code, _, _ := harness.Run(t, nil, "healthcheck", s.Config()); code != exitFailed {
			t.Errorf("healthcheck of nobody: %d", code)
		}
	}
	if err := os.WriteFile(file, []byte("no PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"check", "serve"} {
		if code, stdout, stderr := harness.Run(t, nil, command, s.Config()); code == exitDone || !strings.Contains(stdout+stderr, file) {
			t.Errorf("%s with a broken file: %d %s%s", command, code, stdout, stderr)
		}
	}
}
