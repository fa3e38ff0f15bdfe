package sandbox

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"audiences/audience"
)

// TestCompare: what was accepted last counts, and of a key that a post without an answer was
// about nothing is known.
func TestCompare(t *testing.T) {
	split := New(Options{})
	defer split.Close()
	traffic := &Traffic{Tenants: []string{"a", "b"}, First: []Post{
		{"a", "s", "1", audience.Add}, {"a", "s", "1", audience.Delete}, {"b", "s", "1", audience.Add}, {"a", "s", "2", audience.Add}, {"a", "s", "3", audience.Add}, {"a", "s", "4", audience.Delete},
	}}
	for n, p := range traffic.First {
		if next, free := traffic.next(n); next != p || !free {
			t.Fatalf("%+v, free %v", next, free)
		}
		if _, free := traffic.next(n); free {
			t.Errorf("two posts of one key at once: %+v", p)
		}
		var err error
		if p.Key == "3" {
			err = errors.New("no answer")
		}
		traffic.note(p, err, false)
	}
	if got := traffic.Compare(split); got != (Compared{Keys: 4, Wrong: 2}) {
		t.Errorf("nothing delivered: %+v", got)
	}
	put := func(token, text string) {
		split.mu.Lock()
		defer split.mu.Unlock()
		key, err := audience.ParseKey(text)
		if err != nil {
			t.Fatal(err)
		}
		id := tenantOf(token)
		segment := split.find(Target{Tenant: id, Organisation: split.ownerOf(id), Environment: TrafficEnvironment, Segment: "s"}, time.Now())
		segment.members.Add(key)
		segment.sorted = nil
	}
	put("a", "2")
	put("b", "1")
	if got := traffic.Compare(split); got != (Compared{Keys: 4}) {
		t.Errorf("all delivered: %+v", got)
	}
	put("a", "1")
	if got := traffic.Compare(split); got != (Compared{Keys: 4, Wrong: 1}) {
		t.Errorf("a delete was lost: %+v", got)
	}
	traffic.next(3)
	traffic.note(traffic.First[3], errors.New("cut off"), true)
	traffic.next(3)
	traffic.note(traffic.First[3], nil, false)
	if got := traffic.Compare(split); got.Keys != 3 || traffic.Refused() != 1 {
		t.Errorf("after a post without an answer: %+v, %d refused", got, traffic.Refused())
	}
}

// TestTrafficCounts what was accepted and what was refused.
func TestTrafficCounts(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var asked atomic.Int64
	relay := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := asked.Add(1)
		if r.Header.Get("Authorization") != "secret" {
			t.Errorf("%v", r.Header)
		}
		if n%2 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		if n == 50 {
			cancel()
		}
	}))
	relay.Config.ErrorLog = log.New(io.Discard, "", 0) // of connections that the end cuts
	relay.StartTLS()
	defer relay.Close()
	traffic := &Traffic{URL: relay.URL, Token: "secret", PerSecond: MaxTraffic, Tenants: []string{"a"}}
	traffic.Run(ctx)
	// What is under way when it ends counts as neither.
	if sum := traffic.Accepted() + traffic.Refused(); traffic.Accepted() == 0 || traffic.Refused() == 0 || sum > asked.Load() {
		t.Errorf("%d accepted, %d refused of %d", traffic.Accepted(), traffic.Refused(), asked.Load())
	}
}
