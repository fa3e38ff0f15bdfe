package keyfile

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"
)

const day = 24 * time.Hour

// soon is how long before its end a certificate is worth a warning: a month is
// time enough to order and install a new one.
const soon = 30 * day

// urgency rises when the next end of a certificate in the chain is worth another warning:
// 30 days before it, 7, 1, then each day from it on.
func urgency(entry Entry, now time.Time) (rise int) {
	left := entry.Certificate.Leaf.NotAfter.Sub(now)
	for _, der := range entry.Certificate.Certificate {
		if c, err := x509.ParseCertificate(der); err == nil {
			left = min(left, c.NotAfter.Sub(now))
		}
	}
	for _, before := range []time.Duration{soon, 7 * day, day, 0} {
		if left < before {
			rise++
		}
	}
	return rise + max(0, days(-left))
}

// dateTrouble is what the first certificate of the chain says whose dates make clients refuse
// it now, or will within seven days; "": none.
func dateTrouble(entry Entry, now time.Time) string {
	for _, der := range entry.Certificate.Certificate {
		c, err := x509.ParseCertificate(der)
		if err == nil && (c.NotAfter.Sub(now) < 7*day || now.Before(c.NotBefore)) {
			return checkDates(c, now)
		}
	}
	return ""
}

// Summary is one line for people: the entry's name, kind of key, names, dates and
// the whole days left.
func Summary(entry Entry, now time.Time) string {
	cert := entry.Certificate
	leaf := cert.Leaf
	alias := ""
	if entry.Alias != "" {
		alias = fmt.Sprintf("entry %.60q, ", entry.Alias)
	}
	return fmt.Sprintf("%s%s, %s, for %s, valid from %s to %s, %d days left, chain of %d",
		alias, keyKind(leaf), leaf.Subject, names(leaf), date(leaf.NotBefore), date(leaf.NotAfter), days(leaf.NotAfter.Sub(now)), len(cert.Certificate))
}

// Check returns what makes clients refuse the certificate or soon will, and what
// is odd about its choice, one sentence each, nil if nothing is. It does not build
// a chain of trust: which roots the clients have is not known here.
func Check(entry Entry, now time.Time) []string {
	cert, warnings := entry.Certificate, slices.Clone(entry.Notes)
	for i, der := range cert.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			warnings = append(warnings, fmt.Sprintf("certificate %d of the chain is sent as it is; it cannot be parsed here: %v", i+1, err))
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

func days(d time.Duration) int { return int(d / day) }
