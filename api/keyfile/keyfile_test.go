package keyfile

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// handshake serves one connection with the certificate to a client that trusts
// only the top of the chain, and returns what the client saw.
func handshake(t *testing.T, cert tls.Certificate, root *x509.Certificate, version uint16) tls.ConnectionState {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(root)
	return shake(t, cert, &tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: version, MaxVersion: version})
}

// shake serves one connection to a client of that configuration.
func shake(t *testing.T, cert tls.Certificate, config *tls.Config) tls.ConnectionState {
	t.Helper()
	near, far := net.Pipe()
	defer far.Close()
	served := make(chan error, 1)
	go func() {
		server := tls.Server(near, &tls.Config{Certificates: []tls.Certificate{cert}})
		_, err := server.Write([]byte("hello"))
		served <- errors.Join(err, server.Close())
	}()
	client := tls.Client(far, config)
	text, err := io.ReadAll(client)
	if err != nil || string(text) != "hello" {
		t.Fatalf("the client read %q, %v", text, err)
	}
	if err := <-served; err != nil {
		t.Fatalf("serve: %v", err)
	}
	return client.ConnectionState()
}

// TestRealFiles: files made by keytool and openssl (testdata/make.sh) load, with
// the expected key and chain, and serve verified connections.
func TestRealFiles(t *testing.T) {
	entry := Options{Password: "password", KeyPassword: "entrypassword"}
	for _, c := range []struct {
		file, subject, key string
		chain              int
		options            Options
	}{
		{"jks-rsa.jks", "CN=server", "RSA 2048 bits", 1, Options{}},
		{"jks-ec.jks", "CN=server", "ECDSA P-384", 1, Options{}},
		{"jks-entry-password.jks", "CN=server", "ECDSA P-256", 1, entry},
		{"jks-several.jks", "CN=apple", "ECDSA P-256", 1, Options{}},
		{"pkcs12-keytool.p12", "CN=server", "RSA 2048 bits", 1, Options{}},
		{"pkcs12-called.jks", "CN=server", "ECDSA P-256", 1, Options{}},
		{"pkcs12-several.p12", "CN=apple", "RSA 2048 bits", 1, Options{}},
		{"pkcs12-chain.p12", "CN=leaf", "ECDSA P-256", 3, Options{}},
		{"pkcs12-legacy.p12", "CN=localhost", "RSA 2048 bits", 1, Options{}},
		{"pkcs12-ed25519.p12", "CN=localhost", "Ed25519", 1, Options{}},
		{"pem-chain.pem", "CN=leaf", "ECDSA P-256", 2, Options{}},
		{"pem-sec1.pem", "CN=leaf", "ECDSA P-256", 2, Options{}},
		{"pem-pkcs1.pem", "CN=localhost", "RSA 2048 bits", 1, Options{}},
		{"pem-ed25519.pem", "CN=localhost", "Ed25519", 1, Options{}},
	} {
		t.Run(c.file, func(t *testing.T) {
			if c.options.Password == "" {
				c.options.Password = "password"
			}
			entry, err := Load(filepath.Join("testdata", c.file), c.options)
			if err != nil {
				t.Fatal(err)
			}
			cert := entry.Certificate
			if cert.Leaf.Subject.String() != c.subject || keyKind(cert.Leaf) != c.key || len(cert.Certificate) != c.chain || !bytes.Equal(cert.Leaf.Raw, cert.Certificate[0]) {
				t.Errorf("%s, %s, %d certificates", cert.Leaf.Subject, keyKind(cert.Leaf), len(cert.Certificate))
			}
			root, err := x509.ParseCertificate(cert.Certificate[len(cert.Certificate)-1])
			if err != nil {
				t.Fatal(err)
			}
			for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				if state := handshake(t, cert, root, version); len(state.PeerCertificates) != c.chain || !state.PeerCertificates[0].Equal(cert.Leaf) {
					t.Errorf("the client saw %d certificates", len(state.PeerCertificates))
				}
			}
		})
	}
}

