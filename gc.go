package main

import (
	"os"
	"runtime/debug"
)

// gcPercent is how much garbage may pile up before it is collected, in percent of
// what is in use. Go's default of 100 is for heaps full of pointers; here nearly
// everything is sets of numbers and pages of the journal, which cost next to
// nothing to mark, and memory is what a container is short of.
const gcPercent = 50

// tuneGC leaves an operator's own GOGC alone.
func tuneGC() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}
