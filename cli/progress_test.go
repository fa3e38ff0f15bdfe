package cli

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestProgress: who waits is told from the second second on, and the line goes in the end.
func TestProgress(t *testing.T) {
	for _, c := range []struct {
		takes time.Duration
		want  string
	}{
		{500 * time.Millisecond, ""},
		{2500 * time.Millisecond, "\rThe relay is at it for 1 s. \rThe relay is at it for 2 s. \r\x1b[K"},
	} {
		synctest.Test(t, func(t *testing.T) {
			var out strings.Builder
			ended, gone := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(gone)
				progress(&out, func() string { return "The relay is at it" }, ended)
			}()
			time.Sleep(c.takes)
			close(ended)
			if <-gone; out.String() != c.want {
				t.Errorf("after %v: %q", c.takes, out.String())
			}
		})
	}
}
