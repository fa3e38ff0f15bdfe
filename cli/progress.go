package cli

import (
	"fmt"
	"io"
	"os"
	"time"
)

// progressAfter is how long somebody waits without a word.
const progressAfter = time.Second

// waiting tells whoever looks at a terminal what a command still waits for, and for how
// long, until it is ended: then the line is gone.
func waiting(what string) (end func()) { return waitingFor(func() string { return what }) }

// waitingFor is waiting for something that says how far it is.
func waitingFor(what func() string) (end func()) {
	if !isTerminal(output{file: os.Stderr}) {
		return func() {}
	}
	ended, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		progress(os.Stderr, what, ended)
	}()
	return func() {
		close(ended)
		<-gone
	}
}

func progress(out io.Writer, what func() string, ended <-chan struct{}) {
	began, said := time.Now(), false
	ticker := time.NewTicker(progressAfter)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			said = true
			_, _ = fmt.Fprintf(out, "\r%s for %d s. ", what(), int(time.Since(began).Seconds()))
		case <-ended:
			if said {
				_, _ = io.WriteString(out, "\r\x1b[K")
			}
			return
		}
	}
}
