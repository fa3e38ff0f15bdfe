// Package keyfile reads the certificate and private key of the HTTPS server from
// the one file a user has: a true JKS keystore, a PKCS12 keystore under whatever
// name (keytool writes PKCS12 into files called .jks), or PEM. The content tells
// which. It also makes new key files.
//
// Where a file holds several private keys, the choice must not depend on chance:
// it is the first one, in the order of the aliases (PEM: in the order of the
// file), that opens with the password and has its certificate in the file.
//
// A file is not trusted while it is being read: its size and the lengths and
// work factors that it claims are bounded before any parser sees them.
package keyfile

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
)

const (
	maxFileBytes    = 1 << 20
	maxKeyBytes     = 16 << 10 // an RSA key of 16,384 bits has 9,500
	maxCertificates = 1024
	maxPrivateKeys  = 64
)

// Errors that a caller may want to tell apart; none contains a password (I7).
var (
	ErrWrongPassword = errors.New("wrong password, or a damaged file")
	ErrNoPrivateKey  = errors.New("it holds no private key; the server needs one with its certificate")
	ErrNotAKeyFile   = errors.New("it is neither a JKS or PKCS12 keystore nor PEM")
	ErrTruncated     = errors.New("it ends too early; it was cut off or is damaged")
	ErrNoMatch       = errors.New("its private key and certificates do not belong together")
)

// Options says how to open a file. It does not print its passwords (I7).
type Options struct {
	Password    string // of the store; PEM needs none
	KeyPassword string // of the private key in a JKS store; "": the same as Password
}

// String hides the passwords (I7).
func (Options) String() string { return "[passwords]" }

// GoString hides the passwords (I7).
func (Options) GoString() string { return "[passwords]" }

// LogValue hides the passwords (I7).
func (Options) LogValue() slog.Value { return slog.StringValue("[passwords]") }

// MarshalText hides the passwords (I7).
func (Options) MarshalText() ([]byte, error) { return []byte("[passwords]"), nil }

// Load reads the file at path, of at most 1 MiB. The chain of the result is in the
// order that TLS wants, the server's own certificate first and parsed into Leaf.
// Dates are not judged: that is for [Check].
func Load(path string, o Options) (tls.Certificate, error) {
	data, err := read(path)
	if err == nil {
		var cert tls.Certificate
		if cert, err = Parse(data, o); err == nil {
			return cert, nil
		}
	}
	return tls.Certificate{}, fmt.Errorf("read key file %s: %w", path, err)
}

func read(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err != nil {
		return nil, withoutPath(err)
	}
	return data, nil
}

func withoutPath(err error) error {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err
	}
	return err
}

// Parse is Load for the content of a file.
func Parse(data []byte, o Options) (tls.Certificate, error) {
	if o.KeyPassword == "" {
		o.KeyPassword = o.Password
	}
	switch {
	case len(data) > maxFileBytes:
		return tls.Certificate{}, fmt.Errorf("it is larger than %d bytes, too large for a key file", maxFileBytes)
	case len(data) == 0:
		return tls.Certificate{}, errors.New("it is empty")
	case bytes.HasPrefix(data, []byte{0xfe, 0xed, 0xfe, 0xed}):
		return parseJKS(data, o)
	case bytes.HasPrefix(data, []byte{0xce, 0xce, 0xce, 0xce}):
		return tls.Certificate{}, errors.New("it is a JCEKS keystore, which only Java reads; convert it with: keytool -importkeystore -srckeystore OLD -destkeystore NEW -deststoretype PKCS12")
	case data[0] == 0x30: // a DER sequence
		return parsePKCS12(data, o)
	case bytes.Contains(data, []byte("-----BEGIN ")):
		return parsePEM(data)
	}
	return tls.Certificate{}, ErrNotAKeyFile
}

// assemble finds the key's own certificate among those given, and the chain above
// it by the issuers' names; certificates that have nothing to do with it stay out.
func assemble(key crypto.PrivateKey, given []*x509.Certificate) (tls.Certificate, error) {
	public, err := publicKey(key)
	if err != nil {
		return tls.Certificate{}, err
	}
	if len(given) == 0 {
		return tls.Certificate{}, errNoCertificate
	}
	rest := append([]*x509.Certificate(nil), given...)
	next := take(&rest, func(c *x509.Certificate) bool { return public.Equal(c.PublicKey) })
	if next == nil {
		return tls.Certificate{}, ErrNoMatch
	}
	cert := tls.Certificate{PrivateKey: key, Leaf: next}
	for next != nil {
		cert.Certificate = append(cert.Certificate, next.Raw)
		lower := next
		next = take(&rest, func(c *x509.Certificate) bool { return issued(c, lower) })
	}
	return cert, nil
}

// take removes the first certificate that fits and returns it, nil if none does.
func take(from *[]*x509.Certificate, fits func(*x509.Certificate) bool) *x509.Certificate {
	for i, c := range *from {
		if fits(c) {
			*from = append((*from)[:i], (*from)[i+1:]...)
			return c
		}
	}
	return nil
}

// issued goes by names and key identifiers, not by signatures: judging the chain
// is the client's business, and it may accept algorithms that we would not.
func issued(upper, lower *x509.Certificate) bool {
	selfSigned := bytes.Equal(lower.RawIssuer, lower.RawSubject)
	return !selfSigned && bytes.Equal(lower.RawIssuer, upper.RawSubject) &&
		(len(lower.AuthorityKeyId) == 0 || len(upper.SubjectKeyId) == 0 || bytes.Equal(lower.AuthorityKeyId, upper.SubjectKeyId))
}

var errNoCertificate = errors.New("it holds a private key but no certificate for it")

var errKeyKind = errors.New("its private key is of a kind that TLS cannot use here; RSA, ECDSA (P-256, P-384, P-521) and Ed25519 are possible")

// publicKey is the public half of a key that a TLS server can use.
func publicKey(key crypto.PrivateKey) (interface{ Equal(crypto.PublicKey) bool }, error) {
	switch key := key.(type) {
	case *rsa.PrivateKey:
		return &key.PublicKey, nil
	case *ecdsa.PrivateKey:
		if key.Curve == elliptic.P256() || key.Curve == elliptic.P384() || key.Curve == elliptic.P521() {
			return &key.PublicKey, nil
		}
	case ed25519.PrivateKey:
		return key.Public().(ed25519.PublicKey), nil
	}
	return nil, errKeyKind
}

// parsePKCS8 bounds the key first: checking a number of a million bits takes minutes.
func parsePKCS8(der []byte) (crypto.PrivateKey, error) {
	if len(der) > maxKeyBytes {
		return nil, errKeyKind
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", errKeyKind, err)
	}
	return key, nil
}
