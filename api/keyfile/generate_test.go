package keyfile

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"slices"
	"strings"
	"testing"
	"time"
)

func generated(t *testing.T, o GenerateOptions) Entry {
	t.Helper()
	var file bytes.Buffer
	if err := Generate(&file, o); err != nil {
		t.Fatal(err)
	}
	if o.Password == "" {
		o.Password = "password"
	}
	cert, err := Parse(file.Bytes(), Options{Password: o.Password})
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestGenerate(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	cert := generated(t, GenerateOptions{Now: func() time.Time { return now }})
	leaf := cert.Certificate.Leaf
	if !slices.Equal(leaf.DNSNames, []string{"localhost"}) || names(leaf) != "localhost 127.0.0.1 ::1" || leaf.IsCA || keyKind(leaf) != "ECDSA P-256" {
		t.Errorf("made for %s, %s", names(leaf), keyKind(leaf))
	}
	if want := now.Add(10 * 365 * 24 * time.Hour); !leaf.NotAfter.Equal(want) || leaf.NotBefore.After(now) {
		t.Errorf("valid from %s to %s, want %s", leaf.NotBefore, leaf.NotAfter, want)
	}
	other := generated(t, GenerateOptions{Hosts: []string{"relay.example.com", "*.example.org", "10.0.0.7", "localhost", "::1"}, Password: "pässwörd", ValidFor: time.Hour})
	if got := names(other.Certificate.Leaf); got != "localhost relay.example.com *.example.org 127.0.0.1 ::1 10.0.0.7" {
		t.Errorf("made for %s", got)
	}
	handshake(t, other.Certificate, other.Certificate.Leaf, tls.VersionTLS13)
	handshake(t, other.Certificate, other.Certificate.Leaf, tls.VersionTLS12)
}

// TestGenerateForms: every form is read back, by the ending of its name, and is
// told by its content.
func TestGenerateForms(t *testing.T) {
	for name, begins := range map[string]string{
		"x": "\xfe\xed\xfe\xed", "x.jks": "\xfe\xed\xfe\xed", "x.JKS": "\xfe\xed\xfe\xed", "x.keystore": "\xfe\xed\xfe\xed",
		"x.p12": "\x30", "x.pfx": "\x30", "x.pkcs12": "\x30", "a.jks.p12": "\x30",
		"x.pem": "-----BEGIN CERTIFICATE-----\n", "x.Pem": "-----BEGIN CERTIFICATE-----\n",
	} {
		format, err := FormatOf(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, password := range []string{"", "correct horse", "pässwörd"} {
			var file bytes.Buffer
			if err := Generate(&file, GenerateOptions{Format: format, Password: password}); err != nil || !strings.HasPrefix(file.String(), begins) {
				t.Errorf("%s: %v, %.20q", name, err, file.String())
			}
			entry, err := Parse(file.Bytes(), Options{Password: cmp.Or(password, "password")})
			if err != nil || len(Check(entry, time.Now())) > 0 {
				t.Errorf("%s: read back: %v", name, err)
				continue
			}
			handshake(t, entry.Certificate, entry.Certificate.Leaf, tls.VersionTLS13)
		}
	}
	for _, name := range []string{"x.der", "x.key", "x.crt", "x.txt", "x."} {
		if _, err := FormatOf(name); err == nil {
			t.Errorf("%s tells a form", name)
		}
	}
}

func TestGenerateRefuses(t *testing.T) {
	for _, o := range []GenerateOptions{
		{Hosts: []string{"https://h"}}, {Hosts: []string{"h:443"}}, {Hosts: []string{""}}, {Hosts: []string{"a..b"}},
		{ValidFor: -time.Hour}, {Password: "\u20ac"}, {Format: PKCS12, Password: "\U0001f511"},
	} {
		var file bytes.Buffer
		if err := Generate(&file, o); err == nil || file.Len() > 0 {
			t.Errorf("%v: %v, %d bytes written", o, err, file.Len())
		}
	}
}

// TestShippedKeyFile: the key file at the project's root opens with the default
// password and lasts.
func TestShippedKeyFile(t *testing.T) {
	cert, err := Load("../../testkey.jks", Options{Password: "password"})
	if err != nil {
		t.Fatal(err)
	}
	if end := time.Date(2036, 12, 31, 0, 0, 0, 0, time.UTC); cert.Certificate.Leaf.NotAfter.Before(end) || keyKind(cert.Certificate.Leaf) != "ECDSA P-256" {
		t.Error(Summary(cert, time.Now()))
	}
}

func TestCheck(t *testing.T) {
	made := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	cert := generated(t, GenerateOptions{Now: func() time.Time { return made }, ValidFor: 100 * day})
	for after, want := range map[time.Duration]string{
		0: "", 69 * day: "", 71 * day: "expires on 2027-03-03, in 29 days", 102 * day: "expired on 2027-03-03, 2 days ago", -2 * day: "not valid before 2026-11-23",
	} {
		warnings := Check(cert, made.Add(after))
		if (want == "") != (len(warnings) == 0) || !strings.Contains(strings.Join(warnings, "; "), want) {
			t.Errorf("after %s: %q, want %q", after, warnings, want)
		}
	}
	if summary := Summary(cert, made.Add(day)); !strings.Contains(summary, "ECDSA P-256, CN=audiences, for localhost 127.0.0.1 ::1, valid from 2026-11-23 to 2027-03-03, 99 days left") {
		t.Error(summary)
	}
	nameless := cert
	copied := *cert.Certificate.Leaf
	copied.DNSNames, copied.IPAddresses = nil, nil
	nameless.Certificate.Leaf = &copied
	if warnings := Check(nameless, made); len(warnings) != 1 {
		t.Error(warnings)
	}
}
