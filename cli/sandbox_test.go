package cli

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"audiences/logging"
	"audiences/sandbox"
)

// TestTrafficEndsWithItsRelay: a sandbox whose relay has failed ends, and does not wait
// until the time of its traffic is up.
func TestTrafficEndsWithItsRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		ctx, end := context.WithCancel(t.Context())
		posting := trial{lasting: time.Hour}.post(ctx, &sandbox.Traffic{URL: "https://127.0.0.1:1", PerSecond: 1})
		synctest.Wait()
		end()
		posting.Wait()
		if took := time.Since(begun); took != 0 {
			t.Errorf("it took %v", took)
		}
	})
}

// TestNodesNeedPostgreSQL: where none is installed, --nodes says how to get it.
func TestNodesNeedPostgreSQL(t *testing.T) {
	missing := errors.New("there is none")
	_, err := trial{count: 3, installed: func() error { return missing }}.several(t.Context(), process{}, io.Discard, nil, nil)
	if !errors.Is(err, missing) || !strings.Contains(err.Error(), "apt-get install postgresql") {
		t.Errorf("it says %v", err)
	}
	if code := exitCode(err, io.Discard); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
}

// TestNodesAreAsked: what the flags of several nodes cannot mean is refused.
func TestNodesAreAsked(t *testing.T) {
	for _, line := range []string{"--nodes 10", "--nodes -1", "--nodes 2 --split-only", "--kill-every 5s", "--nodes 2 --kill-every 5ms", "--nodes 2 --kill-every -5s"} {
		out := &strings.Builder{}
		err := run(t.Context(), process{stdin: strings.NewReader(""), stdout: out, stderr: logging.NewLineWriter(out)}, append([]string{"sandbox"}, strings.Fields(line)...))
		if !errors.Is(err, errUsage) {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// TestNodeLog: of the log of a node its addresses are taken, and what is worse than news is
// passed on with the node's name, in whatever pieces it comes.
func TestNodeLog(t *testing.T) {
	var out strings.Builder
	l := &nodeLog{of: &node{name: "node2"}, to: &out}
	const text = `{"level":"info","https":"[::]:4711","admin":"127.0.0.1:4712","message":"it takes changes"}
{"level":"info","message":"news"}
{"level":"warn","message":"look"}
panic: oh
`
	for piece := range strings.SplitAfterSeq(text, "e") {
		if n, err := io.WriteString(l, piece); err != nil || n != len(piece) {
			t.Fatal(n, err)
		}
	}
	if found := l.of.found.Load(); found == nil || found.https != "127.0.0.1:4711" || found.admin != "127.0.0.1:4712" {
		t.Errorf("found at %v", found)
	}
	if want := "{\"node\":\"node2\",\"level\":\"warn\",\"message\":\"look\"}\nnode2: panic: oh\n"; out.String() != want {
		t.Errorf("passed on %q", out.String())
	}
}
