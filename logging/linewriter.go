package logging

import (
	"bytes"
	"io"
	"os"
	"sync"
	"time"
)

// What a LineWriter may hold for a reader that has stalled. Both bounds are far
// above what a reader that keeps up ever lets gather.
const (
	maxHeldLines = 4096
	maxHeldBytes = 4 << 20
)

// LastWords is how long the end of a process should wait for the reader of its log.
const LastWords = time.Second

// LineWriter writes lines to a file from a goroutine of its own, so that nobody
// who logs ever waits for the reader: a container runtime that hangs must not hang
// posts, deliveries or the stop. What does not fit is dropped, the oldest first,
// because the last lines before an end tell why it ended. What is dropped is
// counted, and told once the reader has caught up.
//
// zerolog/diode does the first half. But it counts only when the reader goes on,
// drops its whole ring at once, bounds lines and not bytes, and its Close, which is
// the only way to flush it, waits for a stalled reader without end.
type LineWriter struct {
	out io.Writer

	mu      sync.Mutex
	lines   [][]byte
	bytes   int           // in lines
	busy    bool          // a goroutine writes; it ends when there are no lines
	idle    chan struct{} // closed when it ends; made when it begins
	dropped uint64        // lines that nobody will read
	told    uint64        // of them, how many have been told
	tell    func(n uint64)
	failing bool // the last write failed: whoever should be told is not there
	torn    bool // of the last line a part was written
}

// NewLineWriter returns a writer of lines to out. It starts no goroutine before the
// first line.
func NewLineWriter(out io.Writer) *LineWriter { return &LineWriter{out: out} }

// tellWith sets what is called with the number of lines that were dropped; it may
// write to w.
func (w *LineWriter) tellWith(tell func(n uint64)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tell = tell
}

// Write takes one or several whole lines. It never waits and never fails.
func (w *LineWriter) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.lines) > 0 && (len(w.lines) >= maxHeldLines || w.bytes+len(line) > maxHeldBytes) {
		w.take()
		w.dropped++
	}
	w.lines = append(w.lines, bytes.Clone(line))
	w.bytes += len(line)
	if !w.busy {
		w.busy, w.idle = true, make(chan struct{})
		go w.writeOut()
	}
	return len(line), nil
}

// take takes the oldest line; mu is held and there is one.
func (w *LineWriter) take() []byte {
	line := w.lines[0]
	w.lines[0] = nil
	w.lines = w.lines[1:]
	w.bytes -= len(line)
	return line
}

// writeOut writes until nothing is left.
func (w *LineWriter) writeOut() {
	for {
		line := w.next()
		if line == nil {
			return
		}
		w.writeOne(line)
	}
}

// next is the line to write, nil at the end. It has told of dropped lines before
// it reports the end.
func (w *LineWriter) next() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.lines) == 0 && w.tell != nil && w.dropped > w.told && !w.failing {
		n := w.dropped - w.told
		w.told = w.dropped
		w.mu.Unlock()
		w.tell(n)
		w.mu.Lock()
	}
	if len(w.lines) == 0 {
		w.lines, w.busy = nil, false
		close(w.idle)
		return nil
	}
	return w.take()
}

// writeOne may take as long as the reader likes. A line that cannot be written is
// dropped: the reader has gone, or the disk is full, and the next one may pass.
func (w *LineWriter) writeOne(line []byte) {
	if w.torn { // the goroutine that writes is the only one to change it
		line = append([]byte{'\n'}, line...)
	}
	n, err := w.out.Write(line)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failing = err != nil
	if w.failing {
		w.dropped++
	}
	w.torn = w.failing && (w.torn || n > 0)
}

// Dropped is the number of lines that nobody will read.
func (w *LineWriter) Dropped() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dropped
}

// Flush waits until all lines are written, but not longer than within.
func (w *LineWriter) Flush(within time.Duration) {
	w.mu.Lock()
	idle := w.idle
	w.mu.Unlock()
	if idle == nil {
		return
	}
	select {
	case <-idle:
	case <-time.After(within):
	}
}

// isTerminal tells whether a person reads.
func (w *LineWriter) isTerminal() bool {
	file, ok := w.out.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
