// Package harness builds the relay, runs it as a process and talks to it, for all
// that look at it from outside: the tests in test and test/e2e, and test/bench.
//
// build.go makes the binary. child.go has a process and where it listens, and
// returns errors; process.go and site.go are the same for a test, which they fail:
// a site is a directory with a configuration and a journal, and the Split
// look-alike that the relay delivers to. requests.go posts and asks, metrics.go and
// proc.go read what a process says of itself and what Linux says of it, ledger.go
// keeps what was answered 200, each.go shares work out, wait.go waits for what has
// no signal of its own.
package harness
