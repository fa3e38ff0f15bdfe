//go:build e2e

package e2e

import (
	"context"
	"strconv"
	"sync"
	"time"

	"audiences/test/harness"
)

// writers post at the same time, each to a segment of its own, and note in the
// ledger what they were told.
type writers struct {
	site   *site
	ledger *harness.Ledger
	each   []*writer
	done   sync.WaitGroup
}

// writer posts one change after the other until one is not accepted.
type writer struct {
	*writers
	segment string
	next    int64 // MPID
}

func newWriters(s *site, n int) *writers {
	w := &writers{site: s, ledger: harness.NewLedger()}
	for i := range n {
		w.each = append(w.each, &writer{w, "s_writer_" + strconv.Itoa(i), -8_735_621_876_216_000_000 + int64(i)*1_000_000_000})
	}
	return w
}

// start lets them post until the relay ends.
func (w *writers) start() {
	for _, each := range w.each {
		w.done.Go(func() { each.post() })
	}
}

// wait returns when all have noticed that the relay has ended.
func (w *writers) wait() { w.done.Wait() }

// missing says how Split differs from what was accepted; empty where it does
// not. Not to be called while they post.
func (w *writers) missing() string { return w.ledger.Difference(w.site.Split) }

// post adds two keys and deletes the first of them again, and so on.
func (w *writer) post() {
	for {
		first, second := w.newKey(), w.newKey()
		if !w.change("add", first) || !w.change("add", second) || !w.change("delete", first) {
			return
		}
	}
}

func (w *writer) newKey() string {
	w.next++
	return strconv.FormatInt(w.next, 10)
}

func (w *writer) change(verb, key string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c := harness.Change{Segment: w.segment, Verb: verb, Keys: []string{key}}
	w.ledger.Try(c)
	if err := w.site.at.PostBy(ctx, harness.Lambda, c); err != nil {
		w.ledger.Doubt(c)
		return false
	}
	w.ledger.Accept(c)
	return true
}
