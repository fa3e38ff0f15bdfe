package keyfile

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
)

const (
	// maxChain is far beyond what clients accept.
	maxChain = 32
	// maxIssuers bounds the signatures that are checked for one certificate.
	maxIssuers = 8
)

// given is a certificate of the file. What is not our own need not be parsed to
// be sent: a client may well know what the standard library here does not (a
// negative serial number, another curve). Then parsed is nil, and the names are
// all that is known.
type given struct {
	raw             []byte
	parsed          *x509.Certificate
	subject, issuer []byte
	fault           error
}

func readCertificates(raw [][]byte) ([]given, error) {
	var all []given
	for i, der := range raw {
		if indexOf(all, der) >= 0 {
			continue // a duplicate
		}
		c := given{raw: der}
		if c.parsed, c.fault = x509.ParseCertificate(der); c.fault == nil {
			c.subject, c.issuer = c.parsed.RawSubject, c.parsed.RawIssuer
		} else if c.issuer, c.subject = certificateNames(der); c.subject == nil {
			return nil, fmt.Errorf("its certificate number %d is damaged: %w", i+1, c.fault)
		}
		all = append(all, c)
	}
	return all, nil
}

func indexOf(all []given, der []byte) int {
	for i, c := range all {
		if bytes.Equal(c.raw, der) {
			return i
		}
	}
	return -1
}

// certificateNames are the issuer and the subject as they are encoded, nil where
// there is no certificate (RFC 5280, section 4.1).
func certificateNames(der []byte) (issuer, subject []byte) {
	outer, err := sequence(der)
	if err != nil || len(outer) != 3 {
		return nil, nil
	}
	fields, err := sequence(outer[0].FullBytes)
	if err == nil && len(fields) > 0 && fields[0].Class == asn1.ClassContextSpecific {
		fields = fields[1:] // the version
	}
	if err != nil || len(fields) < 6 { // serial number, algorithm, issuer, validity, subject, key
		return nil, nil
	}
	return fields[2].FullBytes, fields[4].FullBytes
}

// assemble returns what the key can serve: one for each of its certificates, as
// there is more than one where a certificate was renewed for the same key. Each
// has the chain above it, in the order that TLS wants; certificates that have
// nothing to do with it stay out and are counted.
func assemble(key crypto.PrivateKey, raw [][]byte) (served []tls.Certificate, unused []given, err error) {
	public, err := publicKey(key)
	if err != nil {
		return nil, nil, err
	}
	if len(raw) == 0 {
		return nil, nil, errNoCertificate
	}
	all, err := readCertificates(raw)
	if err != nil {
		return nil, nil, err
	}
	used := make([]bool, len(all))
	for i, own := range all {
		if own.parsed == nil || !public.Equal(own.parsed.PublicKey) {
			continue
		}
		cert := tls.Certificate{PrivateKey: key, Leaf: own.parsed}
		for at := i; at >= 0; at = issuerOf(all, at, cert.Certificate) {
			if len(cert.Certificate) == maxChain {
				return nil, nil, fmt.Errorf("its chain is longer than %d certificates", maxChain)
			}
			cert.Certificate = append(cert.Certificate, all[at].raw)
			used[at] = true
		}
		served = append(served, cert)
	}
	for i, c := range all {
		if !used[i] {
			unused = append(unused, c)
		}
	}
	if served == nil {
		return nil, nil, noMatch(all)
	}
	return served, unused, nil
}

func noMatch(all []given) error {
	for _, c := range all {
		if c.fault != nil {
			return fmt.Errorf("%w, or it belongs to one that cannot be parsed (%w)", ErrNoMatch, c.fault)
		}
	}
	return ErrNoMatch
}

// issuerOf is the index of the certificate above the one at lower, -1 if there is
// none or it is in the chain already. Names and key identifiers decide. Where
// they leave a choice, as after a new key of an authority, the signature does.
// Signatures are not judged for anything more: that is the client's business, which
// may accept algorithms that we would not.
func issuerOf(all []given, lower int, chain [][]byte) int {
	below := all[lower]
	if bytes.Equal(below.issuer, below.subject) {
		return -1
	}
	var fits []int
	for i, c := range all {
		if bytes.Equal(c.subject, below.issuer) && !contradict(c, below) && !contains(chain, c.raw) && len(fits) < maxIssuers {
			fits = append(fits, i)
		}
	}
	if len(fits) == 0 {
		return -1
	}
	for _, i := range fits {
		if len(fits) > 1 && below.parsed != nil && all[i].parsed != nil && below.parsed.CheckSignatureFrom(all[i].parsed) == nil {
			return i
		}
	}
	return fits[0]
}

func contradict(upper, lower given) bool {
	if upper.parsed == nil || lower.parsed == nil {
		return false
	}
	above, wanted := upper.parsed.SubjectKeyId, lower.parsed.AuthorityKeyId
	return len(above) > 0 && len(wanted) > 0 && !bytes.Equal(above, wanted)
}

func contains(chain [][]byte, der []byte) bool {
	for _, c := range chain {
		if bytes.Equal(c, der) {
			return true
		}
	}
	return false
}

var errNoCertificate = errors.New("it holds a private key but no certificate for it")
