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
