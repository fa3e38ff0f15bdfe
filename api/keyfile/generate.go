package keyfile

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"slices"
	"strings"
	"time"

	keystore "github.com/pavlo-v-chernykh/keystore-go/v4"
)

// GenerateOptions says what to make; its zero value is what the old server expects.
type GenerateOptions struct {
	Hosts    []string         // DNS names and IP addresses besides localhost, 127.0.0.1 and ::1
	Password string           // of the store and the key in it; "": password
	ValidFor time.Duration    // from now, counted in seconds; 0: 10 years of 365 days
	Now      func() time.Time // nil: time.Now
}

// String hides the password (I7).
func (o GenerateOptions) String() string { return fmt.Sprintf("key file for %q", o.Hosts) }

// GoString hides the password (I7).
func (o GenerateOptions) GoString() string { return o.String() }

// Generate writes a JKS keystore with a new P-256 key and a certificate that it
// signs itself. P-256 because every request of the lambda is a new TLS handshake,
// and these cost less than half of what they cost with RSA.
func Generate(w io.Writer, o GenerateOptions) error {
	if o.Password == "" {
		o.Password = "password"
	}
	password, err := jksPassword(o.Password)
	if err != nil {
		return err
	}
	template, err := template(o)
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make private key: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode private key: %w", err)
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return fmt.Errorf("make certificate: %w", err)
	}
	store := keystore.New()
	entry := keystore.PrivateKeyEntry{
		CreationTime:     template.NotBefore,
		PrivateKey:       keyDER,
		CertificateChain: []keystore.Certificate{{Type: "X.509", Content: certificate}},
	}
	if err := store.SetPrivateKeyEntry("audiences", entry, password); err != nil {
		return fmt.Errorf("encrypt private key: %w", err)
	}
	if err := store.Store(w, password); err != nil {
		return fmt.Errorf("write keystore: %w", err)
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
