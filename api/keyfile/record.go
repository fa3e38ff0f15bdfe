package keyfile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// WasServed reports whether the record has the certificate: whether the relay that
// keeps it serves that from the key file of that name now, or did until the last
// renewal. The key file cannot tell: it may have been renewed a second ago, or be
// broken, and the relay is well all the same. Without a record nothing was served.
func WasServed(record, keyFile string, certificate []byte) bool {
	text, err := os.ReadFile(record)
	name, fingerprints, _ := bytes.Cut(text, []byte("\n"))
	return err == nil && string(name) == absolute(keyFile) && slices.ContainsFunc(bytes.Fields(fingerprints), func(line []byte) bool {
		return string(line) == fingerprint(certificate)
	})
}

func absolute(path string) string {
	if whole, err := filepath.Abs(path); err == nil {
		return whole
	}
	return path
}

func fingerprint(certificate []byte) string {
	sum := sha256.Sum256(certificate)
	return hex.EncodeToString(sum[:])
}

// writeRecord replaces the record in one step: a reader finds the old or the new.
func writeRecord(path, keyFile string, certificates [][]byte) error {
	var text bytes.Buffer
	fmt.Fprintln(&text, absolute(keyFile))
	for _, certificate := range certificates {
		fmt.Fprintln(&text, fingerprint(certificate))
	}
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("record what is served: %w", err)
	}
	_, err = file.Write(text.Bytes())
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("record what is served: %w", errors.Join(err, os.Remove(file.Name())))
	}
	return nil
}
