package pace

import (
	"testing"
	"time"
)

func TestBackoffDoublesWithJitter(t *testing.T) {
	lot := 0.0
	random := func() float64 { return lot }
	for attempt, want := range map[int]time.Duration{1: 1, 2: 2, 3: 4, 6: 32, 7: 60, 100: 60} {
		want *= time.Second
		lot = 0
		least := Backoff(attempt, time.Second, time.Minute, random)
		lot = 0.999999
		most := Backoff(attempt, time.Second, time.Minute, random)
		if least != want/2 || most > want || most < want*99/100 {
			t.Errorf("attempt %d: %v to %v, want %v to %v", attempt, least, most, want/2, want)
		}
	}
}

// TestBackoffNeverOverflows: however often a call failed, and whatever the first wait is,
// the next one is no shorter than half of it and no longer than the most.
func TestBackoffNeverOverflows(t *testing.T) {
	for _, first := range []time.Duration{time.Millisecond, time.Second, 30 * time.Second, time.Hour} {
		for n := range 200 {
			d := Backoff(n, first, 15*time.Minute, func() float64 { return 0 })
			if d < min(first, 15*time.Minute)/2 || d > 15*time.Minute {
				t.Errorf("attempt %d from %v: %v", n, first, d)
			}
		}
	}
}
