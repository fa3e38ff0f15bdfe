package api

import (
	"errors"
	"io"
	"os"
	"sync"
)

const (
	firstBuffer   = 4 << 10  // far more than the lambda's posts need
	largestPooled = 64 << 10 // the pool must not keep what a rare giant needed
)

// workspace is the memory that reading and decoding one post takes. Nothing in
// a decoded request refers to it.
type workspace struct {
	body    []byte
	decoder decoder
}

var workspaces = sync.Pool{New: func() any { return &workspace{body: make([]byte, 0, firstBuffer)} }}

func borrowWorkspace() *workspace { return workspaces.Get().(*workspace) }

func (w *workspace) giveBack() {
	if cap(w.body) <= largestPooled {
		workspaces.Put(w)
	}
}

// read takes the whole body into w.body and counts every byte on the ticket as
// it arrives, so that a caller who announces much and sends nothing holds
// nothing. declared is the Content-Length, -1 when there is none.
func (w *workspace) read(from io.Reader, declared, limit int64, t *ticket) error {
	if declared > limit {
		return bodyTooLarge(limit)
	}
	for w.body = w.body[:0]; ; {
		if len(w.body) == cap(w.body) {
			w.grow(declared, limit)
		}
		n, err := from.Read(w.body[len(w.body):cap(w.body)])
		w.body = w.body[:len(w.body)+n]
		if int64(len(w.body)) > limit {
			return bodyTooLarge(limit)
		}
		if err := t.reserve(int64(n)); err != nil {
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
func (w *workspace) grow(declared, limit int64) {
	end := limit
	if declared >= 0 {
		end = declared
	}
	size := max(int64(len(w.body))+1, min(int64(2*len(w.body)), end+1))
	w.body = append(make([]byte, 0, size), w.body...)
}
