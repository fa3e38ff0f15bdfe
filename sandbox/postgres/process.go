package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"audiences/sandbox/child"
)

// patience bounds each wait for a process to end; the machine may be busy.
const patience = 30 * time.Second

// farewell ends a postmaster at once whose starter has died.
const farewell = syscall.SIGQUIT

// process is a postmaster that has been started.
type process struct{ *child.Process }

func begin(cmd *exec.Cmd) (*process, error) {
	p, err := child.Begin(cmd, farewell)
	return &process{p}, err
}

// end ends the server with all its children: fast, which disconnects the clients and
// writes what is in memory; where that takes too long, without writing; and at last
// by force.
func (p *process) end() error {
	var late error
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT} {
		if err := p.Cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("stop PostgreSQL: %w", err)
		}
		select {
		case <-p.Ended:
			return late
		case <-time.After(patience):
			late = fmt.Errorf("stop PostgreSQL: not within %v of signal %v", patience, signal)
		}
	}
	return errors.Join(late, p.kill())
}

// kill ends the postmaster and its children by their numbers with SIGKILL, and waits
// until all are gone: what is left of them would keep the server from starting again.
func (p *process) kill() error {
	if p.HasEnded() {
		return nil
	}
	// A postmaster that stands still starts no more children, and does not take
	// leave of those that end. So their numbers stay theirs.
	if err := p.Cmd.Process.Signal(syscall.SIGSTOP); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill PostgreSQL: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_ = until(ctx, p.Ended, func() bool { return isIn("T", p.PID()) }) // killed in any case
	children, err := childrenOf(p.PID())
	for _, child := range children {
		_ = syscall.Kill(child, syscall.SIGKILL) // it may have ended
	}
	_ = p.Cmd.Process.Kill()
	<-p.Ended
	isLeft := func(child int) bool { return !isIn("ZX", child) }
	if waited := until(ctx, nil, func() bool { return !slices.ContainsFunc(children, isLeft) }); waited != nil {
		err = errors.Join(err, fmt.Errorf("wait for its children: %w", waited))
	}
	if err != nil {
		return fmt.Errorf("kill PostgreSQL: %w", err)
	}
	return nil
}

// isIn tells whether a process is in one of these states of proc(5), or no more.
func isIn(states string, pid int) bool {
	_, state, err := stat(pid)
	return err != nil || strings.Contains(states, state)
}

// childrenOf are the numbers of a process's children.
func childrenOf(parent int) (children []int, err error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue // no process
		}
		if of, _, err := stat(pid); err == nil && of == parent {
			children = append(children, pid)
		}
	}
	return children, nil
}

// stat is the parent of a process and its state as in proc(5).
func stat(pid int) (parent int, state string, err error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, "", err
	}
	_, after, _ := strings.Cut(string(text), ") ") // the name before it may hold anything
	_, err = fmt.Sscan(after, &state, &parent)
	return parent, state, err
}

// logEnd is where a server's log goes: to whoever wants it. Its end is kept for the
// story of a failure.
type logEnd struct {
	to io.Writer // nil: nobody

	mu   sync.Mutex
	last []byte
}

func (l *logEnd) Write(text []byte) (int, error) {
	const enough = 4000
	l.mu.Lock()
	l.last = append(l.last, text...)
	l.last = l.last[max(0, len(l.last)-enough):]
	l.mu.Unlock()
	if l.to == nil {
		return len(text), nil
	}
	return l.to.Write(text)
}

func (l *logEnd) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.last)
}
