package keyfile

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"

	pkcs12 "software.sslmate.com/src/go-pkcs12"
)

// Only go-pkcs12 opens what is encrypted with triple DES or RC2, as all files
// were before 2020, and it takes whole files: one key, two parts. So each key and
// each box is put into a file of its own, beside a stand-in for what it lacks.
// The MAC of such a file only has to satisfy the decoder: the real one has been
// verified before.

var oidHMACWithSHA256 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}

// legacyKey opens a private key.
func legacyKey(k keyBag, password string) (crypto.PrivateKey, error) {
	_, certificate, err := standIn()
	if err != nil {
		return nil, err
	}
	file, err := fileOf(password, []asn1.RawValue{k.der, certificate})
	if err != nil {
		return nil, err
	}
	key, _, _, err := pkcs12.DecodeChain(file, password)
	switch {
	case err == nil:
		return key, nil
	case isNotImplemented(err):
		return nil, unsupportedLegacy(k.algorithm)
	case strings.HasPrefix(err.Error(), "pkcs12: error parsing PKCS#8"):
		return nil, fmt.Errorf("%w (%w)", errKeyKind, err)
	}
	return nil, errOtherPassword
}

// legacyBox opens a box of certificates. DecodeChain must be able to parse them;
// ToPEM need not, but knows few attributes.
func legacyBox(b box, password string) ([][]byte, error) {
	key, _, err := standIn()
	if err != nil {
		return nil, err
	}
	file, err := fileOf(password, []asn1.RawValue{key}, b.der)
	if err != nil {
		return nil, err
	}
	_, first, others, err := pkcs12.DecodeChain(file, password)
	if err == nil {
		certificates := [][]byte{first.Raw}
		for _, c := range others {
			certificates = append(certificates, c.Raw)
		}
		return certificates, nil
	}
	if isNotImplemented(err) {
		return nil, unsupportedLegacy(b.algorithm)
	}
	blocks, toPEM := boxToPEM(b, password)
	if toPEM != nil {
		return nil, unsupported{fmt.Sprintf("it is PKCS12 in an old encryption with a certificate that cannot be parsed (%v)", err), opensslLegacy}
	}
	return pemCertificates(blocks), nil
}

func boxToPEM(b box, password string) ([]*pem.Block, error) {
	file, err := fileOf(password, nil, b.der)
	if err != nil {
		return nil, err
	}
	//lint:ignore SA1019 what is deprecated in it is how it writes keys
	return pkcs12.ToPEM(file, password)
}

func pemCertificates(blocks []*pem.Block) (certificates [][]byte) {
	for _, block := range blocks {
		if block.Type == "CERTIFICATE" {
			certificates = append(certificates, block.Bytes)
		}
	}
	return certificates
}

func isNotImplemented(err error) bool {
	_, is := errors.AsType[pkcs12.NotImplementedError](err)
	return is
}

func unsupportedLegacy(algorithm pkix.AlgorithmIdentifier) error {
	return unsupported{fmt.Sprintf("it is PKCS12 in the encryption %s", algorithm.Algorithm), opensslLegacy}
}

// standIn is the bag of a private key and that of a certificate, new ones.
func standIn() (key, certificate asn1.RawValue, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return key, certificate, fmt.Errorf("make private key: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return key, certificate, fmt.Errorf("encode private key: %w", err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return key, certificate, fmt.Errorf("make certificate: %w", err)
	}
	content, err := asn1.Marshal(certificateBag{oidX509Certificate, der})
	if err != nil {
		return key, certificate, fmt.Errorf("encode certificate: %w", err)
	}
	if key, err = bagOf(oidKeyBag, keyDER); err == nil {
		certificate, err = bagOf(oidCertificateBag, content)
	}
	return key, certificate, err
}

func bagOf(id asn1.ObjectIdentifier, content []byte) (asn1.RawValue, error) {
	der, err := asn1.Marshal(struct {
		ID    asn1.ObjectIdentifier
		Value asn1.RawValue
	}{id, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: content}})
	return asn1.RawValue{FullBytes: der}, err
}

// fileOf is a PKCS12 file of one part in the clear and the others as they are.
func fileOf(password string, bags []asn1.RawValue, others ...asn1.RawValue) ([]byte, error) {
	if bags == nil {
		bags = []asn1.RawValue{}
	}
	inClear, err := asn1.Marshal(bags)
	if err != nil {
		return nil, fmt.Errorf("take PKCS12 apart: %w", err)
	}
	part, err := asn1.Marshal(dataInfo{oidData, inClear})
	if err != nil {
		return nil, fmt.Errorf("take PKCS12 apart: %w", err)
	}
	safe, err := asn1.Marshal(append([]asn1.RawValue{{FullBytes: part}}, others...))
	if err != nil {
		return nil, fmt.Errorf("take PKCS12 apart: %w", err)
	}
	mac, err := sign(safe, password)
	if err != nil {
		return nil, fmt.Errorf("take PKCS12 apart: %w", err)
	}
	return asn1.Marshal(struct {
		Version int
		Safe    dataInfo
		MAC     macData
	}{3, dataInfo{oidData, safe}, mac})
}

type dataInfo struct {
	Type    asn1.ObjectIdentifier
	Content []byte `asn1:"tag:0,explicit"`
}

// sign makes a MAC of the PBMAC1 kind (RFC 9579), which the standard library has
// all parts of.
func sign(safe []byte, password string) (macData, error) {
	type derivation struct {
		Salt                  []byte
		Iterations, KeyLength int
		Function              pkix.AlgorithmIdentifier
	}
	var mac macData
	salt, hash := make([]byte, 8), pkix.AlgorithmIdentifier{Algorithm: oidHMACWithSHA256}
	inner, err := asn1.Marshal(derivation{salt, 1, sha256.Size, hash})
	if err != nil {
		return mac, err
	}
	outer, err := asn1.Marshal([]pkix.AlgorithmIdentifier{{Algorithm: oidPBKDF2, Parameters: asn1.RawValue{FullBytes: inner}}, hash})
	if err != nil {
		return mac, err
	}
	key, err := pbkdf2.Key(sha256.New, password, salt, 1, sha256.Size)
	if err != nil {
		return mac, err
	}
	digest := hmac.New(sha256.New, key)
	digest.Write(safe)
	mac.Digest.Algorithm = pkix.AlgorithmIdentifier{Algorithm: oidPBMAC1, Parameters: asn1.RawValue{FullBytes: outer}}
	mac.Digest.Digest = digest.Sum(nil)
	mac.Salt, mac.Iterations = salt, 1
	return mac, nil
}
