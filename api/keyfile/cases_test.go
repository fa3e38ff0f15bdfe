package keyfile

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// passwords of the files that have another than "password".
var passwords = map[string]string{
	"jks-entry-password.jks": "password", "euro.jks": "pass€word", "cyr.jks": "пароль123",
	"pkcs12-latin.p12": "pässwörd", "pkcs12-euro.p12": "pass€word", "pkcs12-emoji.p12": "🔑password",
	"pkcs12-no-password.p12": "", "pkcs12-legacy-no-password.p12": "",
}

func optionsFor(file string) Options {
	if password, ok := passwords[filepath.Base(file)]; ok {
		return Options{Password: password}
	}
	return Options{Password: "password"}
}

// TestServed: files of the kinds that other software writes. The chain is as long
// as it can be made from the file.
func TestServed(t *testing.T) {
	now := func() time.Time { return time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC) }
	for _, c := range []struct {
		file, subject string
		chain         int
	}{
		{"cases/gnutls-chain.p12", "CN=leaf.example", 2},
		{"cases/negchain.pem", "CN=neg-leaf.example", 2},
		{"cases/negtrust.p12", "CN=srv", 1},
		{"cases/by-secp256k1.p12", "CN=srv", 1},
		{"cases/bom-key-first.pem", "CN=leaf.example", 2},
		{"cases/glued-middle.pem", "CN=leaf3", 3},
		{"cases/glued-cert-key.pem", "CN=leaf3", 1},
		{"pem-brainpool.pem", "CN=under-brain", 2},
		{"pkcs12-others.p12", "CN=leaf", 3},
		{"pkcs12-legacy-others.p12", "CN=leaf", 3},
		{"pkcs12-mac-sha1.p12", "CN=leaf", 1},
		{"pkcs12-mac-sha512.p12", "CN=leaf", 1},
		{"pkcs12-prf-SHA1.p12", "CN=server", 1},
		{"pkcs12-prf-SHA224.p12", "CN=server", 1},
		{"pkcs12-prf-SHA384.p12", "CN=server", 1},
		{"pkcs12-prf-SHA512.p12", "CN=server", 1},
		{"jks-years.jks", "CN=relay-2026", 1},
		{"pkcs12-years.p12", "CN=relay-2026", 1},
		{"pkcs12-legacy-years.p12", "CN=relay-2026", 1},
		{"pkcs12-latin.p12", "CN=leaf", 1},
		{"pkcs12-euro.p12", "CN=leaf", 1},
		{"pkcs12-no-password.p12", "CN=leaf", 1},
		{"pkcs12-legacy-no-password.p12", "CN=leaf", 1},
		{"pkcs12-clear.p12", "CN=leaf", 1},
	} {
		o := optionsFor(c.file)
		o.Now = now
		entry, err := Load(filepath.Join("testdata", c.file), o)
		if err != nil {
			t.Errorf("%s: %v", c.file, err)
			continue
		}
		cert := entry.Certificate
		if cert.Leaf.Subject.String() != c.subject || len(cert.Certificate) != c.chain {
			t.Errorf("%s: %s", c.file, Summary(entry, now()))
		}
		own := cert
		own.Certificate = cert.Certificate[:1] // the client here parses no more than the server
		if state := handshakeAny(t, own); !state.PeerCertificates[0].Equal(cert.Leaf) {
			t.Errorf("%s: the client saw %s", c.file, state.PeerCertificates[0].Subject)
		}
		o.Password += "x"
		if _, err := Load(filepath.Join("testdata", c.file), o); strings.HasSuffix(c.file, ".p12") && !errors.Is(err, ErrWrongPassword) {
			t.Errorf("%s with a wrong password: %v", c.file, err)
		}
	}
}

// handshakeAny is for certificates that nobody here trusts.
func handshakeAny(t *testing.T, cert tls.Certificate) tls.ConnectionState {
	t.Helper()
	return shake(t, cert, &tls.Config{InsecureSkipVerify: true})
}

