package embedded

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"audiences/audience"
	"audiences/journal/embedded/disk"
)

// vault encrypts apiTokens for the disk (I7) with AES-256-GCM. The tenant id is
// authenticated with each, so that no record passes for another tenant's (I9).
type vault struct {
	aead  cipher.AEAD
	check string // tells whether a journal was written with this key
}

// keyLength is the length of the token key in bytes.
const keyLength = 32

func newVault(key [keyLength]byte) vault {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // the length is right
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	mac := hmac.New(sha256.New, key[:])
	mac.Write([]byte("audiences journal key check"))
	return vault{aead: aead, check: hex.EncodeToString(mac.Sum(nil)[:16])}
}

// seal makes a tenant record: nonce, then the encrypted token.
func (v vault) seal(tenant audience.Tenant) []byte {
	nonce := make([]byte, v.aead.NonceSize(), 128)
	_, _ = rand.Read(nonce) // never fails, by its contract
	return v.aead.Seal(nonce, nonce, []byte(tenant.Token.Reveal()), tenant.ID[:])
}

// open reads a tenant record. Its errors say nothing of the token.
func (v vault) open(id audience.TenantID, record []byte) (audience.Tenant, error) {
	damaged := fmt.Errorf("token of tenant %s cannot be decrypted: its record is damaged", id)
	if len(record) < v.aead.NonceSize() {
		return audience.Tenant{}, damaged
	}
	nonce, sealed := record[:v.aead.NonceSize()], record[v.aead.NonceSize():]
	text, err := v.aead.Open(nil, nonce, sealed, id[:])
	if err != nil {
		return audience.Tenant{}, damaged
	}
	token, err := audience.ParseToken(string(text))
	if err != nil || audience.NewTenant(token).ID != id {
		return audience.Tenant{}, damaged
	}
	return audience.NewTenant(token), nil
}

// readKey reads the token key; an absent file is an error that is fs.ErrNotExist.
func readKey(files disk.Files, path string) (vault, error) {
	text, err := files.Read(path)
	if err != nil {
		return vault{}, fmt.Errorf("read journal key: %w", err)
	}
	raw, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(raw) != keyLength { // the cause would quote the key
		return vault{}, fmt.Errorf("read journal key: %s does not hold 64 hexadecimal digits", path)
	}
	return newVault([keyLength]byte(raw)), nil
}

// readOrMakeKey is for a new journal: only there may a key be made up.
func readOrMakeKey(files disk.Files, path string) (vault, error) {
	v, err := readKey(files, path)
	if !errors.Is(err, fs.ErrNotExist) {
		return v, err
	}
	var key [keyLength]byte
	_, _ = rand.Read(key[:])
	if err := files.Replace(path, []byte(hex.EncodeToString(key[:])+"\n")); err != nil {
		return vault{}, fmt.Errorf("create journal key: %w", err)
	}
	return newVault(key), nil
}
