package postgres

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience bounds each wait for a process to end; the machine may be busy.
const patience = 30 * time.Second

// process is a postmaster that has been started.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has ended and its log is read
}

// begin starts a postmaster and returns at once.
//
// The signal that ends it with this process is sent when the thread that started it
// ends (golang.org/issue/27505). So it gets a thread of its own, which waits for it
// and ends with it.
func begin(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, ended: make(chan struct{})}
	// Children that outlive their postmaster keep the pipe of its log open.
	cmd.WaitDelay = time.Second
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // the exit code is asked for where it matters
			close(p.ended)
		}
	}()
	return p, <-started
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// end ends the server with all its children: fast, which disconnects the clients and
// writes what is in memory; where that takes too long, without writing; and at last
// by force.
func (p *process) end() error {
	var late error
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT} {
		if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("stop PostgreSQL: %w", err)
		}
		select {
		case <-p.ended:
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
	if p.hasEnded() {
		return nil
	}
	// A postmaster that stands still starts no more children, and does not take
	// leave of those that end. So their numbers stay theirs.
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill PostgreSQL: %w", err)
	}
	children, err := childrenOf(p.pid())
	if err != nil {
		err = fmt.Errorf("kill PostgreSQL: %w", err)
	}
	for _, child := range children {
		_ = syscall.Kill(child, syscall.SIGKILL) // it may have ended
	}
	_ = p.cmd.Process.Kill()
	<-p.ended
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		gone := true
		for _, child := range children {
			_, state, statErr := stat(child)
			gone = gone && (statErr != nil || state == "Z" || state == "X")
		}
		if gone {
			return err
		}
		if time.Since(began) > patience {
			return fmt.Errorf("kill PostgreSQL: children are left after %v", patience)
		}
	}
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
