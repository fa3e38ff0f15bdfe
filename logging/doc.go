// Package logging brings the log to standard error, and never makes anybody wait for
// its reader.
//
// logger.go makes the process's zerolog.Logger; linewriter.go holds the lines for a
// reader that has stalled, within bounds, and counts what it drops; stderr.go opens
// standard error so that the Go runtime does not wait for the reader either.
// gathered.go makes few lines of many events of a kind.
package logging
