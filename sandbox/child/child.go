// Package child starts processes that end with the one who started them, also where that
// one is killed: the nodes and the PostgreSQL of the sandbox, and those of tests.
package child

import (
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// Process is one that has been started.
type Process struct {
	Cmd   *exec.Cmd
	Ended chan struct{} // closed when it has ended and all that it wrote is read
}

// Begin starts a command and returns at once. The child gets farewell when this process
// dies, and a Ctrl-C at the terminal does not reach it: who has begun it ends it in order.
//
// The kernel sends the signal when the thread that started the child ends
// (golang.org/issue/27505). So that thread is kept while the child runs. Then it is given
// back, as ending it might send the signal to children of others.
func Begin(cmd *exec.Cmd, farewell syscall.Signal) (*Process, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid, cmd.SysProcAttr.Pdeathsig = true, farewell
	// Children of its own that outlive it keep the pipe of its log open.
	cmd.WaitDelay = time.Second
	p := &Process{Cmd: cmd, Ended: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // the exit code is asked for where it matters
			close(p.Ended)
		}
	}()
	return p, <-started
}

// PID is its number.
func (p *Process) PID() int { return p.Cmd.Process.Pid }

// HasEnded reports whether it has.
func (p *Process) HasEnded() bool {
	select {
	case <-p.Ended:
		return true
	default:
		return false
	}
}
