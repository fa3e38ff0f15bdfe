package keyfile

import (
	"cmp"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// maxIterations bounds the work that a file may ask for, all its keys and boxes
// together: a damaged count would keep the start busy for hours. The JDK refuses
// more than half of this for a single key; real files have 2,048 to 600,000 for
// each of their parts, and GnuTLS makes a part of every certificate.
const maxIterations = 10_000_000

// maxNesting bounds safes within safes, which RFC 7292 allows and nobody writes.
const maxNesting = 4

var (
	oidData            = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidSignedData      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidEncryptedData   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 6}
	oidKeyBag          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 1}
	oidEncryptedKeyBag = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 2}
	oidCertificateBag  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 3}
	oidSafeBag         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 6}
	oidX509Certificate = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 22, 1}
	oidFriendlyName    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 20}
)

var (
	errDamagedPKCS12   = errors.New("it is damaged, or not a PKCS12 keystore")
	errTooManyInPKCS12 = errors.New("it is damaged, or holds more than a server's key file should")
	errTooMuchWork     = fmt.Errorf("it asks for more than %d rounds of key derivation; it is damaged or was made to do harm", maxIterations)
	errBER             = convertPKCS12("it is PKCS12 in the BER form (as NSS, BouncyCastle and EJBCA write it)")
)

// pfx is what of a PKCS12 file can be seen (RFC 7292, section 4): at first
// without its password, then with what is in its boxes. It is no decoder of
// anything encrypted; see pkcs12.go for those.
type pfx struct {
	hasMAC       bool
	mac          macData
	parts        int
	keys         []keyBag
	boxes        []box
	certificates [][]byte

	iterations int
}

// keyBag is one private key. One that is not encrypted has no algorithm.
type keyBag struct {
	alias     string
	algorithm pkix.AlgorithmIdentifier
	data      []byte
	der       asn1.RawValue // the whole bag
}

// box is a part of the file that is encrypted as a whole: usually certificates.
type box struct {
	algorithm pkix.AlgorithmIdentifier
	data      []byte
	der       asn1.RawValue // the whole part
}

// walkPKCS12 checks the outline and the work factors. What is inside encrypted
// boxes is walked with safe; to get that far, a file must have been made by
// somebody who knows the password.
func walkPKCS12(data []byte) (*pfx, error) {
	var outline struct {
		Version int
		Safe    contentInfo
		MAC     asn1.RawValue `asn1:"optional"`
	}
	if isCutOff(data) {
		return nil, ErrTruncated
	}
	switch rest, err := asn1.Unmarshal(data, &outline); {
	case err != nil:
		return nil, damagedOrBER(err)
	case outline.Version != 3 || len(rest) > 0:
		return nil, errDamagedPKCS12
	case outline.Safe.Type.Equal(oidSignedData):
		return nil, convertPKCS12("it is PKCS12 with a signature in place of a password")
	case !outline.Safe.Type.Equal(oidData):
		return nil, errDamagedPKCS12
	}
	p := &pfx{hasMAC: len(outline.MAC.FullBytes) > 0}
	if p.hasMAC {
		if _, err := asn1.Unmarshal(outline.MAC.FullBytes, &p.mac); err != nil {
			return nil, damagedOrBER(err)
		}
		p.count(p.mac.Iterations)
		p.countDerivation(p.mac.Digest.Algorithm.Parameters.FullBytes, 0)
	}
	safe, err := octets(outline.Safe.Content.Bytes)
	if err != nil {
		return nil, err
	}
	parts, err := sequence(safe)
	p.parts = len(parts)
	for _, part := range parts {
		err = cmp.Or(err, p.part(part))
	}
	if err = cmp.Or(err, p.bounds()); err != nil {
		return nil, err
	}
	return p, nil
}

// bounds is an error when the file holds or asks for too much.
func (p *pfx) bounds() error {
	switch {
	case p.iterations > maxIterations:
		return errTooMuchWork
	case len(p.keys) > maxPrivateKeys || len(p.certificates) > maxCertificates:
		return errTooManyInPKCS12
	}
	return nil
}

type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content asn1.RawValue `asn1:"tag:0,explicit,optional"`
}

type macData struct {
	Digest struct {
		Algorithm pkix.AlgorithmIdentifier
		Digest    []byte
	}
	Salt       []byte
	Iterations int `asn1:"optional,default:1"`
}

func (p *pfx) part(der asn1.RawValue) error {
	var info contentInfo
	if _, err := asn1.Unmarshal(der.FullBytes, &info); err != nil {
		return damagedOrBER(err)
	}
	switch {
	case info.Type.Equal(oidData):
		content, err := octets(info.Content.Bytes)
		if err != nil {
			return err
		}
		return p.safe(content, 0)
	case !info.Type.Equal(oidEncryptedData):
		return convertPKCS12("a part of it is encrypted for a certificate, not with a password")
	}
	var encrypted struct {
		Version int
		Content struct {
			Type      asn1.ObjectIdentifier
			Algorithm pkix.AlgorithmIdentifier
			Data      asn1.RawValue `asn1:"tag:0,optional"`
		}
	}
	if _, err := asn1.Unmarshal(info.Content.Bytes, &encrypted); err != nil {
		return damagedOrBER(err)
	}
	content := encrypted.Content
	if content.Data.IsCompound {
		return errBER // a string in pieces
	}
	p.countDerivation(content.Algorithm.Parameters.FullBytes, 0)
	p.boxes = append(p.boxes, box{content.Algorithm, content.Data.Bytes, der})
	return nil
}

// safe reads the bags of one part.
func (p *pfx) safe(der []byte, depth int) error {
	bags, err := sequence(der)
	for _, bag := range bags {
		err = cmp.Or(err, p.bag(bag, depth))
	}
	return err
}

