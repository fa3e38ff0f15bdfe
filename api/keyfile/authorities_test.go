package keyfile

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

func clientAuthority(t *testing.T) (file []byte, certificate *x509.Certificate) {
	t.Helper()
	entry, err := Parse(newKeyFile(t, 90), Options{Password: "password"})
	if err != nil {
		t.Fatal(err)
	}
	leaf := entry.Certificate.Leaf
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw}), leaf
}

func trusted(pool *x509.CertPool, certificate *x509.Certificate) bool {
	_, err := certificate.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return err == nil
}

// TestAuthoritiesAreRenewed: a new file is gone by within four seconds, and a broken one
// changes nothing but the log and the metric.
func TestAuthoritiesAreRenewed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "callers.pem")
	write := func(data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		first, old := clientAuthority(t)
		second, renewed := clientAuthority(t)
		write(first)
		registry, log := prometheus.NewRegistry(), &logged{}
		a, err := OpenAuthorities(AuthoritiesOptions{Path: path, Logger: zerolog.New(log), Registerer: registry})
		if err != nil {
			t.Fatal(err)
		}
		refused := func() float64 {
			families, err := registry.Gather()
			if err != nil || len(families) != 1 {
				t.Fatal(families, err)
			}
			return families[0].Metric[0].Gauge.GetValue()
		}
		ctx, cancel := context.WithCancel(t.Context())
		go a.Watch(ctx)
		after := func() {
			time.Sleep(2 * lookEvery)
			synctest.Wait()
		}
		after()
		if !trusted(a.Pool(), old) || trusted(a.Pool(), renewed) || refused() != 0 || log.String() != "" {
			t.Error("not the first file's", log.String())
		}
		write(second[:len(second)/2])
		after()
		if !trusted(a.Pool(), old) || refused() != 1 || !strings.Contains(log.String(), path) {
			t.Error("a broken file changed it", log.String())
		}
		write(second)
		after()
		if trusted(a.Pool(), old) || !trusted(a.Pool(), renewed) || refused() != 0 {
			t.Error("not the second file's", log.String())
		}
		cancel()
		synctest.Wait()
	})
}

// TestAuthoritiesThatCannotBe: a file of which any part would be left out is refused.
func TestAuthoritiesThatCannotBe(t *testing.T) {
	good, _ := clientAuthority(t)
	path := filepath.Join(t.TempDir(), "callers.pem")
	for name, data := range map[string][]byte{
		"empty":             nil,
		"no PEM":            []byte("certificate"),
		"no certificate":    pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")}),
		"half of it":        good[:len(good)/2],
		"the second broken": append(append([]byte(nil), good...), "-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n"...),
		"no certificate 2":  append(append([]byte(nil), good...), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})...),
		"too large":         append(append([]byte(nil), good...), make([]byte, maxFileBytes)...),
	} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := CheckAuthorities(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := OpenAuthorities(AuthoritiesOptions{Path: path}); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
	if err := CheckAuthorities(path + "x"); err == nil {
		t.Error("no fault of a file that is not there")
	}
	if a, err := OpenAuthorities(AuthoritiesOptions{}); err != nil || a.Pool() != nil {
		t.Errorf("%v: without a file clients are asked for certificates", err)
	}
}
