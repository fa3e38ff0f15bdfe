package harness

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

// Project is the root of the sources, seen from the working directory: that of a
// test is the directory of its package.
var Project = root()

func root() string {
	for dir := "."; len(dir) < 20; dir = filepath.Join("..", dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
	}
	return "." // where the build fails, and says why
}

// Binary is the relay under test, built once by Main for all tests of a package.
var Binary string

// Build builds the relay as it is in the image, with these flags of go build.
func Build(ctx context.Context, to string, flags ...string) error {
	to, err := filepath.Abs(to)
	if err != nil {
		return fmt.Errorf("build the relay: %w", err)
	}
	build := exec.CommandContext(ctx, "go", append(append([]string{"build"}, flags...), "-o", to, ".")...)
	build.Dir = Project
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the relay: %w\n%s", err, out)
	}
	return nil
}

// Main builds the relay with these flags and runs the tests of a package. It
// returns their exit code.
func Main(m *testing.M, flags ...string) int {
	dir, err := os.MkdirTemp("", "audiences-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	Binary = filepath.Join(dir, "audiences")
	if err := Build(context.Background(), Binary, flags...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// LookAtSources opens the directories of the sources. The go command notes what a
// test opens, from m.Run on, and runs the test again when that has changed; else
// it would show the result of an earlier run, as these packages do not import what
// they test.
var LookAtSources = sync.OnceValue(func() error {
	return filepath.WalkDir(Project, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && path != Project && strings.HasPrefix(entry.Name(), ".") {
			return filepath.SkipDir
		}
		return err
	})
})

// command is a command of the binary, about to be started, with these variables
// on top of the environment.
func command(ctx context.Context, t testing.TB, args, env []string) *exec.Cmd {
	t.Helper()
	if err := LookAtSources(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, Binary, args...)
	cmd.Env = append(os.Environ(), env...)
	return cmd
}

// Run runs a command of the binary to its end, with these variables in its
// environment, and returns its exit code and what it wrote.
func Run(t testing.TB, env []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	cmd := command(ctx, t, args, env)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	if ctx.Err() != nil {
		t.Fatalf("%v has not ended within %v\n%s", args, Patience, errs.String())
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}
