// Package test looks at the relay from outside: it builds the binary, runs it
// against the Split look-alike and talks to it as the lambda, the operator and
// the process supervisor do. What can be tested with the clock in hand is tested
// in the packages themselves; here are the promises that only a real process, a
// real disk and a real socket can show.
//
// What all of them need is in harness. The container and the lambda's own HTTP
// client are in e2e, as they need more than Go.
package test

import (
	"fmt"
	"os"
	"testing"

	"audiences/test/harness"
)

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	if role := os.Getenv(strangersRole); role != "" {
		if err := beStrangers(role); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	}
	return harness.Main(m, "-ldflags", "-X main.version="+builtVersion+" -X main.revision="+builtRevision+" -X audiences/config.defaultJournalDir="+builtJournal)
}

// What the relay under test was told of itself when it was built.
const (
	builtVersion  = "9.8.7-test"
	builtRevision = "0123abcd"
	builtJournal  = "built-in-journal" // every Site names another one
)
