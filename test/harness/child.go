package harness

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Addresses are where a process listens. It says so in a line of JSON, on standard
// output or in its log.
type Addresses struct {
	HTTPS string `json:"https"` // host:port to post to
	Admin string `json:"admin"` // host:port of /readyz and /metrics; "" when it is off
	Split string `json:"split"` // URL of a look-alike
	Watch string `json:"watch"` // URL that shows what a look-alike has
}

// Child is a process that this one has started.
type Child struct {
	Addresses // known when Listens is closed
	Cmd       *exec.Cmd
	Listens   chan struct{} // closed when the process has said where
	Ended     chan struct{} // closed when it has ended

	mu             sync.Mutex
	stdout, stderr bytes.Buffer
}

// Begin starts a command and returns at once. What it writes is kept, unless the
// command says where else it goes.
func Begin(cmd *exec.Cmd) (*Child, error) {
	c := &Child{Cmd: cmd, Listens: make(chan struct{}), Ended: make(chan struct{})}
	if cmd.Stdout == nil {
		cmd.Stdout = &watch{c, &c.stdout}
	}
	if cmd.Stderr == nil {
		cmd.Stderr = &watch{c, &c.stderr}
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(c.Ended)
		_ = cmd.Wait() // the exit code is asked for where it matters
	}()
	return c, nil
}

// watch takes what a process writes.
type watch struct {
	of *Child
	to *bytes.Buffer
}

// Write takes lines as they come, and the addresses out of the line that has them.
func (w *watch) Write(text []byte) (int, error) {
	c := w.of
	c.mu.Lock()
	defer c.mu.Unlock()
	w.to.Write(text)
	if c.HTTPS+c.Split != "" {
		return len(text), nil
	}
	for line := range bytes.Lines(w.to.Bytes()) {
		var said Addresses
		if json.Unmarshal(line, &said) == nil && said.HTTPS+said.Split != "" {
			said.HTTPS = onLoopback(said.HTTPS)
			c.Addresses = said
			close(c.Listens)
			break
		}
	}
	return len(text), nil
}

func onLoopback(address string) string {
	if address == "" {
		return ""
	}
	_, port, _ := net.SplitHostPort(address) // the process wrote it; a wrong one fails at the first post
	return net.JoinHostPort("127.0.0.1", port)
}

// Log is what the process wrote to standard error so far.
func (c *Child) Log() string { return c.text(&c.stderr) }

// Output is what the process wrote to standard output so far.
func (c *Child) Output() string { return c.text(&c.stdout) }

func (c *Child) text(of *bytes.Buffer) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return of.String()
}

// PID is the number of the process.
func (c *Child) PID() int { return c.Cmd.Process.Pid }

// AwaitListening waits until the ports are open.
func (c *Child) AwaitListening() error {
	select {
	case <-c.Listens:
		return nil
	case <-c.Ended:
		return fmt.Errorf("the process ended with code %d instead of listening: %s", c.ExitCode(), c.end())
	case <-time.After(Patience):
		return fmt.Errorf("the process does not listen: %s", c.end())
	}
}

// Stop sends SIGTERM and waits for an end with code 0.
func (c *Child) Stop() error {
	if err := c.Cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	if err := c.AwaitEnd(2 * Patience); err != nil {
		c.Kill()
		return err
	}
	if code := c.ExitCode(); code != 0 {
		return fmt.Errorf("process %d ended with code %d: %s", c.PID(), code, c.end())
	}
	return nil
}

// Kill sends SIGKILL and waits for the end; it may have ended before.
func (c *Child) Kill() {
	_ = c.Cmd.Process.Kill() // fails only when it has ended
	<-c.Ended
}

// AwaitEnd waits for the end.
func (c *Child) AwaitEnd(within time.Duration) error {
	select {
	case <-c.Ended:
		return nil
	case <-time.After(within):
		return fmt.Errorf("process %d has not ended within %v: %s", c.PID(), within, c.end())
	}
}

// ExitCode is for a process that has ended; -1 after a fatal signal.
func (c *Child) ExitCode() int { return c.Cmd.ProcessState.ExitCode() }

// end is the end of the log, for the story of a failure.
func (c *Child) end() string {
	log := c.Log()
	return log[max(0, len(log)-1000):]
}
