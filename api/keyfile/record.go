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

// WasServed reports whether the record at path has the certificate: whether the
// relay that keeps that record serves it now or did until its last renewal. The
// key file cannot tell that: it may have been renewed a second ago, or be broken,
// and the relay is well all the same. Without a record nothing was served.
func WasServed(path string, certificate []byte) bool {
	record, err := os.ReadFile(path)
	return err == nil && slices.ContainsFunc(bytes.Fields(record), func(line []byte) bool {
		return string(line) == fingerprint(certificate)
	})
}

func fingerprint(certificate []byte) string {
	sum := sha256.Sum256(certificate)
	return hex.EncodeToString(sum[:])
}

// writeRecord replaces the record in one step: a reader finds the old or the new.
func writeRecord(path string, certificates [][]byte) error {
	var text bytes.Buffer
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
