package keyfile

import (
	"bytes"
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des" // #nosec G502 -- what older files are encrypted with
	"crypto/pbkdf2"
	"crypto/sha1" // #nosec G505 -- the default of PBKDF2
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"hash"
)

// PBES2 (RFC 8018) is a key derivation and a cipher, both with parameters. Both are the
// standard library's; here is read which are meant.

var (
	oidPBES2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
)

// errDecryption is why the plain text is not one: the password is wrong, or the file damaged.
var errDecryption = errors.New("decryption failed")

// pbes2Parameters are those of the algorithm.
type pbes2Parameters struct {
	Derivation pkix.AlgorithmIdentifier
	Encryption pkix.AlgorithmIdentifier
}

// pbkdf2Parameters are those of the key derivation.
type pbkdf2Parameters struct {
	Salt       []byte
	Iterations int
	KeyLength  int                      `asn1:"optional"`
	PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
}

// prfs are the pseudo-random functions of PBKDF2: HMAC with a digest.
var prfs = map[string]func() hash.Hash{
	"":                    sha1.New, // the default
	"1.2.840.113549.2.7":  sha1.New,
	"1.2.840.113549.2.8":  sha256.New224,
	"1.2.840.113549.2.9":  sha256.New,
	"1.2.840.113549.2.10": sha512.New384,
	"1.2.840.113549.2.11": sha512.New,
	"1.2.840.113549.2.12": sha512.New512_224,
	"1.2.840.113549.2.13": sha512.New512_256,
}

// blockCiphers are those that files are encrypted with, all in CBC mode.
var blockCiphers = map[string]struct {
	keyLength int
	make      func(key []byte) (cipher.Block, error)
}{
	"2.16.840.1.101.3.4.1.2":  {16, aes.NewCipher},
	"2.16.840.1.101.3.4.1.22": {24, aes.NewCipher},
	"2.16.840.1.101.3.4.1.42": {32, aes.NewCipher},
	"1.2.840.113549.3.7":      {24, des.NewTripleDESCipher},
}

// pseudoRandomFunction is what PBKDF2 is made with; "": the default, or it cannot
// be told.
func pseudoRandomFunction(derivation pkix.AlgorithmIdentifier) string {
	var parameters pbkdf2Parameters
	if _, err := asn1.Unmarshal(derivation.Parameters.FullBytes, &parameters); err != nil || parameters.PRF.Algorithm == nil {
		return ""
	}
	return parameters.PRF.Algorithm.String()
}

// decrypt opens PBES2. The password is taken as UTF-8, as all do but for the MAC. scrypt,
// which can ask for any amount of memory, is left out.
func decrypt(algorithm pkix.AlgorithmIdentifier, data []byte, password string) (plain []byte, err error) {
	var parameters pbes2Parameters
	if _, err := asn1.Unmarshal(algorithm.Parameters.FullBytes, &parameters); err != nil {
		return nil, damagedOrBER(err)
	}
	if !parameters.Derivation.Algorithm.Equal(oidPBKDF2) {
		return nil, convertPKCS12("it is PKCS12 with a key derivation other than PBKDF2")
	}
	chosen, known := blockCiphers[parameters.Encryption.Algorithm.String()]
	if !known {
		return nil, convertPKCS12(fmt.Sprintf("it is PKCS12 with the cipher %s", parameters.Encryption.Algorithm))
	}
	var derivation pbkdf2Parameters
	if _, err := asn1.Unmarshal(parameters.Derivation.Parameters.FullBytes, &derivation); err != nil {
		return nil, damagedOrBER(err)
	}
	digest, known := prfs[pseudoRandomFunction(parameters.Derivation)]
	if !known {
		return nil, convertPKCS12("it is PKCS12 with a key derivation by " + cmp.Or(digestNames[pseudoRandomFunction(parameters.Derivation)], "a digest that is not known here"))
	}
	var iv []byte
	if _, err := asn1.Unmarshal(parameters.Encryption.Parameters.FullBytes, &iv); err != nil {
		return nil, damagedOrBER(err)
	}
	key, err := pbkdf2.Key(digest, password, derivation.Salt, derivation.Iterations, chosen.keyLength)
	if err != nil || derivation.Iterations < 1 {
		return nil, errDamagedPKCS12
	}
	block, err := chosen.make(key)
	if err != nil || len(iv) != block.BlockSize() || len(data) == 0 || len(data)%block.BlockSize() != 0 {
		return nil, errDamagedPKCS12
	}
	plain = make([]byte, len(data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, data)
	return unpadded(plain, block.BlockSize())
}

// unpadded is the text without its padding (RFC 8018, section 6.1.1).
func unpadded(plain []byte, size int) ([]byte, error) {
	n := int(plain[len(plain)-1])
	if n < 1 || n > size || !bytes.HasSuffix(plain, bytes.Repeat([]byte{byte(n)}, n)) {
		return nil, errDecryption
	}
	return plain[:len(plain)-n], nil
}
