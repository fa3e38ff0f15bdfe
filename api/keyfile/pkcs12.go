package keyfile

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	pkcs12 "software.sslmate.com/src/go-pkcs12"
)

// parsePKCS12 leaves the decoding to go-pkcs12. That reads stores with a single
// private key, so one with several is first taken apart into one store for each
// (see pfx.alone).
func parsePKCS12(data []byte, o Options) (tls.Certificate, error) {
	store, err := walkPKCS12(data)
	switch {
	case err != nil:
		return tls.Certificate{}, err
	case !store.hasMAC && o.Password != "":
		return tls.Certificate{}, errors.New("its PKCS12 content has no MAC, without which the password cannot be checked; make it anew without -nomac")
	}
	cert, err := decodePKCS12(data, o.Password)
	if len(store.keys) < 2 || errors.Is(err, ErrWrongPassword) {
		return cert, err
	}
	// The MAC has been verified by now: decoding gets that far before it objects
	// to the second key.
	var first error
	for _, bag := range store.keys {
		alone, err := store.alone(bag, o.Password)
		if err != nil {
			return tls.Certificate{}, err
		}
		cert, err := decodePKCS12(alone, o.Password)
		if err == nil {
			return cert, nil
		}
		if first == nil {
			first = fmt.Errorf("entry %.60q: %w", bag.alias, err)
		}
	}
	return tls.Certificate{}, first
}

func decodePKCS12(data []byte, password string) (tls.Certificate, error) {
	key, leaf, others, err := pkcs12.DecodeChain(data, password)
	if err != nil {
		return tls.Certificate{}, pkcs12Error(err)
	}
	// Which certificate comes first in the file says nothing.
	return assemble(crypto.PrivateKey(key), append([]*x509.Certificate{leaf}, others...))
}

// pkcs12Error words the decoder's error for people. Most of its errors are known
// by their text alone.
func pkcs12Error(err error) error {
	text := err.Error()
	_, unsupported := errors.AsType[pkcs12.NotImplementedError](err)
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword):
		return errStorePassword
	case unsupported:
		return fmt.Errorf("its PKCS12 content is of a kind that is not supported (%w); make it anew with keytool or openssl", err)
	case text == "pkcs12: private key missing":
		return ErrNoPrivateKey
	case text == "pkcs12: certificate missing":
		return errNoCertificate
	case strings.HasPrefix(text, "pkcs12: error decrypting PKCS#8"):
		return errors.New("its private key does not open with the password of the store; in PKCS12 both must be the same")
	case strings.HasPrefix(text, "pkcs12: error parsing PKCS#8"):
		return fmt.Errorf("%w (%w)", errKeyKind, err)
	}
	return fmt.Errorf("its PKCS12 content is damaged: %w", err)
}
