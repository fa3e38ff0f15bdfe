package keyfile

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// parsePEM takes the certificates and private keys in any order.
func parsePEM(data []byte) ([]candidate, error) {
	var certificates [][]byte
	var keys []crypto.PrivateKey
	blocks := pemBlocks(data)
	if len(blocks) > maxBlocks {
		return nil, errTooManyInPEM
	}
	for _, at := range blocks {
		block, err := pemBlock(data[at.start:at.end])
		line := 1 + bytes.Count(data[:at.start], []byte("\n"))
		if err != nil {
			return nil, fmt.Errorf("its PEM block at line %d: %w", line, err)
		}
		switch {
		case block.Type == "CERTIFICATE" || block.Type == "X509 CERTIFICATE" || block.Type == "TRUSTED CERTIFICATE":
			var certificate asn1.RawValue // without what openssl puts behind a trusted one
			_, err := asn1.Unmarshal(block.Bytes, &certificate)
			if _, subject := certificateNames(certificate.FullBytes); err != nil || subject == nil {
				return nil, fmt.Errorf("its certificate at line %d is damaged", line)
			}
			certificates = append(certificates, certificate.FullBytes)
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			key, err := pemKey(block)
			if err != nil {
				return nil, err
			}
			keys = append(keys, key)
		case block.Type == "PKCS7" || block.Type == "CMS":
			return nil, fmt.Errorf("it holds certificates as %s at line %d, which is not supported; write that block anew with: openssl pkcs7 -print_certs -in OLD -out NEW", block.Type, line)
		}
		if len(certificates) > maxCertificates || len(keys) > maxPrivateKeys {
			return nil, errTooManyInPEM
		}
	}
	var found []candidate
	for _, key := range keys {
		found = append(found, candidate{key: key, certificates: certificates, wholeFile: true})
	}
	return found, nil
}

const maxBlocks = 2 * (maxCertificates + maxPrivateKeys)

var errTooManyInPEM = errors.New("it holds more certificates, keys or other blocks than a server's key file should")

type span struct{ start, end int }

// pemBlocks are the places from each BEGIN to the next one. A BEGIN counts also
// where an editor or a join of files has damaged its line: what looks like one is
// either read or refused, but never passed over. Else a chain would be shorter
// without a word.
func pemBlocks(data []byte) []span {
	var blocks []span
	for at := 0; len(blocks) <= maxBlocks; { // parsePEM refuses more
		next := bytes.Index(data[at:], []byte("BEGIN "))
		if next < 0 {
			break
		}
		start := at + next
		at = start + len("BEGIN ")
		if marker(data[start:], "BEGIN ", "--") == 0 {
			continue
		}
		for dashes := 0; dashes < 5 && start > 0 && data[start-1] == '-'; dashes++ {
			start--
		}
		if len(blocks) > 0 {
			blocks[len(blocks)-1].end = start
		}
		blocks = append(blocks, span{start, len(data)})
	}
	return blocks
}

// pemBlock reads one, however its lines end and wherever they begin.
func pemBlock(text []byte) (*pem.Block, error) {
	head, tail := marker(text, "-----BEGIN ", "-----"), bytes.Index(text, []byte("-----END "))
	switch {
	case tail < 0 && !bytes.Contains(text, []byte("END ")):
		return nil, ErrTruncated
	case head == 0 || tail < head || marker(text[tail:], "-----END ", "-----") == 0:
		return nil, errors.New("its first or last line is damaged")
	}
	var clean bytes.Buffer
	clean.Grow(len(text) + 4)
	clean.Write(text[:head])
	clean.WriteByte('\n')
	headers := false
	for rest := text[head:tail]; len(rest) > 0; {
		line := rest
		if at := bytes.IndexAny(rest, "\r\n"); at >= 0 {
			line, rest = rest[:at], rest[at+1:]
		} else {
			rest = nil
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		isHeader := bytes.Contains(line, []byte(": "))
		if headers && !isHeader {
			clean.WriteByte('\n') // the one blank line that matters
		}
		headers = isHeader
		clean.Write(line)
		clean.WriteByte('\n')
	}
	clean.Write(text[tail:][:marker(text[tail:], "-----END ", "-----")])
	clean.WriteByte('\n')
	block, _ := pem.Decode(clean.Bytes())
	switch {
	case block == nil && bytes.Contains(text, []byte(`\n`)):
		return nil, errors.New(`its line ends are written out as \n; make lines of them`)
	case block == nil:
		return nil, errors.New("it is damaged")
	}
	return block, nil
}

// marker is the length of a block's first or last line at the beginning of the
// text: these words, the kind of the block, these dashes; 0 if there is none.
func marker(text []byte, words, dashes string) int {
	if !bytes.HasPrefix(text, []byte(words)) {
		return 0
	}
	const longestKind = 40
	kind := text[len(words):min(len(words)+longestKind, len(text))]
	n := len(kind) - len(bytes.TrimLeft(kind, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 "))
	if end := len(words) + n; n > 0 && bytes.HasPrefix(text[end:], []byte(dashes)) {
		return end + len(dashes)
	}
	return 0
}

func pemKey(block *pem.Block) (crypto.PrivateKey, error) {
	var key crypto.PrivateKey
	var err error
	switch {
	case block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
		return nil, unsupported{"its PEM private key is encrypted", opensslExport}
	case len(block.Bytes) > maxKeyBytes:
		return nil, errKeyKind
	case block.Type == "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case block.Type == "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return parsePKCS8(block.Bytes)
	}
	if err != nil {
		return nil, fmt.Errorf("its private key is damaged: %w", err)
	}
	return key, nil
}

// textEncoding names what encoding a text is in that is not one of bytes; "": it
// is none of those.
func textEncoding(data []byte) string {
	switch {
	case bytes.HasPrefix(data, []byte{0xff, 0xfe, 0, 0}) || bytes.HasPrefix(data, []byte{0, 0, 0xfe, 0xff}):
		return "UTF-32"
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}):
		return "UTF-16LE"
	case bytes.HasPrefix(data, []byte{0xfe, 0xff}):
		return "UTF-16BE"
	case !bytes.Contains(data, []byte("B\x00E\x00G\x00I\x00N")):
		return ""
	case data[0] == 0:
		return "UTF-16BE"
	}
	return "UTF-16LE"
}
