package keyfile

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"
)

// made is a certificate with its key, for the tests of the choice and the chain.
type made struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// issue makes a certificate; nil means that it signs itself.
func issue(t *testing.T, issuer *made, change func(*x509.Certificate)) *made {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<34, 0)}
	change(template)
	parent, signer := template, key
	if issuer != nil {
		parent, signer = issuer.certificate, issuer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &made{certificate, key}
}

func named(name string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.Subject = pkix.Name{CommonName: name} }
}

func authority(name string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.Subject, c.DNSNames = pkix.Name{CommonName: name}, nil
		c.IsCA, c.BasicConstraintsValid = true, true
	}
}

func pemCertificate(c *made) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.certificate.Raw}))
}

func pemPrivateKey(t *testing.T, key crypto.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// pemOf is a key file with one pair that is valid in that time.
func pemOf(t *testing.T, from, to time.Time) []byte {
	t.Helper()
	pair := issue(t, nil, func(c *x509.Certificate) { c.NotBefore, c.NotAfter = from, to })
	return []byte(pemCertificate(pair) + pemPrivateKey(t, pair.key))
}

// TestChoice among the entries of a file.
func TestChoice(t *testing.T) {
	now := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	from := func(a, b int) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = now.AddDate(0, 0, a), now.AddDate(0, 0, b)
		}
	}
	with := func(changes ...func(*x509.Certificate)) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			for _, change := range changes {
				change(c)
			}
		}
	}
	clientOnly := func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }
	opensslDefault := func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }
	for _, c := range []struct {
		name  string
		want  int
		notes int
		until time.Time // zero: never
		made  []func(*x509.Certificate)
	}{
		{"one, expired", 0, 0, time.Time{}, []func(*x509.Certificate){from(-9, -1)}},
		{"expired and valid", 1, 0, now.AddDate(0, 0, 9).Add(time.Nanosecond), []func(*x509.Certificate){from(-9, -1), from(-1, 9)}},
		{"valid and expired", 0, 0, now.AddDate(0, 0, 9).Add(time.Nanosecond), []func(*x509.Certificate){from(-1, 9), from(-9, -1)}},
		{"valid and not yet", 0, 0, now.AddDate(0, 0, 1), []func(*x509.Certificate){from(-9, 9), from(1, 90)}},
		{"two valid", 1, 0, now.AddDate(0, 0, 9).Add(time.Nanosecond), []func(*x509.Certificate){from(-9, 9), from(-1, 90)}},
		{"equals", 0, 0, now.AddDate(0, 0, 9).Add(time.Nanosecond), []func(*x509.Certificate){from(-9, 9), from(-9, 9)}},
		{"all expired", 1, 1, time.Time{}, []func(*x509.Certificate){from(-9, -3), from(-9, -1), from(-9, -2)}},
		{"expired and not yet", 1, 1, now.AddDate(0, 0, 1), []func(*x509.Certificate){from(-9, -1), from(1, 9)}},
		{"beside an authority", 1, 0, now.AddDate(0, 0, 9).Add(time.Nanosecond), []func(*x509.Certificate){with(authority("ca"), from(-9, 900)), from(-9, 9)}},
		{"expired beside an authority", 1, 1, now.AddDate(0, 0, 900).Add(time.Nanosecond), []func(*x509.Certificate){with(authority("ca"), from(-9, 900)), from(-9, -1)}},
		{"beside a client's", 1, 0, now.AddDate(0, 0, 9).Add(time.Nanosecond), []func(*x509.Certificate){with(clientOnly, from(-9, 900)), from(-9, 9)}},
		{"an authority that names its host", 0, 0, now.AddDate(0, 0, 9).Add(time.Nanosecond), []func(*x509.Certificate){with(opensslDefault, from(-9, 900)), from(-9, 9)}},
	} {
		var found []candidate
		var all []*made
		for _, change := range c.made {
			pair := issue(t, nil, change)
			all = append(all, pair)
			found = append(found, candidate{key: pair.key, certificates: [][]byte{pair.certificate.Raw}})
		}
		entry, err := choose(found, now)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if !entry.Certificate.Leaf.Equal(all[c.want].certificate) {
			t.Errorf("%s: valid from %s to %s was taken", c.name, entry.Certificate.Leaf.NotBefore, entry.Certificate.Leaf.NotAfter)
		}
		if len(entry.Notes) != c.notes || !entry.Until.Equal(c.until) {
			t.Errorf("%s: notes %q, until %s", c.name, entry.Notes, entry.Until)
		}
	}
}

