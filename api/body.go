package api

import (
	"errors"
	"io"
	"os"
	"sync"
)

// firstBuffer is far more bytes than the lambda's posts need.
const firstBuffer = 4 << 10

// workspace is the memory that reading and decoding one post takes. Nothing in
// a decoded request refers to it.
type workspace struct {
	body    []byte
	decoder decoder
}

var workspaces = sync.Pool{New: func() any { return &workspace{body: make([]byte, 0, firstBuffer)} }}

func borrowWorkspace() *workspace { return workspaces.Get().(*workspace) }

// giveBack leaves what a rare giant needed to the collector.
func (w *workspace) giveBack() {
	if cap(w.body) <= large {
		workspaces.Put(w)
	}
}

// read takes the whole body into w.body and counts on the ticket what it takes as
// it arrives, so that a caller who announces much and sends nothing holds nothing.
// declared is the Content-Length, -1 when there is none.
func (w *workspace) read(from io.Reader, declared, limit int64, t *ticket) error {
	if declared > limit {
		return bodyTooLarge(limit)
	}
	for w.body = w.body[:0]; ; {
		if len(w.body) == cap(w.body) {
			if err := w.grow(declared, limit, t); err != nil {
				return err
			}
		}
		n, err := from.Read(w.body[len(w.body):cap(w.body)])
		w.body = w.body[:len(w.body)+n]
		if int64(len(w.body)) > limit {
			return bodyTooLarge(limit)
		}
		if err := t.hold(max(t.bytes, int64(len(w.body)))); err != nil {
			return err
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			return errSlowBody
		case err != nil:
			return errCutBody
		}
	}
}

// grow doubles the buffer, but no further than one byte beyond the end: that
// byte's absence is how the end is seen.
func (w *workspace) grow(declared, limit int64, t *ticket) error {
	end := limit
	if declared >= 0 {
		end = declared
	}
	size := max(int64(len(w.body))+1, min(int64(2*len(w.body)), end+1))
	if err := t.hold(size); err != nil {
		return err
	}
	w.body = append(make([]byte, 0, size), w.body...)
	return nil
}
