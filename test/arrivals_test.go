package test

import (
	"slices"
	"sync"
	"testing"

	"audiences/audience"
	"audiences/sandbox"
)

// arrivals are the keys of all calls to the look-alike, by "environment/segment/verb".
type arrivals struct {
	mu   sync.Mutex
	keys map[string][]string
}

// note is asked by the look-alike about every key of every call.
func (a *arrivals) note(to sandbox.Target, verb audience.Verb, key string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	where := to.Environment + "/" + to.Segment + "/" + verb.String()
	a.keys[where] = append(a.keys[where], key)
	return true
}

// check wants exactly these keys, each once.
func (a *arrivals) check(t *testing.T, want map[string][]string) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	for where, keys := range a.keys {
		slices.Sort(keys)
		if expected := slices.Sorted(slices.Values(want[where])); !slices.Equal(keys, expected) {
			t.Errorf("%s: %d keys arrived (%.80q), want %d (%.80q)", where, len(keys), keys, len(expected), expected)
		}
		delete(want, where)
	}
	for where, keys := range want {
		t.Errorf("%s: no keys arrived, want %d", where, len(keys))
	}
}
