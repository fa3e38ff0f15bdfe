package keyfile

import (
	"cmp"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"time"
)

// Entry is what a key file is served with.
type Entry struct {
	// Certificate is the chain in the order that TLS wants, the server's own
	// certificate first and parsed into Leaf, with its private key.
	Certificate tls.Certificate
	// Alias is the entry's name in the file; "" where it has none.
	Alias string
	// Notes are what a person should know about the choice and about what of the
	// file is not served, one sentence each.
	Notes []string
	// Until is when another entry of the file may become the right one, because
	// one ends or begins to be valid. Zero: never.
	Until time.Time
}

// candidate is a private key of the file with the certificates that may be its
// own or above its own, or with what keeps it from being used.
type candidate struct {
	alias        string
	key          crypto.PrivateKey
	certificates [][]byte
	wholeFile    bool // the certificates are meant for this key: each that is left out is worth a note
	err          error
}

// choose takes the entry that is valid now, and among several the one that ends
// last; where none is valid, the one that ends last of all. A certificate that no
// client accepts from a server at all, such as that of an authority, comes after
// all others. Equals go by the order in which they are given.
func choose(found []candidate, now time.Time) (Entry, error) {
	var entries []Entry
	var faults []error
	for _, c := range found {
		made, err := c.entries()
		entries = append(entries, made...)
		if err != nil {
			faults = append(faults, err)
		}
	}
	switch {
	case len(entries) == 0 && len(faults) == 0:
		return Entry{}, ErrNoPrivateKey
	case len(entries) == 0:
		return Entry{}, faults[0]
	}
	slices.SortStableFunc(entries, func(a, b Entry) int {
		x, y := a.Certificate.Leaf, b.Certificate.Leaf
		return cmp.Or(
			first(isForServers(x), isForServers(y)),
			first(isValid(x, now), isValid(y, now)),
			y.NotAfter.Compare(x.NotAfter))
	})
	chosen := entries[0]
	chosen.Until = nextChange(entries, now)
	if !isValid(chosen.Certificate.Leaf, now) {
		if len(entries) > 1 {
			chosen.Notes = append(chosen.Notes, fmt.Sprintf("none of its %d entries is valid now; the one that ends last is served", len(entries)))
		}
		for _, fault := range faults {
			chosen.Notes = append(chosen.Notes, fmt.Sprintf("an entry cannot be used: %v", fault))
		}
	}
	return chosen, nil
}

func (c candidate) entries() ([]Entry, error) {
	err := c.err
	var served []tls.Certificate
	var unused []given
	if err == nil {
		served, unused, err = assemble(c.key, c.certificates)
	}
	if err != nil && c.alias != "" {
		err = fmt.Errorf("entry %.60q: %w", c.alias, err)
	}
	var entries []Entry
	for _, cert := range served {
		entry := Entry{Certificate: cert, Alias: c.alias}
		for _, left := range unused {
			if c.wholeFile {
				entry.Notes = append(entry.Notes, "a certificate of the file does not belong to the chain and is not sent: "+left.name())
			}
		}
		entries = append(entries, entry)
	}
	return entries, err
}

func (g given) name() string {
	if g.parsed == nil {
		return "one that cannot be parsed"
	}
	return fmt.Sprintf("%.100s", g.parsed.Subject)
}

// first sorts true before false.
func first(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

func isValid(c *x509.Certificate, now time.Time) bool {
	return !now.Before(c.NotBefore) && !now.After(c.NotAfter)
}

// isForServers is false for an authority that names no host, and for a
// certificate that was made for something else. Many self-signed ones of servers
// are authorities as well, by the default of openssl.
func isForServers(c *x509.Certificate) bool {
	if c.IsCA && names(c) == noNames {
		return false
	}
	return len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) == 0 ||
		slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth) || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny)
}

// nextChange is the first instant after now at which one of several certificates
// begins or has ended to be valid.
func nextChange(entries []Entry, now time.Time) time.Time {
	var next time.Time
	if len(entries) < 2 {
		return next
	}
	for _, entry := range entries {
		leaf := entry.Certificate.Leaf
		for _, at := range []time.Time{leaf.NotBefore, leaf.NotAfter.Add(time.Nanosecond)} {
			if at.After(now) && (next.IsZero() || at.Before(next)) {
				next = at
			}
		}
	}
	return next
}
