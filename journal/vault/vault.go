// Package vault encrypts the apiTokens that a journal keeps (I7).
package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"audiences/audience"
)

// Vault encrypts apiTokens with AES-256-GCM. The tenant id is authenticated with each, so
// that no record passes for another tenant's (I9).
type Vault struct {
	aead  cipher.AEAD
	check string
}

// Check tells whether a journal was written with this key: its text is the same for the
// same key, and says nothing of it.
func (v Vault) Check() string { return v.check }

// keyLength is the length of the token key in bytes.
const keyLength = 32

// of makes the vault of a key.
func of(key [keyLength]byte) Vault {
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
	return Vault{aead: aead, check: hex.EncodeToString(mac.Sum(nil)[:16])}
}

// Seal makes a tenant record: nonce, then the encrypted token.
func (v Vault) Seal(tenant audience.Tenant) []byte {
	nonce := make([]byte, v.aead.NonceSize(), 128)
	_, _ = rand.Read(nonce) // never fails, by its contract
	return v.aead.Seal(nonce, nonce, []byte(tenant.Token.Reveal()), tenant.ID[:])
}

// Open reads a tenant record. Its errors say nothing of the token.
func (v Vault) Open(id audience.TenantID, record []byte) (audience.Tenant, error) {
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

// Parse makes the vault of a key file's content, 64 hexadecimal digits and perhaps blanks
// around them. Its error does not quote the content.
func Parse(content []byte) (Vault, error) {
	raw, err := hex.DecodeString(strings.TrimSpace(string(content)))
	if err != nil || len(raw) != keyLength { // the cause would quote the key
		return Vault{}, ErrBadKey
	}
	return of([keyLength]byte(raw)), nil
}

// ErrBadKey says what a key file must hold.
var ErrBadKey = errors.New("it does not hold 64 hexadecimal digits")

// Make makes a key up. content is what its file is to hold.
func Make() (v Vault, content []byte) {
	var key [keyLength]byte
	_, _ = rand.Read(key[:])
	return of(key), []byte(hex.EncodeToString(key[:]) + "\n")
}
