package test

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"audiences/audience"
	"audiences/sandbox"
	"audiences/test/harness"
)

var (
	unprovenCount = flag.Int("unproven", 1_000, "tenants of TestUnprovenTenants whose calls hang; with 100000 or more its figures are judged, which wants a quiet machine")
	unprovenFor   = flag.Duration("unproven.for", 4*time.Second, "how long TestUnprovenTenants measures each time")
)

// TestUnprovenTenants fills a relay with tenants that somebody made up, whose calls hang,
// beside 20 healthy ones, kills it and starts it again (I6). It prints what that
// costs the healthy ones, a new one, and the machine.
func TestUnprovenTenants(t *testing.T) {
	const healthy, every = 20, 2 * time.Second
	timeout := 2 // seconds
	if *unprovenCount >= 100_000 {
		timeout = 20
	}
	s := &unprovenSite{arrived: map[string]time.Time{}, posted: map[string]time.Time{}}
	look := sandbox.Options{Allowed: s.arrives}
	s.Site = harness.NewSite(t, look, map[string]any{"splitTimeout": timeout, "segmentsFlushRateInSeconds": 1,
		"maxCallsPerSecond": nil, "maxCallsPerSecondPerTenant": nil})
	s.Split.Fault(sandbox.Rule{Kind: sandbox.Hang, Segment: "made-up"})
	s.process = s.Site.Start()

	s.live(healthy, every, "proving") // so all have delivered
	without := s.live(healthy, every, "without unproven tenants")
	began := time.Now()
	s.flood()
	t.Logf("%d unproven tenants posted one key each in %v", *unprovenCount, time.Since(began).Round(time.Millisecond))
	with := s.live(healthy, every, "with unproven tenants")
	s.report()
	s.process.Kill()
	began = time.Now()
	s.process = s.Site.Launch()
	s.process.Ready()
	ready := time.Since(began)
	t.Logf("after a kill ready in %v", ready.Round(time.Millisecond))
	after := s.live(healthy, every, "after a restart")
	s.report()
	if *unprovenCount < 100_000 {
		return
	}
	for when, p99 := range map[string]time.Duration{"with them": with, "after a restart": after} {
		if p99 > without*11/10 {
			t.Errorf("p99 %v %s, %v without: more than a tenth worse", p99, when, without)
		}
	}
	if ready > 10*time.Second {
		t.Errorf("ready after %v, want 10 s", ready)
	}
}

type unprovenSite struct {
	*harness.Site
	process *harness.Process
	key     int

	mu              sync.Mutex
	posted, arrived map[string]time.Time
}

// arrives notes when a key first came to the look-alike.
func (s *unprovenSite) arrives(_ sandbox.Target, _ audience.Verb, key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.arrived[key]; !ok {
		s.arrived[key] = time.Now()
	}
	return true
}

// live posts one key of each healthy tenant now and then, waits until all have
// arrived, and says how long one in a hundred took at least from its answer.
func (s *unprovenSite) live(tenants int, every time.Duration, what string) (p99 time.Duration) {
	s.T.Helper()
	var keys []string
	tick := time.NewTicker(every / time.Duration(tenants))
	defer tick.Stop()
	for end, n := time.Now().Add(*unprovenFor), 0; time.Now().Before(end); n++ {
		keys = append(keys, s.post(fmt.Sprintf("healthy-%d", n%tenants), "sound"))
		<-tick.C
	}
	keys = append(keys, s.post("newcomer-"+strings.ReplaceAll(what, " ", "-"), "sound"))
	waits := s.waits(keys)
	newcomer := waits[len(waits)-1]
	waits = waits[:len(waits)-1]
	slices.Sort(waits)
	p99 = waits[len(waits)*99/100]
	s.T.Logf("%-20s accept to Split of %4d keys: p50 %6.2f s, p99 %6.2f s, last %6.2f s; a new tenant %6.2f s; %s", what, len(waits),
		waits[len(waits)/2].Seconds(), p99.Seconds(), waits[len(waits)-1].Seconds(), newcomer.Seconds(), s.process.Memory())
	return p99
}

func (s *unprovenSite) post(token, segment string) (key string) {
	s.T.Helper()
	s.key++
	key = numbers(s.key, 1)[0]
	if err := s.process.PostKept(s.T.Context(), harness.Change{Token: token, Segment: segment, Verb: "add", Keys: []string{key}}); err != nil {
		s.T.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.posted[key] = time.Now()
	return key
}

// waits is how long each of the keys was on its way.
func (s *unprovenSite) waits(keys []string) (waits []time.Duration) {
	s.T.Helper()
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		waits = waits[:0]
		s.mu.Lock()
		for _, key := range keys {
			if at, ok := s.arrived[key]; ok {
				waits = append(waits, at.Sub(s.posted[key]))
			}
		}
		s.mu.Unlock()
		if len(waits) == len(keys) {
			return waits
		}
		if time.Since(begun) > 2*harness.Patience {
			s.T.Fatalf("%d of %d keys arrived", len(waits), len(keys))
		}
	}
}

// flood has each unproven tenant post one key.
func (s *unprovenSite) flood() {
	s.T.Helper()
	err := harness.Each(16, *unprovenCount, func(_, n int) error {
		return s.process.PostKept(s.T.Context(), harness.Change{Token: fmt.Sprintf("made-up-%d", n), Segment: "made-up", Verb: "add", Keys: numbers(1_000_000+n, 1)})
	})
	if err != nil {
		s.T.Fatal(err)
	}
}

// report prints what the unproven cost, and how long /cache takes.
func (s *unprovenSite) report() {
	s.T.Helper()
	ctx, cancel := context.WithTimeout(s.T.Context(), harness.Patience)
	defer cancel()
	began := time.Now()
	a, err := s.process.Send(ctx, http.MethodGet, "/cache", harness.AuthToken, nil)
	if err != nil || a.Status != http.StatusOK {
		s.T.Fatalf("/cache: %v %v", a.Status, err)
	}
	s.T.Logf("/cache took %v; %s", time.Since(began).Round(time.Millisecond), s.process.Memory())
}
