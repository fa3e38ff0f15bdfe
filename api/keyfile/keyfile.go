// Package keyfile reads the certificate and private key of the HTTPS server from
// the one file a user has: a true JKS keystore, a PKCS12 keystore under whatever
// name (keytool writes PKCS12 into files called .jks), or PEM. The content tells
// which. It also makes new key files.
//
// Where a file holds several entries, the one that is valid now is taken (see
// choose). [Source] looks at the file again while the server runs.
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
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"time"
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

	Now func() time.Time // decides which of several entries is taken; nil: time.Now
}

// String hides the passwords (I7).
func (Options) String() string { return "[passwords]" }

// GoString hides the passwords (I7).
func (Options) GoString() string { return "[passwords]" }

// LogValue hides the passwords (I7).
func (Options) LogValue() slog.Value { return slog.StringValue("[passwords]") }

// MarshalText hides the passwords (I7).
func (Options) MarshalText() ([]byte, error) { return []byte("[passwords]"), nil }

// Load reads the file at path, of at most 1 MiB, and takes of its entries the one
// to serve. Dates are judged for that choice alone: what is expired is loaded, and
// [Check] says so.
func Load(path string, o Options) (Entry, error) {
	data, err := read(path)
	if err != nil {
		return Entry{}, faultOf(path, err)
	}
	entry, err := Parse(data, o)
	if err != nil {
		return Entry{}, faultOf(path, err)
	}
	return entry, nil
}

func faultOf(path string, err error) error { return fmt.Errorf("read key file %s: %w", path, err) }

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
func Parse(data []byte, o Options) (Entry, error) {
	if o.KeyPassword == "" {
		o.KeyPassword = o.Password
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	found, err := parse(data, o)
	if err != nil {
		return Entry{}, err
	}
	return choose(found, o.Now())
}

// parse tells the form by the content.
func parse(data []byte, o Options) ([]candidate, error) {
	switch encoding := textEncoding(data); {
	case len(data) > maxFileBytes:
		return nil, fmt.Errorf("it is larger than %d bytes, too large for a key file", maxFileBytes)
	case len(data) == 0:
		return nil, errors.New("it is empty")
	case bytes.HasPrefix(data, []byte{0xfe, 0xed, 0xfe, 0xed}):
		return parseJKS(data, o)
	case bytes.HasPrefix(data, []byte{0xce, 0xce, 0xce, 0xce}):
		return nil, unsupported{"it is a JCEKS keystore", keytoolJCEKS}
	case data[0] == 0x30: // a DER sequence
		return parsePKCS12(data, o)
	case encoding != "":
		return nil, unsupported{"it is text in " + encoding, "iconv -f " + encoding + " -t UTF-8 -o NEW OLD"}
	case len(pemBlocks(data)) > 0:
		return parsePEM(data)
	}
	return nil, ErrNotAKeyFile
}

var errKeyKind = errors.New("its private key is of a kind that TLS cannot use here; RSA, ECDSA (P-256, P-384, P-521) and Ed25519 are possible")

// leastRSA is the size in bits under which crypto/rsa signs nothing: every handshake
// would fail.
const leastRSA = 1024

// publicKey is the public half of a key that a TLS server can use.
func publicKey(key crypto.PrivateKey) (interface{ Equal(crypto.PublicKey) bool }, error) {
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if bits := key.N.BitLen(); bits < leastRSA {
			return nil, fmt.Errorf("%w: RSA needs %d bits at least, and this key has %d", errKeyKind, leastRSA, bits)
		}
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
