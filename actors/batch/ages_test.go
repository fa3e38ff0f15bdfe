package batch

import (
	"slices"
	"testing"
	"time"

	"audiences/audience"
	"audiences/journal"
)

// TestOldest: no key in memory is older than Oldest says, and it forgets those that left.
func TestOldest(t *testing.T) {
	now := time.Now()
	keys := func(texts ...string) []audience.Key {
		var list []audience.Key
		for _, text := range texts {
			key, err := audience.ParseKey(text)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, key)
		}
		return list
	}
	b := New(4, 0)
	expect := func(what string, want journal.Version) {
		t.Helper()
		if got := b.Oldest(); got != want {
			t.Errorf("%s: %d, want %d", what, got, want)
		}
	}
	expect("empty", 0)
	b.Apply(audience.Add, slices.Values(keys("1", "2")), 5, 10)
	b.Apply(audience.Add, slices.Values(keys("3")), 6, 10)
	expect("held", 5)
	b.Apply(audience.Delete, slices.Values(keys("1", "2", "3")), 7, 10)
	expect("the adds have left", 7)
	b.Apply(audience.Add, slices.Values(keys("4", "5")), 8, 10)
	chunk := b.Cut(audience.Delete)
	if chunk.Oldest != 7 {
		t.Errorf("of the chunk: %d", chunk.Oldest)
	}
	expect("in flight", 7)
	b.Ground()
	expect("taken back", 7)
	b.Cut(audience.Delete)
	b.Apply(audience.Delete, slices.Values(keys("1")), 9, 10)
	b.Delivered()
	expect("a key of the flight changed", 8)
	b.Cut(audience.Add)
	b.Delivered()
	expect("the younger ones are left", 9)

	b.Forget()
	expect("forgotten", 0)
	b.Unread(true)
	b.Draw()
	b.Drawn(journal.Page{Entries: []journal.Entry{{Key: keys("7")[0], Verb: audience.Add, Version: 3}, {Key: keys("8")[0], Verb: audience.Add, Version: 2}}}, true, now)
	expect("drawn", 2)
	flight := b.Cut(audience.Add)
	b.Refused(journal.Refusal{Reason: "bad_request"}, false)
	if part := b.Flight(); part == nil || part == flight || part.Oldest != 2 {
		t.Errorf("a part of the hunt: %+v", part)
	}
	expect("in a hunt", 2)
	remains := b.Remains()
	again := New(4, 9)
	again.Restore(audience.Add, remains, now, now)
	if got := again.Oldest(); got != 2 {
		t.Errorf("restored: %d", got)
	}
	b.Refused(journal.Refusal{Reason: "bad_request"}, true)
	expect("given up", 2)
}
