package keyfile

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"

	keystore "github.com/pavlo-v-chernykh/keystore-go/v4"
	pkcs12 "software.sslmate.com/src/go-pkcs12"
)

// Format is the form of a key file that Generate writes.
type Format int

const (
	JKS    Format = iota // what the old server expects
	PKCS12               // for Java since version 12 and openssl since 1.1.1
	PEM                  // certificate and key in the clear; it has no password
)

// FormatOf is told by the ending of a file's name; none means JKS.
func FormatOf(path string) (Format, error) {
	switch ending := strings.ToLower(filepath.Ext(path)); ending {
	case "", ".jks", ".keystore":
		return JKS, nil
	case ".p12", ".pfx", ".pkcs12":
		return PKCS12, nil
	case ".pem":
		return PEM, nil
	default:
		return JKS, fmt.Errorf("the ending %q tells no form; .jks, .p12, .pfx and .pem do", ending)
	}
}

// GenerateOptions says what to make; its zero value is what the old server expects.
type GenerateOptions struct {
	Format   Format
	Hosts    []string         // DNS names and IP addresses besides localhost, 127.0.0.1 and ::1
	Password string           // of the store and the key in it; "": password
	ValidFor time.Duration    // from now, counted in seconds; 0: 10 years of 365 days
	Now      func() time.Time // nil: time.Now
}

// String hides the password (I7).
func (o GenerateOptions) String() string { return fmt.Sprintf("key file for %q", o.Hosts) }

// GoString hides the password (I7).
func (o GenerateOptions) GoString() string { return o.String() }

// Generate writes a key file with a new P-256 key and a certificate that it signs
// itself. P-256 because every request of the lambda is a new TLS handshake, and
// these cost less than half of what they cost with RSA.
func Generate(w io.Writer, o GenerateOptions) error {
	if o.Password == "" {
		o.Password = "password"
	}
	template, err := template(o)
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make private key: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return fmt.Errorf("make certificate: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("make certificate: %w", err)
	}
	switch o.Format {
	case PKCS12:
		return writePKCS12(w, key, certificate, o.Password)
	case PEM:
		return writePEM(w, key, certificate)
	}
	return writeJKS(w, key, certificate, o.Password)
}

func writeJKS(w io.Writer, key *ecdsa.PrivateKey, certificate *x509.Certificate, text string) error {
	password, err := jksPassword(text)
	if err != nil {
		return errors.New("write keystore: a password with characters beyond U+00FF is not supported for JKS; PKCS12 can have one")
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode private key: %w", err)
	}
	store := keystore.New()
	entry := keystore.PrivateKeyEntry{
		CreationTime:     certificate.NotBefore,
		PrivateKey:       keyDER,
		CertificateChain: []keystore.Certificate{{Type: "X.509", Content: certificate.Raw}},
	}
	if err := store.SetPrivateKeyEntry("audiences", entry, password); err != nil {
		return fmt.Errorf("encrypt private key: %w", err)
	}
	if err := store.Store(w, password); err != nil {
		return fmt.Errorf("write keystore: %w", err)
	}
	return nil
}

func writePKCS12(w io.Writer, key *ecdsa.PrivateKey, certificate *x509.Certificate, password string) error {
	file, err := pkcs12.Modern2023.Encode(key, certificate, nil, password)
	if err != nil {
		return fmt.Errorf("write keystore: %w", err)
	}
	if _, err := w.Write(file); err != nil {
		return fmt.Errorf("write keystore: %w", err)
	}
	return nil
}

func writePEM(w io.Writer, key *ecdsa.PrivateKey, certificate *x509.Certificate) error {
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode private key: %w", err)
	}
	if err := errors.Join(
		pem.Encode(w, &pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}),
		pem.Encode(w, &pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
	); err != nil {
		return fmt.Errorf("write PEM: %w", err)
	}
	return nil
}

// template is no certificate authority: whoever trusts it trusts this server alone.
func template(o GenerateOptions) (*x509.Certificate, error) {
	now, validFor := time.Now, o.ValidFor
	if o.Now != nil {
		now = o.Now
	}
	if validFor == 0 {
		validFor = 10 * 365 * 24 * time.Hour
	}
	if validFor < time.Second {
		return nil, errors.New("a certificate must be valid for at least a second")
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("make serial number: %w", err)
	}
	start := now().UTC()
	c := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "audiences"},
		NotBefore:             start.Add(-time.Hour), // clocks of clients differ
		NotAfter:              start.Add(validFor),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, host := range append([]string{"localhost", "127.0.0.1", "::1"}, o.Hosts...) {
		if ip := net.ParseIP(host); ip != nil {
			if !slices.ContainsFunc(c.IPAddresses, ip.Equal) {
				c.IPAddresses = append(c.IPAddresses, ip)
			}
		} else if !isHostName(host) {
			return nil, fmt.Errorf("%q is neither a host name nor an IP address", host)
		} else if !slices.Contains(c.DNSNames, host) {
			c.DNSNames = append(c.DNSNames, host)
		}
	}
	return c, nil
}

// isHostName lets *.example.com pass, and keeps out URLs and host:port.
func isHostName(s string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
	s = strings.TrimPrefix(s, "*.")
	return s != "" && len(s) <= 253 && strings.Trim(s, letters) == "" && !strings.Contains(s, "..") && !strings.HasPrefix(s, ".")
}
