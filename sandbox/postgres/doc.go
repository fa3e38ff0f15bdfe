// Package postgres runs a real PostgreSQL for tests, the sandbox and the bench, and
// makes the faults that a relay must survive: the server is killed, stops, comes
// back, or a standby takes its place, and the network between them is slow, cut or
// silent.
//
// server.go has a server's life. It shares nothing with one that may run on the
// machine: data, port and passwords are its own. cluster.go makes its directory and
// writes its settings, process.go ends the postmaster with its children,
// standby.go makes the server that takes over, and shared.go lets the tests of a package
// share one. proxy.go and carry.go are the network
// on the way to it. installed.go finds the programs, which Debian's package
// postgresql brings.
//
// Whoever starts a server ends it. Where they die before, the server ends too, but
// its directory stays.
package postgres
