package logging

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// gathering is a Gathered of numbers, which are added up, and what it has written.
type gathering struct {
	*Gathered[int]
	began time.Time
	mu    sync.Mutex // a timer writes lines
	lines []string   // each "seconds: count events, sum"
}

func gather() *gathering {
	g := &gathering{began: time.Now()}
	sum := func(earlier, later int) int { return earlier + later }
	g.Gathered = Gather(GatherFor, sum, func(count, event int) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.lines = append(g.lines, fmt.Sprintf("%v: %d events, %d", time.Since(g.began), count, event))
	})
	return g
}

// want compares what has been written since the last look.
func (g *gathering) want(t *testing.T, lines ...string) {
	t.Helper()
	synctest.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	if !slices.Equal(g.lines, lines) {
		t.Errorf("written: %q, want %q", g.lines, lines)
	}
	g.lines = nil
}

// TestGathered: the first event is written at once, the others once a period with
// their number, also when nothing follows that would carry the number out.
func TestGathered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gather()
		g.Note(5)
		g.want(t, "0s: 1 events, 5")
		for range 901 {
			g.Note(2)
		}
		time.Sleep(GatherFor - 1)
		g.want(t)
		time.Sleep(time.Nanosecond)
		g.want(t, "10s: 901 events, 1802")
		time.Sleep(GatherFor / 2)
		g.Note(3) // within the period that the last line began
		g.want(t)
		time.Sleep(GatherFor / 2)
		g.want(t, "20s: 1 events, 3")
		time.Sleep(GatherFor + 1) // a period without any
		g.want(t)
		g.Note(4)
		g.want(t, "30.000000001s: 1 events, 4")
		time.Sleep(time.Hour)
		g.want(t)
	})
}

// TestGatheredSteadily: what comes all the time is one line a period, and each event
// is in exactly one of them.
func TestGatheredSteadily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events := 0
		var lines []int
		g := Gather(GatherFor, nil, func(count int, _ struct{}) { lines = append(lines, count) })
		for range 600 {
			g.Note(struct{}{})
			events++
			time.Sleep(time.Second / 10)
		}
		g.Flush()
		sum := 0
		for _, count := range lines {
			sum += count
		}
		if sum != events || len(lines) > 8 {
			t.Errorf("%d events in %v", events, lines)
		}
	})
}

// TestGatheredLatest: without a join the latest event stands for the others.
func TestGatheredLatest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var last atomic.Value // of string
		g := Gather(GatherFor, nil, func(_ int, event string) { last.Store(event) })
		g.Note("first")
		g.Note("second")
		g.Note("third")
		if got := last.Load(); got != "first" {
			t.Errorf("written: %q", got)
		}
		time.Sleep(GatherFor)
		synctest.Wait()
		if got := last.Load(); got != "third" {
			t.Errorf("written: %q", got)
		}
	})
}

// TestGatheredAtTheEnd: a flush writes what waits, once, and nothing where nothing
// does. What comes after it is not lost.
func TestGatheredAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gather()
		g.Flush()
		g.want(t)
		g.Note(1)
		g.Note(1)
		g.Note(1)
		g.Flush()
		g.want(t, "0s: 1 events, 1", "0s: 2 events, 2")
		g.Note(7)
		g.want(t)
		time.Sleep(time.Hour)
		g.want(t, "10s: 1 events, 7")
		g.Flush()
		g.Note(8)
		g.want(t, "1h0m0s: 1 events, 8")
	})
}
