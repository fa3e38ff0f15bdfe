package keyfile

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
	"time"
)

// soon is how long before its end a certificate is worth a warning: a month is
// time enough to order and install a new one.
const soon = 30 * 24 * time.Hour

// Summary is one line for people: kind of key, names, dates and the whole days
// left. The certificate must come from [Load] or [Parse].
func Summary(cert tls.Certificate, now time.Time) string {
	leaf := cert.Leaf
	return fmt.Sprintf("%s, %s, for %s, valid from %s to %s, %d days left, chain of %d",
		keyKind(leaf), leaf.Subject, names(leaf), date(leaf.NotBefore), date(leaf.NotAfter), days(leaf.NotAfter.Sub(now)), len(cert.Certificate))
}

// Check returns what makes clients refuse the certificate or soon will, one
// sentence each, nil if nothing does. It does not build a chain of trust: which
// roots the clients have is not known here. The certificate must come from [Load]
// or [Parse].
func Check(cert tls.Certificate, now time.Time) []string {
	var warnings []string
	for i, der := range cert.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			warnings = append(warnings, fmt.Sprintf("certificate %d of the chain cannot be read: %v", i+1, err))
			continue
		}
		if warning := checkDates(c, now); warning != "" {
			warnings = append(warnings, fmt.Sprintf("certificate %d of the chain (%.100s) %s", i+1, c.Subject, warning))
		}
	}
	leaf := cert.Leaf
	if names(leaf) == noNames {
		warnings = append(warnings, "the certificate names no host (subject alternative name); clients that verify it refuse it")
	}
	if key, ok := leaf.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() < 2048 {
		warnings = append(warnings, fmt.Sprintf("the RSA key has %d bits; many clients refuse less than 2048", key.N.BitLen()))
	}
	return warnings
}

func checkDates(c *x509.Certificate, now time.Time) string {
	left := c.NotAfter.Sub(now)
	switch {
	case left < 0:
		return fmt.Sprintf("expired on %s, %d days ago", date(c.NotAfter), days(-left))
	case now.Before(c.NotBefore):
		return "is not valid before " + date(c.NotBefore)
	case left < soon:
		return fmt.Sprintf("expires on %s, in %d days", date(c.NotAfter), days(left))
	}
	return ""
}

const noNames = "no host"

func names(c *x509.Certificate) string {
	all := append([]string(nil), c.DNSNames...)
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	if len(all) == 0 {
		return noNames
	}
	return strings.Join(all, " ")
}

func keyKind(c *x509.Certificate) string {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d bits", key.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + key.Params().Name
	}
	return c.PublicKeyAlgorithm.String()
}

func date(t time.Time) string { return t.UTC().Format(time.DateOnly) }

func days(d time.Duration) int { return int(d / (24 * time.Hour)) }
