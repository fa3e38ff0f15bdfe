package test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"audiences/test/harness"
)

// repeatAfter is how long a writer waits before it repeats a change that was not
// answered with 200.
const repeatAfter = 10 * time.Millisecond

// writers post changes at the same time, to the same segments, each to keys of
// its own.
type writers struct {
	ledger *harness.Ledger
	post   func(context.Context, harness.Change) error // nil: answered with 200
	places []harness.Change                            // token and segment of each place they write to
	era    atomic.Int64                                // whose keys the changes are about
	enough context.CancelFunc                          // no new changes
	done   sync.WaitGroup
}

// keysPerEra is how many keys a writer has in each segment in an era: few, so that
// the same key changes again and again, also while a call carries it. The keys of
// an era that is over change no more: what the relay lost of them stays lost for
// everybody to see.
const keysPerEra = 12

// startWriters starts n writers; they end when ctx does, wherever they are.
func startWriters(ctx context.Context, n int, seed uint64, w *writers) {
	going, enough := context.WithCancel(ctx)
	w.enough = enough
	for i := range n {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		w.done.Go(func() {
			for going.Err() == nil {
				w.write(ctx, w.next(random, i))
			}
		})
	}
}

// finish lets every writer finish its change, which needs a relay that runs.
func (w *writers) finish() {
	w.enough()
	w.done.Wait()
}

// write posts a change until it is answered with 200. One whose answer is unknown
// is repeated before the writer goes on: then the last verb it posted for a key is
// the last one accepted.
func (w *writers) write(ctx context.Context, c harness.Change) {
	w.ledger.Try(c)
	for w.post(ctx, c) != nil {
		select {
		case <-ctx.Done():
			return
		case <-time.After(repeatAfter):
		}
	}
	w.ledger.Accept(c)
}

// next makes up a change: mostly one key, as the lambda posts, now and then many.
func (w *writers) next(random *rand.Rand, writer int) harness.Change {
	c := w.places[random.IntN(len(w.places))]
	c.Verb = "add"
	if random.IntN(5) < 2 {
		c.Verb = "delete"
	}
	size := 1
	if random.IntN(8) == 0 {
		size += random.IntN(keysPerEra)
	}
	first := int(w.era.Load()) * keysPerEra
	for _, k := range random.Perm(keysPerEra)[:size] {
		c.Keys = append(c.Keys, keyText(writer, first+k))
	}
	return c
}

// keyText is a writer's k-th key: numbers of either sign and texts.
func keyText(writer, k int) string {
	switch n := 1_000_000*(writer+1) + k; k % 3 {
	case 0:
		return strconv.Itoa(n)
	case 1:
		return strconv.Itoa(-n)
	default:
		return fmt.Sprintf("user %d@example", n)
	}
}