// TestUnsupported: forms that no library here reads are told from damage and from
// a wrong password, and the command that converts them is named. The end-to-end
// tests run these commands and serve what comes of them.
func TestUnsupported(t *testing.T) {
	for file, words := range map[string][2]string{
		"cases/nss.p12":             {"BER", openssl},
		"cases/mac-sha384.p12":      {"SHA-384", openssl},
		"cases/kt-hmac384.p12":      {"SHA-384", openssl},
		"pkcs12-mac-sha224.p12":     {"SHA-224", openssl},
		"pkcs12-mac-sha384.p12":     {"SHA-384", openssl},
		"pkcs12-mac-sha512-256.p12": {"SHA-512/256", openssl},
		"pkcs12-no-mac.p12":         {"without a MAC", openssl},
		"pkcs12-emoji.p12":          {"beyond U+FFFF", openssl},
		"pkcs12-legacy-trusted.p12": {"negative serial number", opensslLegacy},
		"cases/euro.jks":            {"beyond U+00FF", keytoolJKS},
		"cases/cyr.jks":             {"beyond U+00FF", keytoolJKS},
		"jceks.jks":                 {"JCEKS", keytoolJCEKS},
		"pem-encrypted.pem":         {"encrypted", opensslExport},
		"pem-encrypted-old.pem":     {"encrypted", opensslExport},
	} {
		_, err := Load(filepath.Join("testdata", file), optionsFor(file))
		if !errors.Is(err, ErrUnsupported) || errors.Is(err, ErrWrongPassword) {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if !strings.Contains(err.Error(), words[0]) || !strings.Contains(err.Error(), "convert it with: "+words[1]) {
			t.Errorf("%s: %v; want %q", file, err, words)
		}
	}
}

// TestBERInside: the outermost length says nothing of what is inside.
func TestBERInside(t *testing.T) {
	safe, err := asn1.Marshal([]asn1.RawValue{})
	if err != nil {
		t.Fatal(err)
	}
	pieces := func(content []byte) asn1.RawValue { // an OCTET STRING in two pieces
		var both []byte
		for _, piece := range [][]byte{content[:1], content[1:]} {
			der, err := asn1.Marshal(piece)
			if err != nil {
				t.Fatal(err)
			}
			both = append(both, der...)
		}
		return asn1.RawValue{Tag: asn1.TagOctetString, IsCompound: true, Bytes: both}
	}
	file := func(content asn1.RawValue) []byte {
		inner, err := asn1.Marshal(content)
		if err != nil {
			t.Fatal(err)
		}
		der, err := asn1.Marshal(struct {
			Version int
			Safe    struct {
				Type    asn1.ObjectIdentifier
				Content asn1.RawValue
			}
		}{3, struct {
			Type    asn1.ObjectIdentifier
			Content asn1.RawValue
		}{oidData, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: inner}}})
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	for name, content := range map[string]asn1.RawValue{
		"a string in pieces": pieces(safe),
		"an open sequence":   {Tag: asn1.TagOctetString, Bytes: []byte{0x30, 0x80, 0, 0}},
		"a long length":      {Tag: asn1.TagOctetString, Bytes: []byte{0x30, 0x81, 0}},
	} {
		if _, err := Parse(file(content), Options{}); !errors.Is(err, errBER) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Parse(file(asn1.RawValue{Tag: asn1.TagOctetString, Bytes: safe}), Options{}); !errors.Is(err, ErrNoPrivateKey) {
		t.Errorf("the same in DER: %v", err)
	}
}

// TestManyParts: a PKCS12 file may be made of any number of parts.
func TestManyParts(t *testing.T) {
	one, err := walkPKCS12(fixture(t, "pkcs12-several.p12"))
	if err != nil {
		t.Fatal(err)
	}
	two, err := walkPKCS12(fixture(t, "pkcs12-chain.p12"))
	if err != nil {
		t.Fatal(err)
	}
	boxes := []asn1.RawValue{one.boxes[0].der, two.boxes[0].der, one.boxes[0].der, two.boxes[0].der, one.boxes[0].der}
	for n := range len(boxes) {
		file, err := fileOf("password", []asn1.RawValue{two.keys[0].der}, boxes[:n+1]...)
		if err != nil {
			t.Fatal(err)
		}
		entry, err := Parse(file, Options{Password: "password"})
		if n == 0 {
			if !errors.Is(err, ErrNoMatch) {
				t.Errorf("without its certificates: %v", err)
			}
			continue
		}
		if err != nil || len(entry.Certificate.Certificate) != 3 {
			t.Errorf("%d parts: %v", n+2, err)
		}
	}
}

// TestCertificateThatCannotBeParsed is ours: then it is refused, and says so.
func TestCertificateThatCannotBeParsed(t *testing.T) {
	pair := issue(t, nil, named("x"))
	negative := negativeCertificate(t)
	_, _, err := assemble(pair.key, [][]byte{negative})
	if !errors.Is(err, ErrNoMatch) || !strings.Contains(err.Error(), "negative serial number") {
		t.Error(err)
	}
	if _, _, err := assemble(pair.key, [][]byte{pair.certificate.Raw, {0x30, 3, 2, 1, 5}}); err == nil {
		t.Error("a certificate that is none was passed over")
	}
}

// negativeCertificate is the authority's of cases/negchain.pem.
func negativeCertificate(t *testing.T) []byte {
	t.Helper()
	found, err := parsePEM(fixture(t, "cases/negchain.pem"))
	if err != nil {
		t.Fatal(err)
	}
	der := found[0].certificates[1]
	if _, err := x509.ParseCertificate(der); err == nil {
		t.Fatal("it can be parsed")
	}
	return der
}

// TestEveryFileHasItsVerdict: each file in testdata is loaded or refused by some
// test here.
func TestEveryFileHasItsVerdict(t *testing.T) {
	source := ""
	for _, name := range []string{"cases_test.go", "keyfile_test.go", "pem_test.go", "source_test.go"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		source += string(text)
	}
	for _, pattern := range []string{"testdata/*.*", "testdata/cases/*"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(err)
		}
		for _, file := range files {
			if name := filepath.Base(file); name != "make.sh" && !strings.Contains(source, name+`"`) {
				t.Errorf("no test speaks of %s", name)
			}
		}
	}
}
