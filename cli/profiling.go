//go:build profiling

package cli

import (
	"net/http"
	_ "net/http/pprof" // registers itself
	"os"
)

// With the tag profiling, and in no other binary, the profiles of net/http/pprof
// are served on AUDIENCES_PROFILING_ADDRESS. They are for benchmarks: a dump of
// goroutines can show an MPID among a function's arguments (I7).
func init() {
	if address := os.Getenv("AUDIENCES_PROFILING_ADDRESS"); address != "" {
		go func() { _ = http.ListenAndServe(address, nil) }() // what asks for it notices
	}
}
