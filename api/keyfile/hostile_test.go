package keyfile

import (
	"bytes"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// allocated is the number of bytes that Parse allocates for the data in all, and
// its error.
func allocated(data []byte) (uint64, error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := Parse(data, Options{Password: "password"})
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc, err
}

func jksOf(words ...uint32) []byte {
	data := []byte{0xfe, 0xed, 0xfe, 0xed}
	for _, w := range words {
		data = binary.BigEndian.AppendUint32(data, w)
	}
	return data
}

// TestHostileLengths: lengths and counts in a file of at most 1 MiB cannot make
// the process allocate more than a few times its size.
func TestHostileLengths(t *testing.T) {
	const huge = 0xfffffff0
	alias := uint32(0x0001_6161) // length 1, "a", and the first byte of the time
	entry := []uint32{2, 1, 1, alias, 0, 0}
	filled := func(head []byte, pattern []byte) []byte {
		return append(head, bytes.Repeat(pattern, (maxFileBytes-len(head))/len(pattern))...)
	}
	for name, data := range map[string][]byte{
		"number of entries":          jksOf(2, huge),
		"number of entries, filled":  filled(jksOf(2, huge), make([]byte, 4)),
		"length of a key":            append(jksOf(entry[:5]...), 0, 0, 0, 0xff, 0xff, 0xff, 0xf0),
		"empty trusted certificates": filled(jksOf(2, 40_000), []byte{0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}),
		"a million zeros":            filled(jksOf(), make([]byte, 4)),
		"number of certificates":     jksWithKey(t, huge, nil),
		"that many, empty":           jksWithKey(t, 170_000, make([]byte, 1_020_000)),
		"length of a certificate":    jksWithKey(t, 1, []byte{0, 0, 0xff, 0xff, 0xff, 0xf0}),
		"many empty sequences":       filled(derHead(t), []byte{0x30, 0}),
		"many keys":                  filled(jksOf(2, 1024), []byte{0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0x30, 4, 0x30, 0, 0x04, 0, 0, 0, 0, 0}),
		"open sequences, deep":       filled(nil, []byte{0x30, 0x80}),
		"open sequences inside":      filled(derHead(t), []byte{0x30, 0x80}),
		"short lines in PEM":         append(filled([]byte("-----BEGIN CERTIFICATE-----\n"), []byte("A\n"))[:maxFileBytes-30], []byte("-----END CERTIFICATE-----\n")...),
		"one long line in PEM":       append(filled([]byte("-----BEGIN CERTIFICATE-----\n"), []byte("AAAA"))[:maxFileBytes-30], []byte("-----END CERTIFICATE-----\n")...),
		"beginnings in PEM":          filled(nil, []byte("-----BEGIN X-----")),
		"dashes":                     filled([]byte("-----BEGIN X"), []byte("-")),
		"many certificates in PEM":   filled(nil, []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")),
	} {
		bytes, err := allocated(data)
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
		if bytes > 4<<20 {
			t.Errorf("%s: %d bytes allocated for a file of %d; %v", name, bytes, len(data), err)
		}
	}
}

// jksWithKey has one private key entry with that many certificates, claimed.
func jksWithKey(t *testing.T, certificates uint32, rest []byte) []byte {
	t.Helper()
	key, err := asn1.Marshal(struct {
		Algorithm asn1.RawValue
		Encrypted []byte
	}{asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true}, make([]byte, 100)})
	if err != nil {
		t.Fatal(err)
	}
	data := append(jksOf(2, 1, 1), 0, 1, 'a')
	data = append(data, make([]byte, 8)...)
	data = binary.BigEndian.AppendUint32(data, uint32(len(key)))
	data = append(data, key...)
	return append(binary.BigEndian.AppendUint32(data, certificates), rest...)
}

// derHead opens a PKCS12 whose authenticated safe takes up what follows, to the
// full size of a file.
func derHead(t *testing.T) []byte {
	t.Helper()
	safe, err := asn1.Marshal(struct {
		Version int
		Safe    dataInfo
	}{3, dataInfo{oidData, append([]byte{0x30, 0x83, 0x0f, 0xf0, 0x00}, make([]byte, 0x0ff000)...)}})
	if err != nil {
		t.Fatal(err)
	}
	return safe[:len(safe)-0x0ff000]
}

// TestShortEncryptedKey: keystore-go panics on one.
func TestShortEncryptedKey(t *testing.T) {
	data := append(jksOf(2, 1, 1), 0, 1, 'a')
	data = append(data, make([]byte, 8)...)
	data = append(data, 0, 0, 0, 6, 0x30, 4, 0x30, 0, 0x04, 0)
	data = append(data, make([]byte, 24)...)
	if _, err := Parse(data, Options{}); err == nil {
		t.Error("accepted")
	}
}

// TestIterationBomb: a work factor that would take hours is refused at once,
// wherever in the file it stands. The count needs two bytes more than in the real
// file; the salt in front of it gives them away, so that no other length changes.
func TestIterationBomb(t *testing.T) {
	data := fixture(t, "pkcs12-keytool.p12")
	ordinary := []byte{0x02, 0x02, 0x27, 0x10} // 10,000, keytool's default
	places := 0
	for at := range data {
		const salt = 20
		if head := at - salt - 2; head < 0 || !bytes.HasPrefix(data[at:], ordinary) || data[head] != 4 || data[head+1] != salt {
			continue
		}
		bomb := bytes.Clone(data)
		bomb[at-salt-1] = salt - 2
		copy(bomb[at-2:], []byte{0x02, 0x04, 0x7f, 0xff, 0xff, 0xff})
		if _, err := Parse(bomb, Options{Password: "password"}); !errors.Is(err, errTooMuchWork) {
			t.Errorf("count at byte %d: %v", at, err)
		}
		places++
	}
	if places != 3 {
		t.Errorf("%d places tried; expected those of the MAC, the key and the certificates", places)
	}
}

// FuzzParse: whatever the bytes, a certificate that can be served or an error.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/*.*", "testdata/cases/*"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			if filepath.Base(file) != "gnutls-chain.p12" { // its 2.4 million rounds take a second
				f.Add(data, optionsFor(file).Password)
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, password string) {
		entry, err := Parse(data, Options{Password: password})
		cert := entry.Certificate
		if err == nil && (cert.Leaf == nil || len(cert.Certificate) == 0 || cert.PrivateKey == nil) {
			t.Fatal("an incomplete certificate")
		}
		if err != nil && (cert.Leaf != nil || err.Error() == "") {
			t.Fatal("a certificate and an error")
		}
	})
}