// TestChoiceOfCertificates: one key, whose certificate was renewed.
func TestChoiceOfCertificates(t *testing.T) {
	pair := issue(t, nil, func(c *x509.Certificate) { c.NotAfter = time.Unix(1000, 0) })
	template := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{"localhost"}, NotAfter: time.Unix(1<<34, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &pair.key.PublicKey, pair.key)
	if err != nil {
		t.Fatal(err)
	}
	for _, order := range [][][]byte{{pair.certificate.Raw, der}, {der, pair.certificate.Raw}} {
		entry, err := choose([]candidate{{key: pair.key, certificates: order}}, time.Unix(2000, 0))
		if err != nil || entry.Certificate.Leaf.SerialNumber.Int64() != 2 {
			t.Errorf("%v: %v", entry.Certificate.Leaf, err)
		}
	}
}

// TestChoiceSkipsWhatCannotBeUsed, and says why where that matters.
func TestChoiceSkipsWhatCannotBeUsed(t *testing.T) {
	good := issue(t, nil, named("good"))
	other := issue(t, nil, named("other"))
	lone := candidate{alias: "lone", key: other.key}
	foreign := candidate{alias: "foreign", key: other.key, certificates: [][]byte{good.certificate.Raw}}
	fine := candidate{alias: "fine", key: good.key, certificates: [][]byte{good.certificate.Raw}}
	for _, found := range [][]candidate{{lone, fine}, {fine, foreign}, {foreign, lone, fine}} {
		entry, err := choose(found, time.Unix(1000, 0))
		if err != nil || entry.Alias != "fine" || len(entry.Notes) != 0 {
			t.Errorf("%q %q %v", entry.Alias, entry.Notes, err)
		}
	}
	entry, err := choose([]candidate{lone, fine}, time.Unix(1<<35, 0))
	if err != nil || len(entry.Notes) != 1 || !strings.Contains(entry.Notes[0], `"lone"`) {
		t.Errorf("expired, and the other entry is lost without a word: %q, %v", entry.Notes, err)
	}
	if _, err := choose([]candidate{lone, foreign}, time.Now()); err == nil || !strings.Contains(err.Error(), `"lone"`) {
		t.Errorf("%v", err)
	}
}

// TestChain is served in the right order, whatever the order in the file, with
// its duplicates taken out; what does not belong to it stays out and is named.
func TestChain(t *testing.T) {
	root := issue(t, nil, authority("root"))
	upper := issue(t, root, authority("upper"))
	lower := issue(t, upper, authority("lower"))
	leaf := issue(t, lower, named("leaf"))
	stranger := issue(t, nil, authority("stranger"))
	// An authority of the same name with another key, as after a change of keys.
	namesake := issue(t, nil, authority("lower"))
	for _, c := range []struct {
		name  string
		file  []*made
		chain []*made
		notes int
	}{
		{"in order", []*made{leaf, lower, upper, root}, []*made{leaf, lower, upper, root}, 0},
		{"backwards", []*made{root, upper, lower, leaf}, []*made{leaf, lower, upper, root}, 0},
		{"mixed, twice", []*made{upper, leaf, root, lower, leaf, upper}, []*made{leaf, lower, upper, root}, 0},
		{"a stranger", []*made{stranger, leaf, lower}, []*made{leaf, lower}, 1},
		{"a gap", []*made{leaf, upper, root}, []*made{leaf}, 2},
		{"a namesake first", []*made{leaf, namesake, lower, upper}, []*made{leaf, lower, upper}, 1},
	} {
		text := pemPrivateKey(t, leaf.key)
		for _, one := range c.file {
			text += pemCertificate(one)
		}
		entry, err := Parse([]byte(text), Options{})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if len(entry.Certificate.Certificate) != len(c.chain) || len(entry.Notes) != c.notes {
			t.Errorf("%s: chain of %d, notes %q", c.name, len(entry.Certificate.Certificate), entry.Notes)
			continue
		}
		for i, want := range c.chain {
			if string(entry.Certificate.Certificate[i]) != string(want.certificate.Raw) {
				t.Errorf("%s: number %d is another", c.name, i+1)
			}
		}
	}
}

// TestNamesakesWithoutKeyIdentifiers: nothing but the signature tells which of two
// authorities of one name is above.
func TestNamesakesWithoutKeyIdentifiers(t *testing.T) {
	one, two := issue(t, nil, authority("ca")), issue(t, nil, authority("ca"))
	bare := *two.certificate
	bare.SubjectKeyId = nil
	leaf := issue(t, &made{&bare, two.key}, named("leaf"))
	served, unused, err := assemble(leaf.key, [][]byte{leaf.certificate.Raw, one.certificate.Raw, two.certificate.Raw})
	if err != nil || len(unused) != 1 || !unused[0].parsed.Equal(one.certificate) || len(served[0].Certificate) != 2 {
		t.Errorf("%d left out, %v", len(unused), err)
	}
	if len(leaf.certificate.AuthorityKeyId) != 0 {
		t.Error("there is a key identifier; the test shows nothing")
	}
}