func (p *pfx) bag(der asn1.RawValue, depth int) error {
	var bag struct {
		ID         asn1.ObjectIdentifier
		Value      asn1.RawValue `asn1:"tag:0,explicit"`
		Attributes asn1.RawValue `asn1:"optional"`
	}
	if _, err := asn1.Unmarshal(der.FullBytes, &bag); err != nil {
		return damagedOrBER(err)
	}
	switch {
	case bag.ID.Equal(oidKeyBag) || bag.ID.Equal(oidEncryptedKeyBag):
		key := keyBag{alias: friendlyName(bag.Attributes.Bytes), data: bag.Value.Bytes, der: der}
		if len(key.data) > maxKeyBytes {
			return errKeyKind
		}
		if bag.ID.Equal(oidEncryptedKeyBag) {
			var encrypted struct {
				Algorithm pkix.AlgorithmIdentifier
				Data      []byte
			}
			if _, err := asn1.Unmarshal(key.data, &encrypted); err != nil {
				return damagedOrBER(err)
			}
			key.algorithm, key.data = encrypted.Algorithm, encrypted.Data
			p.countDerivation(key.algorithm.Parameters.FullBytes, 0)
		}
		p.keys = append(p.keys, key)
	case bag.ID.Equal(oidCertificateBag):
		var certificate certificateBag
		if _, err := asn1.Unmarshal(bag.Value.Bytes, &certificate); err != nil {
			return damagedOrBER(err)
		}
		if certificate.Type.Equal(oidX509Certificate) {
			p.certificates = append(p.certificates, certificate.Data)
		}
	case bag.ID.Equal(oidSafeBag) && depth < maxNesting:
		return p.safe(bag.Value.Bytes, depth+1)
	}
	return nil
}

type certificateBag struct {
	Type asn1.ObjectIdentifier
	Data []byte `asn1:"tag:0,explicit"`
}

// sortKeys puts the keys in the order of their aliases, which the choice among
// equals follows.
func (p *pfx) sortKeys() {
	slices.SortStableFunc(p.keys, func(a, b keyBag) int { return cmp.Compare(a.alias, b.alias) })
}

// friendlyName is what keytool calls the alias; "" if there is none.
func friendlyName(attributes []byte) string {
	for range 16 { // keytool writes two
		var attribute struct {
			ID     asn1.ObjectIdentifier
			Values asn1.RawValue
		}
		rest, err := asn1.Unmarshal(attributes, &attribute)
		if err != nil {
			break
		}
		var name string
		if attribute.ID.Equal(oidFriendlyName) {
			if _, err := asn1.Unmarshal(attribute.Values.Bytes, &name); err == nil {
				return name
			}
		}
		attributes = rest
	}
	return ""
}

// countDerivation counts the rounds that the parameters of an algorithm ask for:
// a salt and a count, or an algorithm that has those as its own parameters (as in
// PBES2 and PBMAC1, RFC 8018).
func (p *pfx) countDerivation(parameters []byte, depth int) {
	var plain struct {
		Salt       []byte
		Iterations int
	}
	var nested struct{ Derivation pkix.AlgorithmIdentifier }
	if _, err := asn1.Unmarshal(parameters, &plain); err == nil {
		p.count(plain.Iterations)
	} else if _, err := asn1.Unmarshal(parameters, &nested); err == nil && depth < 3 {
		p.countDerivation(nested.Derivation.Parameters.FullBytes, depth+1)
	}
}

func (p *pfx) count(iterations int) {
	p.iterations = min(p.iterations, maxIterations) + max(0, min(iterations, maxIterations+1))
}

// sequence takes the elements of a DER sequence apart, one by one: for the whole
// of it at once, encoding/asn1 would set aside room for a million of them.
func sequence(der []byte) ([]asn1.RawValue, error) {
	var whole asn1.RawValue
	if _, err := asn1.Unmarshal(der, &whole); err != nil {
		return nil, damagedOrBER(err)
	}
	if whole.Tag != asn1.TagSequence {
		return nil, errDamagedPKCS12
	}
	var elements []asn1.RawValue
	for rest := whole.Bytes; len(rest) > 0; {
		var element asn1.RawValue
		var err error
		if rest, err = asn1.Unmarshal(rest, &element); err != nil {
			return nil, damagedOrBER(err)
		}
		if elements = append(elements, element); len(elements) > maxCertificates {
			return nil, errTooManyInPKCS12
		}
	}
	return elements, nil
}

// octets is the content of an OCTET STRING.
func octets(der []byte) ([]byte, error) {
	var value asn1.RawValue
	switch _, err := asn1.Unmarshal(der, &value); {
	case err != nil:
		return nil, damagedOrBER(err)
	case value.Class != asn1.ClassUniversal || value.Tag != asn1.TagOctetString:
		return nil, errDamagedPKCS12
	case value.IsCompound:
		return nil, errBER // a string in pieces
	}
	return value.Bytes, nil
}

// damagedOrBER tells the two apart by the words of encoding/asn1, which has no
// other way to say what it met.
func damagedOrBER(err error) error {
	for _, mark := range []string{"indefinite length", "non-minimal length", "leading zeros in length", "not minimally-encoded"} {
		if strings.Contains(err.Error(), mark) {
			return errBER
		}
	}
	return errDamagedPKCS12
}

// isCutOff reports whether the outermost length exceeds the data.
func isCutOff(data []byte) bool {
	if len(data) < 2 {
		return true
	}
	length, digits := int(data[1]), 0
	if length > 0x80 {
		length, digits = 0, int(data[1]&0x7f)
		for _, b := range data[2:min(2+digits, len(data))] {
			length = min(length<<8|int(b), maxFileBytes)
		}
	}
	return length != 0x80 && 2+digits+length > len(data)
}
