package embedded

import (
	"errors"
	"fmt"
	"io/fs"

	"audiences/journal/embedded/disk"
	"audiences/journal/vault"
)

// readKey reads the key that the tokens are sealed with; an absent file is an error that
// is fs.ErrNotExist.
func readKey(files disk.Files, path string) (vault.Vault, error) {
	content, err := files.Read(path)
	if err != nil {
		return vault.Vault{}, fmt.Errorf("read journal key: %w", err)
	}
	key, err := vault.Parse(content)
	if err != nil {
		return vault.Vault{}, fmt.Errorf("read journal key: %s: %w", path, err)
	}
	return key, nil
}

// readOrMakeKey is for a new journal: only there may a key be made up.
func readOrMakeKey(files disk.Files, path string) (vault.Vault, error) {
	key, err := readKey(files, path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	key, content := vault.Make()
	if err := files.Replace(path, content); err != nil {
		return vault.Vault{}, fmt.Errorf("create journal key: %w", err)
	}
	return key, nil
}
