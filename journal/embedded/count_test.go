package embedded

import (
	"testing"
	"testing/synctest"

	"audiences/audience"
	"audiences/journal"
)

// hold keeps all readers from reading until the function that it returns is called.
func hold(j *Journal) (let func()) {
	gate, held := make(chan struct{}), make(chan struct{}, readers)
	for range readers {
		j.reads.put(func() { held <- struct{}{}; <-gate })
	}
	for range readers {
		<-held
	}
	return func() { close(gate) }
}

// TestCountsComeLast: while a page waits for a reader no count is made, and each still
// tells of its own time.
func TestCountsComeLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, seg := open(t, inMemory()), segment(tenant("a"), "s")
		n := 3 * countStep
		add(t, j, seg, audience.Add, numbers(0, n)...)
		park(t, j, seg, audience.Add, keys("refused")...)
		let, order := hold(j), make(chan string, 3)
		j.Load(journal.Load{Segment: seg, Limit: 1, Done: func(journal.Page) { order <- "page" }})
		for range 2 {
			j.Count(journal.Count{Segment: seg, Done: func(c journal.Counts) {
				if c != (journal.Counts{Pending: n, Parked: 1}) {
					t.Errorf("%+v", c)
				}
				order <- "count"
			}})
		}
		add(t, j, seg, audience.Add, keys("later")...)
		expectHeld(t, order, let, 3)
	})
}

// expectHeld: nothing comes until the readers are let go, and then everything.
func expectHeld(t *testing.T, order <-chan string, let func(), all int) {
	t.Helper()
	synctest.Wait()
	if len(order) > 0 {
		t.Errorf("a %s came while a page waited for a reader", <-order)
	}
	let()
	synctest.Wait()
	if len(order) != all {
		t.Errorf("%d answers, want %d", len(order), all)
	}
}

// TestCloseWaitsForNoCount: with millions of keys it would take seconds.
func TestCloseWaitsForNoCount(t *testing.T) {
	j, seg := open(t, inMemory()), segment(tenant("a"), "s")
	add(t, j, seg, audience.Add, keys(1)...)
	let, counts := hold(j), make(chan journal.Counts, 1)
	defer let()
	j.reads.put(func() {}) // waits for a reader
	j.Count(journal.Count{Segment: seg, Done: func(c journal.Counts) { counts <- c }})
	add(t, j, seg, audience.Add, keys(2)...) // when it is done, the count waits for its turn
	j.reads.close()
	if c := <-counts; c.Err != journal.ErrClosed {
		t.Errorf("%+v", c)
	}
}
