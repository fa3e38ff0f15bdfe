package keyfile

import (
	"cmp"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
)

// maxIterations bounds the work that a file may ask for, all its keys and boxes
// together: a damaged count would keep the start busy for hours. The JDK refuses
// more than this for a single key; real files have 2,048 to 600,000.
const maxIterations = 5_000_000

var (
	oidData            = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidEncryptedData   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 6}
	oidKeyBag          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 1}
	oidEncryptedKeyBag = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 2}
	oidFriendlyName    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 20}
)

var (
	errDamagedPKCS12    = errors.New("it is damaged, or not a PKCS12 keystore")
	errTooManyInPKCS12  = errors.New("it is damaged, or holds more than a server's key file should")
	errTooMuchWork      = fmt.Errorf("it asks for more than %d rounds of key derivation; it is damaged or was made to do harm", maxIterations)
	errIndefiniteLength = errors.New("it is PKCS12 in the BER form, which is not supported; convert it with: keytool -importkeystore -srckeystore OLD -destkeystore NEW -deststoretype PKCS12")
)

// pfx is what of a PKCS12 file can be seen without its password (RFC 7292,
// section 4): usually the private keys, each encrypted, and one encrypted box of
// certificates.
type pfx struct {
	hasMAC bool
	keys   []keyBag        // by alias
	others []asn1.RawValue // bags that are not keys
	boxes  []asn1.RawValue // encrypted content

	iterations int
}

type keyBag struct {
	alias string
	der   asn1.RawValue
}

// walkPKCS12 checks the outline and the work factors. What is inside encrypted
// boxes can ask for work of its own; to get that far, a file must have been made
// by somebody who knows the password.
func walkPKCS12(data []byte) (*pfx, error) {
	if len(data) > 1 && data[1] == 0x80 {
		return nil, errIndefiniteLength
	}
	var outline struct {
		Version int
		Safe    contentInfo
		MAC     asn1.RawValue `asn1:"optional"`
	}
	switch rest, err := asn1.Unmarshal(data, &outline); {
	case err != nil && isCutOff(data):
		return nil, ErrTruncated
	case err != nil || len(rest) > 0 || !outline.Safe.Type.Equal(oidData):
		return nil, errDamagedPKCS12
	}
	p := &pfx{hasMAC: len(outline.MAC.FullBytes) > 0}
	if err := p.mac(outline.MAC.FullBytes); err != nil {
		return nil, err
	}
	var safe []byte
	if _, err := asn1.Unmarshal(outline.Safe.Content.Bytes, &safe); err != nil {
		return nil, errDamagedPKCS12
	}
	items, err := sequence(safe)
	for _, item := range items {
		err = cmp.Or(err, p.item(item))
	}
	switch {
	case err != nil:
		return nil, err
	case p.iterations > maxIterations:
		return nil, errTooMuchWork
	case len(items) == 0:
		return nil, ErrNoPrivateKey
	case len(p.keys) > maxPrivateKeys:
		return nil, errTooManyInPKCS12
	}
	slices.SortStableFunc(p.keys, func(a, b keyBag) int { return cmp.Compare(a.alias, b.alias) })
	return p, nil
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

func (p *pfx) mac(der []byte) error {
	if !p.hasMAC {
		return nil
	}
	var mac macData
	if _, err := asn1.Unmarshal(der, &mac); err != nil {
		return errDamagedPKCS12
	}
	p.count(mac.Iterations)
	p.countDerivation(mac.Digest.Algorithm.Parameters.FullBytes, 0)
	return nil
}

func (p *pfx) item(der asn1.RawValue) error {
	var info contentInfo
	if _, err := asn1.Unmarshal(der.FullBytes, &info); err != nil {
		return errDamagedPKCS12
	}
	if info.Type.Equal(oidEncryptedData) {
		var box struct {
			Version int
			Content struct {
				Type      asn1.ObjectIdentifier
				Algorithm pkix.AlgorithmIdentifier
			}
		}
		if _, err := asn1.Unmarshal(info.Content.Bytes, &box); err != nil {
			return errDamagedPKCS12
		}
		p.countDerivation(box.Content.Algorithm.Parameters.FullBytes, 0)
		p.boxes = append(p.boxes, der)
		return nil
	}
	var content []byte
	if _, err := asn1.Unmarshal(info.Content.Bytes, &content); err != nil {
		return errDamagedPKCS12
	}
	bags, err := sequence(content)
	for _, bag := range bags {
		err = cmp.Or(err, p.bag(bag))
	}
	return err
}

func (p *pfx) bag(der asn1.RawValue) error {
	var bag struct {
		ID         asn1.ObjectIdentifier
		Value      asn1.RawValue `asn1:"tag:0,explicit"`
		Attributes asn1.RawValue `asn1:"optional"`
	}
	if _, err := asn1.Unmarshal(der.FullBytes, &bag); err != nil {
		return errDamagedPKCS12
	}
	switch {
	case bag.ID.Equal(oidEncryptedKeyBag):
		var key struct{ Algorithm pkix.AlgorithmIdentifier }
		if _, err := asn1.Unmarshal(bag.Value.Bytes, &key); err != nil {
			return errDamagedPKCS12
		}
		p.countDerivation(key.Algorithm.Parameters.FullBytes, 0)
		fallthrough
	case bag.ID.Equal(oidKeyBag):
		if len(bag.Value.Bytes) > maxKeyBytes {
			return errKeyKind
		}
		p.keys = append(p.keys, keyBag{friendlyName(bag.Attributes.Bytes), der})
	default:
		p.others = append(p.others, der)
	}
	return nil
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
	if _, err := asn1.Unmarshal(der, &whole); err != nil || whole.Tag != asn1.TagSequence {
		return nil, errDamagedPKCS12
	}
	var elements []asn1.RawValue
	for rest := whole.Bytes; len(rest) > 0; {
		var element asn1.RawValue
		var err error
		if rest, err = asn1.Unmarshal(rest, &element); err != nil {
			return nil, errDamagedPKCS12
		}
		if elements = append(elements, element); len(elements) > maxCertificates {
			return nil, errTooManyInPKCS12
		}
	}
	return elements, nil
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
	return 2+digits+length > len(data)
}
