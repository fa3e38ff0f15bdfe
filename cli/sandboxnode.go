package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"audiences/sandbox/child"
)

// node is a relay of the sandbox that runs as a process of its own.
type node struct {
	*child.Process
	name   string
	found  atomic.Pointer[target] // nil until it has said where it listens
	served bool                   // it was ready at least once
}

// startNode runs this program as a node with that configuration. It ends with this process.
func startNode(name, config, adminAddress string, log io.Writer) (*node, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	n := &node{name: name}
	cmd := exec.Command(program, "serve", config)
	cmd.Env = nodeEnvironment(os.Environ(), name, adminAddress)
	cmd.Stderr = &nodeLog{of: n, to: log}
	if n.Process, err = child.Begin(cmd, syscall.SIGKILL); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return n, nil
}

// nodeEnvironment is the environment without the variables of a relay: they are meant for
// another one, and may hold its secrets.
func nodeEnvironment(environ []string, name, adminAddress string) []string {
	ofARelay := func(variable string) bool { return strings.HasPrefix(variable, "AUDIENCES_") }
	return append(slices.DeleteFunc(slices.Clone(environ), ofARelay), "AUDIENCES_NODE_NAME="+name, "AUDIENCES_ADMIN_ADDRESS="+adminAddress)
}

func (n *node) isReady() bool {
	t := n.found.Load()
	return t != nil && t.ready.Load() && !n.HasEnded()
}

// kill ends it at once, as a power loss of its machine would.
func (n *node) kill() {
	_ = n.Cmd.Process.Kill() // fails only when it has ended
	<-n.Ended
}

// nodeStops is how long a node may take to stop: twice the usual drainTimeout, as it hands
// its tenants over before, and what is left.
const nodeStops = 50 * time.Second

// stop has it drain.
func (n *node) stop() {
	_ = n.Cmd.Process.Signal(syscall.SIGTERM) // fails only when it has ended
	select {
	case <-n.Ended:
	case <-time.After(nodeStops):
		n.kill()
	}
}

// end says how it has ended.
func (n *node) end() string { return n.Cmd.ProcessState.String() }

// nodeLog takes from the log of a node where it listens, and passes on what a person should
// see, with the node's name.
type nodeLog struct {
	of   *node
	to   io.Writer
	rest []byte // of a line
}

func (l *nodeLog) Write(text []byte) (int, error) {
	l.rest = append(l.rest, text...)
	for {
		line, rest, whole := bytes.Cut(l.rest, []byte("\n"))
		if !whole {
			return len(text), nil
		}
		l.take(line)
		l.rest = rest
	}
}

func (l *nodeLog) take(line []byte) {
	var said struct{ Level, HTTPS, Admin string }
	switch err := json.Unmarshal(line, &said); {
	case err != nil:
		_, _ = fmt.Fprintf(l.to, "%s: %s\n", l.of.name, line) // no line of the log: the program crashed
	case said.HTTPS != "":
		l.of.found.Store(&target{https: onLoopback(said.HTTPS), admin: said.Admin})
	case said.Level != "info":
		_, _ = fmt.Fprintf(l.to, "{\"node\":%q,%s\n", l.of.name, line[1:])
	}
}

// onLoopback is where a process of this machine that listens on all addresses is reached.
func onLoopback(address string) string {
	return "127.0.0.1" + address[strings.LastIndex(address, ":"):]
}
