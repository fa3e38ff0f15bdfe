package keyfile

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
)

var (
	oidPBMAC1         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 14}
	oidPBKDF2         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidHMACWithSHA256 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}
)

// alone is a store with that one key and everything that is not a key. It gets a
// MAC of its own, which only has to satisfy the decoder: the file's own is
// verified before.
func (p *pfx) alone(key keyBag, password string) ([]byte, error) {
	bags, err := asn1.Marshal(append([]asn1.RawValue{key.der}, p.others...))
	if err != nil {
		return nil, fmt.Errorf("take PKCS12 apart: %w", err)
	}
	plain, err := asn1.Marshal(dataInfo{oidData, bags})
	if err != nil {
		return nil, fmt.Errorf("take PKCS12 apart: %w", err)
	}
	safe, err := asn1.Marshal(append([]asn1.RawValue{{FullBytes: plain}}, p.boxes...))
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
