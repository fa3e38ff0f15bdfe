package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// outcome is what came of a mutant.
type outcome string

const (
	caught   outcome = "caught"
	timedOut outcome = "timed out" // the tests noticed by never ending
	survived outcome = "survived"
	unborn   outcome = "does not compile" // no mutant at all; not counted
)

// buildTime is what building a package's tests may take beside their own time.
const buildTime = 5 * time.Minute

// longTests take seconds each, and together more than a mutant has: most mutants
// need not wait for them. What survives all others has to survive these as well, in
// a run of its own.
var longTests = map[string]string{
	"actors":           "^(TestPoliteness|TestUnproven|TestUnprovenCostLittle|TestNoisyNeighbour|TestStopWithSplitDead|TestOutage|TestProvenTenantsHang|TestFootprint|TestNoticesAreBounded)$",
	"journal/embedded": "^(TestPowerLossIsNotDamage|TestFlippedBytes|TestEveryFault|TestInspectForetellsOpen)$",
}

// try runs the tests of the mutant's package with the broken file in place of the
// sound one.
func try(ctx context.Context, s site, timeout time.Duration) (outcome, time.Duration) {
	began := time.Now()
	dir, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		panic(err) // nothing can be tried without room for one file
	}
	defer os.RemoveAll(dir)
	overlay, err := s.overlay(dir)
	if err != nil {
		panic(err)
	}
	output, err := testAll(ctx, s.dir, timeout, "-overlay", overlay)
	switch {
	case err == nil:
		return survived, time.Since(began)
	case bytes.Contains(output, []byte("[build failed]")), bytes.Contains(output, []byte("[setup failed]")):
		return unborn, time.Since(began)
	case bytes.Contains(output, []byte("panic: test timed out")), errors.Is(err, context.DeadlineExceeded):
		return timedOut, time.Since(began)
	}
	return caught, time.Since(began)
}

// overlay writes the broken file and the go command's note of whose place it takes.
func (s site) overlay(dir string) (string, error) {
	text, err := s.broken()
	if err != nil {
		return "", err
	}
	sound, err := filepath.Abs(s.file)
	if err != nil {
		return "", fmt.Errorf("find source: %w", err)
	}
	broken, note := filepath.Join(dir, "broken.go"), filepath.Join(dir, "overlay.json")
	places, err := json.Marshal(map[string]map[string]string{"Replace": {sound: broken}})
	if err != nil {
		return "", fmt.Errorf("write overlay: %w", err)
	}
	return note, errors.Join(os.WriteFile(broken, text, 0o600), os.WriteFile(note, places, 0o600))
}

// longer is how much more time the long tests have.
const longer = 3

// testAll runs the quick tests of a package, and if these pass the long ones.
func testAll(ctx context.Context, dir string, timeout time.Duration, flags ...string) ([]byte, error) {
	long := longTests[dir]
	if long == "" {
		return test(ctx, dir, timeout, flags...)
	}
	output, err := test(ctx, dir, timeout, append(flags, "-skip", long)...)
	if err == nil {
		output, err = test(ctx, dir, longer*timeout, append(flags, "-run", long)...)
	}
	return output, err
}

// test runs tests of a package in a process group of their own, which ends
// with them.
func test(ctx context.Context, dir string, timeout time.Duration, flags ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout+buildTime)
	defer cancel()
	args := append([]string{"test", "-count=1", "-failfast", "-vet=off", "-timeout", timeout.String()}, flags...)
	command := exec.CommandContext(ctx, "go", append(args, "./"+dir)...)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	output, err := command.CombinedOutput()
	return output, errors.Join(err, ctx.Err())
}

// sound makes sure that the package's tests pass as they are, in three quarters of
// the time that a mutant has.
func sound(ctx context.Context, dir string, timeout time.Duration) error {
	timeout = timeout * 3 / 4
	if output, err := testAll(ctx, dir, timeout); err != nil {
		return fmt.Errorf("the tests of %s do not pass in %s, so that a mutant would prove nothing: %w\n%s", dir, timeout, err, output)
	}
	return nil
}
