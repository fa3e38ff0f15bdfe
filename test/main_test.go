// Package test looks at the relay from outside: it builds the binary, runs it
// against the Split look-alike and talks to it as the lambda, the operator and
// the process supervisor do. What can be tested with the clock in hand is tested
// in the packages themselves; here are the promises that only a real process, a
// real disk and a real socket can show.
//
// process_test.go has the harness. The container and the lambda's own HTTP
// client are in e2e, as they need more than Go.
package test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// project is the root of the sources, seen from the directory of this package.
const project = ".."

// What the relay under test was told of itself when it was built.
const (
	builtVersion  = "9.8.7-test"
	builtRevision = "0123abcd"
)

// binary is the relay under test, built once for all tests.
var binary string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	if role := os.Getenv(strangersRole); role != "" {
		if err := beStrangers(role); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	}
	dir, err := os.MkdirTemp("", "audiences-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "audiences")
	build := exec.Command("go", "build", "-ldflags", "-X main.version="+builtVersion+" -X main.revision="+builtRevision, "-o", binary, ".")
	build.Dir = project
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as in the image
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the relay: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// lookAtSources opens the directories of the sources. The go command notes what a
// test opens, from m.Run on, and runs the test again when that has changed; else
// it would show the result of an earlier run, as this package does not import
// what it tests.
var lookAtSources = sync.OnceValue(func() error {
	return filepath.WalkDir(project, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && path != project && strings.HasPrefix(entry.Name(), ".") {
			return filepath.SkipDir
		}
		return err
	})
})

// relay is a command of the binary, about to be started.
func relay(ctx context.Context, t testing.TB, args, env []string) *exec.Cmd {
	t.Helper()
	if err := lookAtSources(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append(os.Environ(), env...)
	return cmd
}
