package cli

import (
	"context"
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
		ctx, end := context.WithCancel(t.Context())
		posting := trial{lasting: time.Hour}.post(ctx, &sandbox.Traffic{URL: "https://127.0.0.1:1", PerSecond: 1})
		synctest.Wait()
		end()
		posting.Wait()
		if took := time.Since(begun); took != 0 {
			t.Errorf("it took %v", took)
		}
	})
}
