//go:build e2e

// Package e2e runs the relay as its users do: as a container that a real engine
// builds from the Dockerfile and kills, and against the HTTP client that the
// lambda uses. What arrives is read out of the Split look-alike.
//
// The tests need root, dockerd, Node.js, npm, openssl, prometheus and keytool; `make e2e` installs what is
// missing. They fail, and do not skip, where something cannot be had.
package e2e
