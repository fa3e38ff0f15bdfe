package connections

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// queueing has waiters that say when their turn has come.
type queueing struct {
	*turns
	order chan string
	begun bool // what the next one to wait says
}

func (q *queueing) wait(name, address string, known bool, closed <-chan struct{}) {
	begun := q.begun
	go func() {
		if q.await(netip.MustParseAddr(address), known, begun, closed) != noTurn {
			q.order <- name
		} else {
			q.order <- "no " + name
		}
	}()
	synctest.Wait() // so that they queue in the order of the test
}

// drain ends turn after turn and returns whose came.
func (q *queueing) drain(class func(name string) int32, n int) (order []string) {
	for range n {
		name := <-q.order
		order = append(order, name)
		q.giveBack(class(name))
		synctest.Wait()
	}
	return order
}

// classOf goes by the name: u for those of unknown addresses.
func classOf(name string) int32 {
	if name[0] == 'u' {
		return ofUnknown
	}
	return ofKnown
}

// TestKnownAddressesComeFirst: of each four turns one is for those that are not
// known, so that a new caller gets in however busy the known ones are.
func TestKnownAddressesComeFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queueing{turns: newTurns(1), order: make(chan string, 20)}
		q.wait("k", "10.0.0.1", true, nil)
		for i := range 3 {
			q.wait(fmt.Sprint("u", i), "10.0.0.2", false, nil)
		}
		for i := range 8 {
			q.wait(fmt.Sprint("k", i), "10.0.0.1", true, nil)
		}
		got := q.drain(classOf, 12)
		if want := []string{"k", "k0", "k1", "k2", "u0", "k3", "k4", "k5", "u1", "k6", "k7", "u2"}; !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	})
}

// TestUnknownAddressesShareHalf: the other half is free for those who have shown
// the token.
func TestUnknownAddressesShareHalf(t *testing.T) {
	for places, want := range map[int]int{1: 1, 2: 1, 3: 1, 4: 2, 8: 4} {
		synctest.Test(t, func(t *testing.T) {
			q := &queueing{turns: newTurns(places), order: make(chan string, 40)}
			for i := range 20 {
				q.wait(fmt.Sprint("u", i), fmt.Sprint("10.0.0.", i), false, nil)
			}
			if n := len(q.order); n != want {
				t.Errorf("%d of %d places are with unknown addresses, want %d", n, places, want)
			}
			for i := range 20 {
				q.wait(fmt.Sprint("k", i), "10.0.1.1", true, nil)
			}
			if n := len(q.order); n != places {
				t.Errorf("%d of %d places are taken", n, places)
			}
			q.drain(classOf, 40)
		})
	}
}

// TestAddressAfterAddress: who sends a thousand waits with his thousand, and not
// all others.
func TestAddressAfterAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queueing{turns: newTurns(1), order: make(chan string, 20)}
		q.wait("u", "10.0.0.1", false, nil)
		for i := range 5 {
			q.wait(fmt.Sprint("u-many", i), "10.0.0.1", false, nil)
		}
		q.wait("u-other", "10.0.0.2", false, nil)
		q.wait("u-third", "10.0.0.3", false, nil)
		got := q.drain(classOf, 8)
		if want := []string{"u", "u-many0", "u-other", "u-third", "u-many1", "u-many2", "u-many3", "u-many4"}; !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	})
}

// TestWhoHasBegunComesFirst: the work for his hello was done already.
func TestWhoHasBegunComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queueing{turns: newTurns(1), order: make(chan string, 20)}
		for _, name := range []string{"u", "u1", "u2"} {
			q.wait(name, "10.0.0.1", false, nil)
		}
		q.begun = true
		q.wait("u-begun", "10.0.0.1", false, nil)
		q.wait("u-other", "10.0.0.2", false, nil)
		if got := q.drain(classOf, 5); !slices.Equal(got, []string{"u", "u-begun", "u-other", "u1", "u2"}) {
			t.Errorf("%v", got)
		}
	})
}

// TestBegunIsNotForEver: otherwise who has a connection could ask and ask before all
// who come to the same address.
func TestBegunIsNotForEver(t *testing.T) {
	for turns, want := range map[int32]bool{0: false, 1: true, turnsOfOnePost - 1: true, turnsOfOnePost: false, 1000: false} {
		if hasBegun(turns) != want {
			t.Errorf("after %d turns: %v", turns, !want)
		}
	}
}

// TestTurnThatComesAsItsOwnerGoes is given to the next one.
func TestTurnThatComesAsItsOwnerGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queueing{turns: newTurns(1), order: make(chan string, 1)}
		for range 500 {
			q.wait("u", "10.0.0.1", false, nil)
			<-q.order
			closed := make(chan struct{})
			q.wait("u-going", "10.0.0.1", false, closed)
			close(closed)
			q.giveBack(ofUnknown)
			synctest.Wait()
			if <-q.order == "u-going" {
				q.giveBack(ofUnknown)
			}
			if q.taken != 0 || q.byUnknown != 0 || q.waiting() != 0 {
				t.Fatalf("%d places are taken by nobody", q.taken)
			}
		}
	})
}

// TestWhoGivesUpKeepsNoPlace: neither with its turn to come nor with it come.
func TestWhoGivesUpKeepsNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queueing{turns: newTurns(1), order: make(chan string, 20)}
		begun := time.Now()
		q.wait("u", "10.0.0.1", false, nil)
		<-q.order
		closed := make(chan struct{})
		q.wait("u-closed", "10.0.0.2", false, closed)
		q.wait("u-late", "10.0.0.1", false, nil)
		close(closed)
		if got := <-q.order; got != "no u-closed" || time.Since(begun) != 0 {
			t.Errorf("%s after %v", got, time.Since(begun))
		}
		if got := <-q.order; got != "no u-late" || time.Since(begun) != longestWait {
			t.Errorf("%s after %v", got, time.Since(begun))
		}
		if n := q.waiting(); n != 0 || q.unknown.round.Len() != 0 || len(q.unknown.queues) != 0 {
			t.Errorf("%d still wait", n)
		}
		q.giveBack(ofUnknown)
		if q.taken != 0 || q.byUnknown != 0 {
			t.Errorf("%d places are taken by nobody", q.taken)
		}
	})
}