// TestRefusals: each file that cannot be used is refused for its own reason, in
// one sentence without a password (I7).
func TestRefusals(t *testing.T) {
	password := Options{Password: "password"}
	wrong := Options{Password: "hunter2", KeyPassword: "hunter3"}
	garbage := bytes.Repeat([]byte("hunter2 "), 20)
	for _, c := range []struct {
		name    string
		data    []byte
		options Options
		is      error  // one of these two
		says    string // for errors that nobody tells apart
	}{
		{"empty", nil, password, nil, "empty"},
		{"garbage", garbage, password, ErrNotAKeyFile, ""},
		{"too large", make([]byte, maxFileBytes+1), password, nil, "larger than"},
		{"JKS wrong password", fixture(t, "jks-rsa.jks"), wrong, ErrWrongPassword, ""},
		{"JKS no password", fixture(t, "jks-rsa.jks"), Options{}, ErrWrongPassword, ""},
		{"JKS wrong entry password", fixture(t, "jks-entry-password.jks"), password, ErrWrongPassword, "keyEntryPassword"},
		{"JKS beyond Latin-1", fixture(t, "jks-rsa.jks"), Options{Password: "hunter2\u20ac"}, ErrUnsupported, "U+00FF"},
		{"JKS empty", fixture(t, "jks-empty.jks"), password, ErrNoPrivateKey, ""},
		{"JKS of trusted certificates", fixture(t, "jks-trusted-only.jks"), password, ErrNoPrivateKey, ""},
		{"JKS truncated", fixture(t, "jks-truncated.jks"), password, ErrTruncated, ""},
		{"JKS magic alone", fixture(t, "jks-rsa.jks")[:4], password, ErrTruncated, ""},
		{"JKS with DSA", fixture(t, "jks-dsa.jks"), password, errKeyKind, ""},
		{"JKS of version 3", append([]byte{0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 3}, garbage...), password, nil, "version 3"},
		{"JCEKS", fixture(t, "jceks.jks"), password, ErrUnsupported, "JCEKS"},
		{"PKCS12 wrong password", fixture(t, "pkcs12-keytool.p12"), wrong, ErrWrongPassword, ""},
		{"PKCS12 of several, wrong password", fixture(t, "pkcs12-several.p12"), wrong, ErrWrongPassword, ""},
		{"PKCS12 legacy wrong password", fixture(t, "pkcs12-legacy.p12"), wrong, ErrWrongPassword, ""},
		{"PKCS12 empty", fixture(t, "pkcs12-empty.p12"), password, ErrNoPrivateKey, ""},
		{"PKCS12 of trusted certificates", fixture(t, "pkcs12-trusted-only.p12"), password, ErrNoPrivateKey, ""},
		{"PKCS12 truncated", fixture(t, "pkcs12-truncated.p12"), password, ErrTruncated, ""},
		{"PKCS12 first byte alone", []byte{0x30}, password, ErrTruncated, ""},
		{"PKCS12 without a MAC", fixture(t, "pkcs12-no-mac.p12"), password, ErrUnsupported, "without a MAC"},
		{"PKCS12 in BER", append([]byte{0x30, 0x80}, garbage...), password, errBER, "BER"},
		{"another DER sequence", []byte{0x30, 3, 2, 1, 5}, password, errDamagedPKCS12, ""},
		{"PEM without a key", fixture(t, "pem-no-key.pem"), password, ErrNoPrivateKey, ""},
		{"PEM with a key that signs nothing", fixture(t, "pem-rsa512.pem"), password, errKeyKind, "1024 bits"},
		{"PEM with another's key", fixture(t, "pem-foreign-key.pem"), password, ErrNoMatch, ""},
		{"PEM encrypted", fixture(t, "pem-encrypted.pem"), password, ErrUnsupported, "encrypted"},
		{"PEM encrypted, old form", fixture(t, "pem-encrypted-old.pem"), password, ErrUnsupported, "encrypted"},
		{"PEM truncated", fixture(t, "pem-chain.pem")[:1300], password, ErrTruncated, ""},
		{"PEM key alone", fixture(t, "pem-ed25519.pem")[:119], password, errNoCertificate, ""},
		{"PEM damaged certificate", []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), password, nil, "damaged"},
		{"PEM damaged key", []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), password, errKeyKind, ""},
	} {
		file := filepath.Join(t.TempDir(), "k")
		if err := os.WriteFile(file, c.data, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(file, c.options)
		if err == nil || (c.is != nil && !errors.Is(err, c.is)) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v; want %v %s", c.name, err, c.is, c.says)
			continue
		}
		if text := err.Error(); strings.Contains(text, "hunter") || strings.Contains(text, "\n") || !strings.Contains(text, file) {
			t.Errorf("%s: not one sentence that names the file without a password: %q", c.name, text)
		}
	}
	if _, err := Load("testdata", password); err == nil {
		t.Error("a directory was read")
	}
	if _, err := Load("testdata/absent", password); err == nil {
		t.Error("an absent file was read")
	}
}

// TestTruncatedAnywhere cuts real files at every length: never a panic, never a
// certificate.
func TestTruncatedAnywhere(t *testing.T) {
	for _, name := range []string{"jks-ec.jks", "pkcs12-called.jks"} {
		data := fixture(t, name)
		for n := range data {
			if _, err := Parse(data[:n], Options{Password: "password"}); err == nil {
				t.Fatalf("%s cut to %d bytes was accepted", name, n)
			} else if n >= 4 && !errors.Is(err, ErrTruncated) {
				t.Fatalf("%s cut to %d bytes: %v", name, n, err)
			}
		}
	}
}

// TestOptionsDoNotPrint covers I7.
func TestOptionsDoNotPrint(t *testing.T) {
	var out strings.Builder
	logger := slog.New(slog.NewJSONHandler(&out, nil))
	for _, v := range []any{Options{Password: "hunter2", KeyPassword: "hunter2"}, &Options{Password: "hunter2", KeyPassword: "hunter2"}, GenerateOptions{Password: "hunter2"}} {
		fmt.Fprintf(&out, "%v %+v %#v %s\n", v, v, v, v)
		logger.Info("x", "v", v)
	}
	if text, err := json.Marshal(Options{Password: "hunter2", KeyPassword: "hunter2"}); err != nil || bytes.Contains(text, []byte("hunter2")) {
		t.Errorf("%s, %v", text, err)
	}
	if strings.Contains(out.String(), "hunter2") {
		t.Error(out.String())
	}
}
