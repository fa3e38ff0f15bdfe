package cli

import (
	"testing"
	"testing/synctest"
	"time"

	"audiences/sandbox"
)

// TestTrafficEndsWithItsRelay: a sandbox whose relay has failed ends, and does not wait
// until the time of its traffic is up.
func TestTrafficEndsWithItsRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		end := trial{lasting: time.Hour}.post(t.Context(), &sandbox.Traffic{URL: "https://127.0.0.1:1", PerSecond: 1})
		synctest.Wait()
		end()
		if took := time.Since(begun); took != 0 {
			t.Errorf("it took %v", took)
		}
	})
}
