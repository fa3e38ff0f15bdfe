package keyfile

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// parsePEM takes the certificates and private keys in any order.
func parsePEM(data []byte) (tls.Certificate, error) {
	var certificates []*x509.Certificate
	var keys []crypto.PrivateKey
	rest := data
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		switch {
		case block.Type == "CERTIFICATE":
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return tls.Certificate{}, fmt.Errorf("its certificate number %d is damaged: %w", len(certificates)+1, err)
			}
			certificates = append(certificates, c)
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			key, err := pemKey(block)
			if err != nil {
				return tls.Certificate{}, err
			}
			keys = append(keys, key)
		}
		if len(certificates) > maxCertificates || len(keys) > maxPrivateKeys {
			return tls.Certificate{}, errors.New("it holds more certificates or keys than a server's key file should")
		}
	}
	switch {
	case bytes.Contains(rest, []byte("-----BEGIN ")):
		return tls.Certificate{}, ErrTruncated
	case len(keys) == 0:
		return tls.Certificate{}, ErrNoPrivateKey
	}
	return firstMatch(keys, certificates)
}

// firstMatch assembles the first key that can be used, or says why the first cannot.
func firstMatch(keys []crypto.PrivateKey, certificates []*x509.Certificate) (tls.Certificate, error) {
	var first error
	for _, key := range keys {
		cert, err := assemble(key, certificates)
		if err == nil {
			return cert, nil
		}
		if first == nil {
			first = err
		}
	}
	return tls.Certificate{}, first
}

func pemKey(block *pem.Block) (crypto.PrivateKey, error) {
	var key crypto.PrivateKey
	var err error
	switch {
	case block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
		return nil, errors.New("its PEM private key is encrypted, which is not supported; put key and certificate into PKCS12 with: openssl pkcs12 -export -inkey KEY -in CERTIFICATES -out NEW")
	case len(block.Bytes) > maxKeyBytes:
		return nil, errKeyKind
	case block.Type == "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case block.Type == "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return parsePKCS8(block.Bytes)
	}
	if err != nil {
		return nil, fmt.Errorf("its private key is damaged: %w", err)
	}
	return key, nil
}
