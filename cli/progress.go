package cli

import (
	"fmt"
	"io"
	"os"
	"time"
)

// progressAfter is how long somebody waits without a word.
const progressAfter = time.Second

// waiting tells whoever looks at a terminal that a command still waits for the relay, and
// for how long, until it is ended: then the line is gone.
func waiting() (end func()) {
	if !isTerminal(output{file: os.Stderr}) {
		return func() {}
	}
	ended, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		progress(os.Stderr, ended)
	}()
	return func() {
		close(ended)
		<-gone
	}
}

func progress(out io.Writer, ended <-chan struct{}) {
	began, said := time.Now(), false
	ticker := time.NewTicker(progressAfter)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			said = true
			_, _ = fmt.Fprintf(out, "\rThe relay is at it for %d s. ", int(time.Since(began).Seconds()))
		case <-ended:
			if said {
				_, _ = io.WriteString(out, "\r\x1b[K")
			}
			return
		}
	}
}
