package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// child is a process that this one started. It says where it listens in a line of
// JSON: our own roles on standard output, the relay in its log.
type child struct {
	cmd   *exec.Cmd
	stdin io.Closer
	at    addresses
	ended chan struct{}

	mu   sync.Mutex
	last []byte // of what it wrote, for the story of a failure
}

// addresses are what the roles tell of themselves.
type addresses struct {
	HTTPS string `json:"https"` // of the relay and the ceiling
	Admin string `json:"admin"` // of the relay
	Split string `json:"split"` // URL of the look-alike
	Watch string `json:"watch"` // URL that shows what the look-alike has
}

const (
	startPatience = 30 * time.Second
	stopPatience  = 60 * time.Second
)

// startChild runs a command until it has said where it listens. Its standard
// input stays open as long as this process lives: our own roles end with it.
func startChild(cmd *exec.Cmd, says func(*exec.Cmd) (io.ReadCloser, error)) (*child, error) {
	c := &child{cmd: cmd, ended: make(chan struct{})}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	c.stdin = stdin
	lines, err := says(cmd)
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	told := make(chan struct{})
	go c.read(lines, told)
	select {
	case <-told:
		return c, nil
	case <-c.ended:
		return nil, fmt.Errorf("%s ended at once: %s", cmd.Path, c.story())
	case <-time.After(startPatience):
		c.kill()
		return nil, fmt.Errorf("%s does not say where it listens: %s", cmd.Path, c.story())
	}
}

func onStdout(cmd *exec.Cmd) (io.ReadCloser, error) {
	cmd.Stderr = os.Stderr
	return cmd.StdoutPipe()
}

func onStderr(cmd *exec.Cmd) (io.ReadCloser, error) { return cmd.StderrPipe() }

func (c *child) read(lines io.Reader, told chan<- struct{}) {
	defer close(c.ended)
	said := false
	for scanner := bufio.NewScanner(lines); scanner.Scan(); {
		c.mu.Lock()
		c.last = append(c.last[max(0, len(c.last)-1000):], append(scanner.Bytes(), '\n')...)
		c.mu.Unlock()
		if !said && json.Unmarshal(scanner.Bytes(), &c.at) == nil && c.at.HTTPS+c.at.Split != "" {
			said = true
			close(told)
		}
	}
	_ = c.cmd.Wait() // stop looks at the exit code
}

func (c *child) story() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.last)
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// stop sends SIGTERM and waits for an end with code 0.
func (c *child) stop() error {
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-c.ended:
	case <-time.After(stopPatience):
		c.kill()
		return fmt.Errorf("process %d did not end: %s", c.pid(), c.story())
	}
	if code := c.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("process %d ended with code %d: %s", c.pid(), code, c.story())
	}
	return nil
}

// kill is SIGKILL; it may have ended before.
func (c *child) kill() {
	_ = c.cmd.Process.Kill() // fails only when it has ended
	<-c.ended
	_ = c.stdin.Close()
}

// tell is how a role says where it listens; it then waits for its parent's end.
func tell(at addresses) error {
	text, err := json.Marshal(at)
	if err != nil {
		return err
	}
	fmt.Println(string(text))
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
