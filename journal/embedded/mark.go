package embedded

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"audiences/journal"
)

// ID tells this journal from all others. A copy of its directory has the same one.
func (j *Journal) ID() string {
	sum := sha256.Sum256([]byte(j.format.Created.UTC().Format(time.RFC3339Nano) + j.format.KeyCheck))
	return hex.EncodeToString(sum[:8])
}

// Mark is what SetMark kept; nil: nothing.
func (j *Journal) Mark() *journal.Mark { return j.format.Mark }

// SetMark keeps a mark, durably, or takes it away. It waits for the disk, and is not called
// by two goroutines at once, nor while Mark or ID is.
func (j *Journal) SetMark(_ context.Context, mark *journal.Mark) error {
	changed := j.format
	changed.Mark = mark
	if err := writeFormat(j.files, j.options.Dir, changed); err != nil {
		return err
	}
	j.format = changed
	return nil
}

// Held is nil while nobody else can use the journal: until Close, as its lock is this
// process's.
func (j *Journal) Held() error {
	if j.failed.Load() {
		return journal.ErrClosed
	}
	return nil
}

// Flush returns when all that was handed in before is durable.
func (j *Journal) Flush() error {
	done := make(chan error, 1)
	j.Append(journal.Append{Done: func(err error) { done <- err }})
	return <-done
}
