package keyfile

import (
	"cmp"
	"crypto"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"strings"

	pkcs12 "software.sslmate.com/src/go-pkcs12"
)

var oidPBMAC1 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 14}

// macDigests are those that go-pkcs12 verifies, by object identifier.
var macDigests = map[string]bool{
	"1.3.14.3.2.26":          true, // SHA-1
	"2.16.840.1.101.3.4.2.1": true, // SHA-256
	"2.16.840.1.101.3.4.2.3": true, // SHA-512
	"1.2.840.113549.2.7":     true, // the same three as HMAC, in PBMAC1
	"1.2.840.113549.2.9":     true,
	"1.2.840.113549.2.11":    true,
}

// digestNames are for people; what is not here is shown by its number.
var digestNames = map[string]string{
	"1.2.840.113549.2.5":     "MD5",
	"2.16.840.1.101.3.4.2.4": "SHA-224", "1.2.840.113549.2.8": "SHA-224",
	"2.16.840.1.101.3.4.2.2": "SHA-384", "1.2.840.113549.2.10": "SHA-384",
	"2.16.840.1.101.3.4.2.5": "SHA-512/224", "1.2.840.113549.2.12": "SHA-512/224",
	"2.16.840.1.101.3.4.2.6": "SHA-512/256", "1.2.840.113549.2.13": "SHA-512/256",
	"2.16.840.1.101.3.4.2.8": "SHA3-256",
}

// parsePKCS12 leaves to libraries whatever is done with the password. go-pkcs12
// verifies the file's MAC and opens what is encrypted in the old ways; the standard
// library has what PBES2 is made of (pbes2.go). go-pkcs12 is not handed the file
// as a whole: it reads one key and two parts, and refuses all when the
// standard library cannot parse a certificate that is not even ours.
func parsePKCS12(data []byte, o Options) ([]candidate, error) {
	store, err := walkPKCS12(data)
	if err != nil {
		return nil, err
	}
	if err := store.verify(data, o.Password); err != nil {
		return nil, err
	}
	for _, box := range store.boxes {
		err = cmp.Or(err, store.open(box, o.Password))
	}
	if err = cmp.Or(err, store.bounds()); err != nil {
		return nil, err
	}
	store.sortKeys()
	var found []candidate
	for _, bag := range store.keys {
		key, err := bag.open(o.Password)
		found = append(found, candidate{alias: bag.alias, key: key, certificates: store.certificates, err: err})
	}
	return found, nil
}

// verify checks the MAC, and with it the password.
func (p *pfx) verify(data []byte, password string) error {
	switch {
	case !p.hasMAC && password == "":
		return nil
	case !p.hasMAC:
		return convertPKCS12("it is PKCS12 without a MAC, by which the password is checked")
	case strings.ContainsFunc(password, func(r rune) bool { return r > 0xffff }):
		return convertPKCS12("it is PKCS12, and the password has characters beyond U+FFFF")
	}
	for _, digest := range p.macAlgorithms() {
		if !macDigests[digest] {
			return convertPKCS12("it is PKCS12 with a MAC by " + cmp.Or(digestNames[digest], digest))
		}
	}
	// Both functions verify the MAC and then want another number of parts than
	// there are, by which they stop before they decode anything.
	var err error
	if p.parts == 1 {
		//lint:ignore SA1019 what is deprecated in it is not reached
		_, err = pkcs12.ToPEM(data, password)
	} else {
		_, err = pkcs12.DecodeTrustStore(data, password)
	}
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword):
		return errStorePassword
	case isNotImplemented(err) && strings.Contains(err.Error(), "expected exactly"):
		return nil
	}
	return fmt.Errorf("%w (%w)", errDamagedPKCS12, err)
}

// macAlgorithms are the digests that the MAC is made with: one, or the two of
// PBMAC1 (RFC 9579).
func (p *pfx) macAlgorithms() []string {
	algorithm := p.mac.Digest.Algorithm
	if !algorithm.Algorithm.Equal(oidPBMAC1) {
		return []string{algorithm.Algorithm.String()}
	}
	var parameters struct{ Derivation, MAC pkix.AlgorithmIdentifier }
	if _, err := asn1.Unmarshal(algorithm.Parameters.FullBytes, &parameters); err != nil {
		return nil // go-pkcs12 says what is wrong
	}
	digests := []string{parameters.MAC.Algorithm.String()}
	if prf := pseudoRandomFunction(parameters.Derivation); prf != "" {
		digests = append(digests, prf)
	}
	return digests
}

// open reads what is in a box.
func (p *pfx) open(b box, password string) error {
	if !b.algorithm.Algorithm.Equal(oidPBES2) {
		certificates, err := legacyBox(b, password)
		p.certificates = append(p.certificates, certificates...)
		return err
	}
	plain, err := decrypt(b.algorithm, b.data, password)
	switch {
	case errors.Is(err, errDecryption) && p.hasMAC:
		return errDamagedPKCS12
	case errors.Is(err, errDecryption):
		return errStorePassword
	case err != nil:
		return err
	}
	return p.safe(plain, 0)
}

func (k keyBag) open(password string) (crypto.PrivateKey, error) {
	switch {
	case k.algorithm.Algorithm == nil:
		return parsePKCS8(k.data)
	case !k.algorithm.Algorithm.Equal(oidPBES2):
		return legacyKey(k, password)
	}
	plain, err := decrypt(k.algorithm, k.data, password)
	if errors.Is(err, errDecryption) {
		return nil, errOtherPassword
	}
	if err != nil {
		return nil, err
	}
	return parsePKCS8(plain)
}

var errOtherPassword = errors.New("its private key does not open with the password of the store; in PKCS12 both must be the same")
