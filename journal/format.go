package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// formatVersion is the version of the keyspace and of the files around the store.
const formatVersion = 1

// format is the content of the file FORMAT, which is read before anything else
// is touched.
type format struct {
	Format   int       `json:"format"`
	Created  time.Time `json:"created"`
	KeyCheck string    `json:"keyCheck"`
	Store    bool      `json:"store"` // the store was created: its absence is damage
}

// readFormat returns false when there is no file yet.
func readFormat(f files, dir string) (format, bool, error) {
	text, err := f.read(f.PathJoin(dir, "FORMAT"))
	if errors.Is(err, fs.ErrNotExist) {
		return format{}, false, nil
	}
	if err != nil {
		return format{}, false, fmt.Errorf("read format of journal: %w", err)
	}
	var version struct {
		Format int `json:"format"`
	}
	if json.Unmarshal(text, &version) == nil && version.Format > formatVersion {
		return format{}, false, fmt.Errorf("journal in %s has format %d, this program knows up to %d: use a newer program", dir, version.Format, formatVersion)
	}
	var known format
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&known); err != nil || known.Format < 1 || known.KeyCheck == "" {
		return format{}, false, fmt.Errorf("journal in %s has an unreadable FORMAT file; nothing was changed", dir)
	}
	return known, true, nil
}

func writeFormat(f files, dir string, known format) error {
	if err := f.replace(f.PathJoin(dir, "FORMAT"), append(encodeJSON(known), '\n')); err != nil {
		return fmt.Errorf("write format of journal: %w", err)
	}
	return nil
}
