package keyfile

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"testing"
)

// boxed is the part of a PKCS12 file that holds this data, encrypted so it is said.
func boxed(t *testing.T, algorithm pkix.AlgorithmIdentifier, data []byte) asn1.RawValue {
	t.Helper()
	type content struct {
		Type      asn1.ObjectIdentifier
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte `asn1:"tag:0"`
	}
	der, err := asn1.Marshal(struct {
		Type    asn1.ObjectIdentifier
		Content struct {
			Version int
			Content content
		} `asn1:"tag:0,explicit"`
	}{oidEncryptedData, struct {
		Version int
		Content content
	}{0, content{oidData, algorithm, data}}})
	if err != nil {
		t.Fatal(err)
	}
	return asn1.RawValue{FullBytes: der}
}

// pbes2 is an algorithm with these parts, encoded.
func pbes2(t *testing.T, kdf, cipher pkix.AlgorithmIdentifier) pkix.AlgorithmIdentifier {
	t.Helper()
	der, err := asn1.Marshal(pbes2Parameters{kdf, cipher})
	if err != nil {
		t.Fatal(err)
	}
	return pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}, Parameters: asn1.RawValue{FullBytes: der}}
}

func encoded(t *testing.T, value any) asn1.RawValue {
	t.Helper()
	der, err := asn1.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return asn1.RawValue{FullBytes: der}
}

// TestNestedSafes: bags within bags are found, to a depth.
func TestNestedSafes(t *testing.T) {
	store, err := walkPKCS12(fixture(t, "pkcs12-chain.p12"))
	if err != nil {
		t.Fatal(err)
	}
	bag := store.keys[0].der
	for depth := range maxNesting + 2 {
		file, err := fileOf("password", []asn1.RawValue{bag}, store.boxes[0].der)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(file, Options{Password: "password"}); (err == nil) != (depth <= maxNesting) {
			t.Errorf("depth %d: %v", depth, err)
		}
		if bag, err = bagOf(oidSafeBag, encoded(t, []asn1.RawValue{bag}).FullBytes); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBoxInPieces is BER.
func TestBoxInPieces(t *testing.T) {
	piece := encoded(t, make([]byte, 16)).FullBytes
	var part struct {
		Type    asn1.ObjectIdentifier
		Content struct {
			Version int
			Content struct {
				Type      asn1.ObjectIdentifier
				Algorithm pkix.AlgorithmIdentifier
				Data      asn1.RawValue
			}
		} `asn1:"tag:0,explicit"`
	}
	part.Type, part.Content.Content.Type = oidEncryptedData, oidData
	part.Content.Content.Algorithm.Algorithm = oidPBKDF2
	part.Content.Content.Data = asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: piece}
	file, err := fileOf("password", nil, encoded(t, part))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Parse(file, Options{Password: "password"}); !errors.Is(err, errBER) {
		t.Error(err)
	}
}

// TestBoxes under a good MAC: what cannot be opened is told from what is damaged,
// and neither panics.
func TestBoxes(t *testing.T) {
	store, err := walkPKCS12(fixture(t, "pkcs12-chain.p12"))
	if err != nil {
		t.Fatal(err)
	}
	good := store.boxes[0]
	type derivation struct {
		Salt       []byte
		Iterations int
		PRF        pkix.AlgorithmIdentifier
	}
	pbkdf2 := func(prf ...int) pkix.AlgorithmIdentifier {
		return pkix.AlgorithmIdentifier{Algorithm: oidPBKDF2,
			Parameters: encoded(t, derivation{make([]byte, 8), 1, pkix.AlgorithmIdentifier{Algorithm: prf}})}
	}
	sha256 := pbkdf2(1, 2, 840, 113549, 2, 9)
	aes := func(iv int) pkix.AlgorithmIdentifier {
		return pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}, Parameters: encoded(t, make([]byte, iv))}
	}
	scrypt := pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 4, 11},
		Parameters: encoded(t, struct {
			Salt    []byte
			N, R, P int
		}{make([]byte, 8), 1 << 20, 1 << 20, 1})}
	for name, c := range map[string]struct {
		box  asn1.RawValue
		want error
	}{
		"as it was":             {good.der, nil},
		"a byte short":          {boxed(t, good.algorithm, good.data[1:]), errDamagedPKCS12},
		"empty":                 {boxed(t, good.algorithm, nil), errDamagedPKCS12},
		"a block short":         {boxed(t, good.algorithm, good.data[16:]), nil},
		"an IV of three bytes":  {boxed(t, pbes2(t, sha256, aes(3)), make([]byte, 32)), errDamagedPKCS12},
		"a digest of its own":   {boxed(t, pbes2(t, pbkdf2(2, 16, 840, 1, 101, 3, 4, 2, 8), aes(16)), make([]byte, 32)), ErrUnsupported},
		"scrypt for a terabyte": {boxed(t, pbes2(t, scrypt, aes(16)), make([]byte, 32)), ErrUnsupported},
		"Camellia":              {boxed(t, pbes2(t, sha256, pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 392, 200011, 61, 1, 1, 1, 4}}), make([]byte, 32)), ErrUnsupported},
		"no algorithm known":    {boxed(t, pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 3}}, make([]byte, 32)), ErrUnsupported},
	} {
		file, err := fileOf("password", []asn1.RawValue{store.keys[0].der}, c.box)
		if err != nil {
			t.Fatal(err)
		}
		before := bytes.Clone(file)
		entry, err := Parse(file, Options{Password: "password"})
		if name == "as it was" {
			if err != nil || len(entry.Certificate.Certificate) != 3 {
				t.Errorf("%s: %v", name, err)
			}
		} else if err == nil || errors.Is(err, ErrWrongPassword) || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if !bytes.Equal(before, file) {
			t.Errorf("%s: the file's bytes were changed", name)
		}
	}
}
