package actors

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestDemand: how many calls a node would make is measured for long enough, although it is
// asked for several times at once while slots are handed over.
func TestDemand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &demand{}
		expect := func(after time.Duration, begun, waiting int64, want float64) {
			t.Helper()
			time.Sleep(after)
			d.begun.Add(begun)
			d.waiting.Store(waiting)
			if got := d.rate(time.Now()); got != want {
				t.Errorf("%v calls a second, want %v", got, want)
			}
		}
		expect(time.Second, 0, 0, 0)
		expect(time.Second, 20, 7, 27)
		expect(4*time.Millisecond, 1, 7, 27)
		expect(4*time.Millisecond, 0, 3, 23)
		expect(992*time.Millisecond, 1, 0, 2)
		expect(time.Second, 0, 0, 0)
	})
}
