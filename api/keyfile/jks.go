package keyfile

import (
	"bytes"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"

	keystore "github.com/pavlo-v-chernykh/keystore-go/v4"
)

var errTooManyInJKS = errors.New("it is damaged, or holds more keys or certificates than a server's key file should")

var errStorePassword = fmt.Errorf("%w: check keyPassword", ErrWrongPassword)

// parseJKS opens every private key.
func parseJKS(data []byte, o Options) ([]candidate, error) {
	if err := walkJKS(data); err != nil {
		return nil, err
	}
	password, err := jksPassword(o.Password)
	if err != nil {
		return nil, err
	}
	keyPassword, err := jksPassword(o.KeyPassword)
	if err != nil {
		return nil, err
	}
	store := keystore.New(keystore.WithOrderedAliases(), keystore.WithCaseExactAliases())
	if err := store.Load(bytes.NewReader(data), password); err != nil {
		// The structure is known to be whole, so it is the digest, which takes in
		// the password.
		return nil, errStorePassword
	}
	var found []candidate
	for _, alias := range store.Aliases() {
		if store.IsPrivateKeyEntry(alias) {
			found = append(found, openEntry(store, alias, keyPassword))
		}
	}
	return found, nil
}

func openEntry(store keystore.KeyStore, alias string, password []byte) candidate {
	c := candidate{alias: alias, wholeFile: true}
	entry, err := store.GetPrivateKeyEntry(alias, password)
	if err != nil {
		c.err = fmt.Errorf("%w: its private key does not open; if it has a password of its own, set keyEntryPassword", ErrWrongPassword)
		return c
	}
	for _, certificate := range entry.CertificateChain {
		c.certificates = append(c.certificates, certificate.Content)
	}
	c.key, c.err = parsePKCS8(entry.PrivateKey)
	return c
}

// jksPassword converts for keystore-go, which takes each byte for one character:
// right up to U+00FF, and nothing beyond can be expressed.
func jksPassword(s string) ([]byte, error) {
	password := make([]byte, 0, len(s))
	for _, r := range s {
		if r > 0xff {
			return nil, errJKSPassword
		}
		password = append(password, byte(r))
	}
	return password, nil
}

var errJKSPassword = unsupported{"it is JKS, and the password has characters beyond U+00FF (put it into AUDIENCES_KEY_PASSWORD; the new one has to be ASCII)", keytoolJKS}

// walkJKS checks every length against what is left of the file, every count
// against a bound, and every encrypted key for its least size. keystore-go checks
// none of them: a damaged length makes it allocate gigabytes, a short key makes
// it panic.
//
// The layout, all numbers big-endian (OpenJDK, sun.security.provider.JavaKeyStore):
// magic, version, number of entries; each entry a tag, an alias, a time, then
// (tag 1) an encrypted key and a chain or (tag 2) one certificate; a SHA-1 digest.
func walkJKS(data []byte) error {
	w := walker{rest: data[4:]}
	version, entries := w.uint32(), w.uint32()
	if !w.short && version != 1 && version != 2 {
		return fmt.Errorf("it is a JKS keystore of version %d; only 1 and 2 exist", version)
	}
	if entries > maxCertificates {
		return fmt.Errorf("it claims to hold %d entries; it is damaged, or not meant to be a server's key file", entries)
	}
	for range entries {
		if err := w.entry(version); err != nil {
			return err
		}
	}
	w.bytes(20)
	if w.short {
		return ErrTruncated
	}
	return nil
}

// walker goes through a file; once a length exceeds what is left, short is set
// and every further read is empty.
type walker struct {
	rest         []byte
	certificates int
	keys         int
	short        bool
}

func (w *walker) bytes(n int64) []byte {
	if n > int64(len(w.rest)) {
		w.short = true
	}
	if w.short {
		return nil
	}
	b := w.rest[:n]
	w.rest = w.rest[n:]
	return b
}

func (w *walker) uint32() uint32 {
	b := w.bytes(4)
	if b == nil {
		return 0
	}
	return binary.BigEndian.Uint32(b)
}

func (w *walker) text() {
	if b := w.bytes(2); b != nil {
		w.bytes(int64(binary.BigEndian.Uint16(b)))
	}
}

func (w *walker) entry(version uint32) error {
	tag := w.uint32()
	w.text()   // alias
	w.bytes(8) // time of creation
	certificates := uint32(1)
	if tag == 1 {
		if w.keys++; w.keys > maxPrivateKeys {
			return errTooManyInJKS
		}
		key := w.bytes(int64(w.uint32()))
		certificates = w.uint32()
		if !w.short && !isEncryptedKey(key) {
			return errors.New("it is damaged: an entry's private key is not one")
		}
	}
	if w.certificates += int(min(certificates, maxCertificates+1)); w.certificates > maxCertificates {
		return errTooManyInJKS
	}
	for range certificates {
		if version == 2 {
			w.text() // kind of certificate
		}
		w.bytes(int64(w.uint32()))
	}
	switch {
	case w.short:
		return ErrTruncated
	case tag != 1 && tag != 2:
		return errors.New("it is damaged: an entry is neither a private key nor a certificate")
	}
	return nil
}

// isEncryptedKey wants an algorithm and at least salt and digest, 20 bytes each.
func isEncryptedKey(der []byte) bool {
	var info struct {
		Algorithm asn1.RawValue
		Encrypted []byte
	}
	_, err := asn1.Unmarshal(der, &info)
	return err == nil && len(info.Encrypted) > 40
}
