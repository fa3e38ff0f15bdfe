package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

// bareLog is a file with group commit and nothing else: what waits is written
// together and made durable by one fdatasync. It is what any server has to do that
// keeps what it answers 200 to.
type bareLog struct {
	keep func(text []byte) error

	mu      sync.Mutex
	changed sync.Cond
	next    *group
}

// group is what one fdatasync makes durable.
type group struct {
	text    []byte
	done    chan struct{} // closed when it is
	err     error
	answers []answer // to write then
}

// answer is what the log itself tells a caller when its post is durable.
type answer struct {
	to   io.WriteCloser
	text []byte
	last bool // the connection ends with it
}

func newGroup() *group { return &group{done: make(chan struct{})} }

// openLog opens a log in a file; a time in place of its name makes one that only
// takes so long.
func openLog(path string) (*bareLog, error) {
	l := &bareLog{next: newGroup()}
	l.changed.L = &l.mu
	if pause, err := time.ParseDuration(path); err == nil {
		l.keep = func([]byte) error { time.Sleep(pause); return nil }
	} else {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return nil, fmt.Errorf("open log: %w", err)
		}
		l.keep = func(text []byte) error {
			if _, err := file.Write(text); err != nil {
				return err
			}
			return syscall.Fdatasync(int(file.Fd()))
		}
	}
	go l.commit()
	return l, nil
}

// append returns when the text is durable.
func (l *bareLog) append(text []byte) error {
	g := l.add(text)
	<-g.done
	return g.err
}

// add copies the text into the next group, and has these answers written when it is
// durable.
func (l *bareLog) add(text []byte, answers ...answer) *group {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.next
	g.text, g.answers = append(g.text, text...), append(g.answers, answers...)
	l.changed.Signal()
	return g
}

func (l *bareLog) commit() {
	for {
		l.mu.Lock()
		for len(l.next.text) == 0 {
			l.changed.Wait()
		}
		g := l.next
		l.next = newGroup()
		l.mu.Unlock()
		g.err = l.keep(g.text)
		close(g.done)
		if len(g.answers) > 0 {
			go g.answer() // while the next group is made durable
		}
	}
}

// answer writes the answers, and closes what they end, or what gets none.
func (g *group) answer() {
	for _, a := range g.answers {
		if g.err == nil {
			_, _ = a.to.Write(a.text) // the caller may have gone
		}
		if g.err != nil || a.last {
			_ = a.to.Close()
		}
	}
}
