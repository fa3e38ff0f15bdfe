package harness

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// Patience bounds every wait for something that normally takes milliseconds;
// the machine may be busy.
const Patience = 30 * time.Second

// Until waits for something that comes true without a signal of its own. It asks
// again after 5 ms at first, and less and less often, at least ten times a second.
func Until(ctx context.Context, within time.Duration, what string, holds func() (bool, error)) error {
	limited, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for pause := 5 * time.Millisecond; ; pause = min(pause+pause/8, 100*time.Millisecond) {
		if ok, err := holds(); ok || err != nil {
			return err
		}
		select {
		case <-time.After(pause):
		case <-limited.Done():
			return fmt.Errorf("not within %v: %s", within, what)
		}
	}
}

// Eventually is Until for a test, which it fails.
func Eventually(t testing.TB, within time.Duration, what string, condition func() bool) {
	t.Helper()
	// Not t.Context: a clean-up may wait, too.
	if err := Until(context.Background(), within, what, func() (bool, error) { return condition(), nil }); err != nil {
		t.Fatal(err)
	}
}
