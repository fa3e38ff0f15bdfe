//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
)

// writers post at the same time, each to a segment of its own, and remember what
// they were told.
type writers struct {
	site *site
	each []*writer
	done sync.WaitGroup
}

// writer posts one change after the other until one is not accepted.
type writer struct {
	segment string
	next    int64           // MPID
	keys    []string        // all that were ever posted
	last    map[string]bool // whether the key is a member, by the last verb that was accepted
	unsure  map[string]bool // posted and not answered with 200: it may be a member or not
	n       atomic.Int64    // changes accepted
}

func newWriters(s *site, n int) *writers {
	w := &writers{site: s}
	for i := range n {
		w.each = append(w.each, &writer{
			segment: "s_writer_" + strconv.Itoa(i),
			next:    -8_735_621_876_216_000_000 + int64(i)*1_000_000_000,
			last:    make(map[string]bool),
			unsure:  make(map[string]bool),
		})
	}
	return w
}

// start lets them post until the relay ends.
func (w *writers) start() {
	for _, each := range w.each {
		w.done.Go(func() { each.post(w.site) })
	}
}

// wait returns when all have noticed that the relay has ended.
func (w *writers) wait() { w.done.Wait() }

// accepted is how many changes were answered with 200, by all.
func (w *writers) accepted() (n int64) {
	for _, each := range w.each {
		n += each.n.Load()
	}
	return n
}

// keys are all that were ever posted. Not to be called while they post.
func (w *writers) keys() (all []string) {
	for _, each := range w.each {
		all = append(all, each.keys...)
	}
	return all
}

// missing says how Split differs from what was accepted; empty where it does
// not. Not to be called while they post.
func (w *writers) missing() string {
	for _, each := range w.each {
		if difference := each.compare(w.site.members(each.segment)); difference != "" {
			return fmt.Sprintf("segment %s: %s", each.segment, difference)
		}
	}
	return ""
}

// post adds two keys and deletes the first of them again, and so on.
func (w *writer) post(s *site) {
	for {
		first, second := w.newKey(), w.newKey()
		if !w.change(s, "add", first) || !w.change(s, "add", second) || !w.change(s, "delete", first) {
			return
		}
	}
}

func (w *writer) newKey() string {
	w.next++
	key := strconv.FormatInt(w.next, 10)
	w.keys = append(w.keys, key)
	return key
}

func (w *writer) change(s *site, verb, key string) bool {
	if err := s.post(w.segment, verb, key); err != nil {
		w.unsure[key] = true
		return false
	}
	w.last[key] = verb == "add"
	w.n.Add(1)
	return true
}

func (w *writer) compare(members []string) string {
	for key, member := range w.last {
		if _, found := slices.BinarySearch(members, key); found != member && !w.unsure[key] {
			return fmt.Sprintf("a key is a member: %v, and should be: %v", found, member)
		}
	}
	for _, key := range members {
		if !w.last[key] && !w.unsure[key] {
			return "a key is a member that was deleted or never posted"
		}
	}
	return ""
}
