package test

import (
	"context"
	"flag"
	"fmt"
	"strconv"
	"testing"
	"time"

	"audiences/audience"
	"audiences/sandbox"
	"audiences/test/harness"
)

var memoryKeys = flag.Int("memory.keys", 500_000, "pending keys of TestBoundedMemory; make memory has 10,000,000")

// What a long outage of Split may cost, with any number of keys pending.
const (
	mostMemory   = 400_000_000     // resident bytes, at any moment
	longestStart = 5 * time.Second // until /ping is answered and /readyz says ready
)

const (
	memoryClients  = 8
	memoryTenants  = 10
	memoryPatience = 10 * time.Minute // for each step, at full size on a busy machine
)

// TestBoundedMemory leaves a relay with more keys than it may hold while every
// call to Split hangs, kills it, starts it again with them, and lets Split come
// back: memory stays bounded and the start short, and every key is delivered (I1,
// I3). Once with few segments that have a post of 100,000 keys each, once with
// many segments of 1,000 keys. It prints times and memory.
func TestBoundedMemory(t *testing.T) {
	for _, each := range []int{100_000, 1_000} {
		t.Run(fmt.Sprintf("%d keys in each segment", each), func(t *testing.T) {
			s := newMemorySite(t, *memoryKeys/each, each)
			s.start()
			s.step("keys accepted while Split is down", s.postAll)
			s.process.Kill()
			s.start()
			s.Split.ClearFaults()
			s.step("all delivered after Split came back", s.delivered)
			s.verify()
			if code := s.process.Terminate(); code != 0 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

// memorySite is a relay that may call as fast as it can, and a Split with room.
type memorySite struct {
	*harness.Site
	segments, each int
	process        *harness.Process
	calls          chan struct{} // has a value when there were calls
}

func newMemorySite(t *testing.T, segments, each int) *memorySite {
	t.Helper()
	s := &memorySite{segments: segments, each: each, calls: make(chan struct{}, 1)}
	s.Site = harness.NewSite(t, sandbox.Options{
		MaxMembers: each,
		Allowed:    s.allowed,
		OnCall: func(sandbox.Call) {
			select {
			case s.calls <- struct{}{}:
			default:
			}
		},
	}, map[string]any{"segmentsFlushRateInSeconds": 1})
	s.Split.Fault(sandbox.Rule{Kind: sandbox.Hang})
	return s
}

// allowed is asked by the look-alike about every key: together with the number of
// members it tells that a segment has exactly the keys that were posted.
func (s *memorySite) allowed(_ sandbox.Target, verb audience.Verb, key string) bool {
	n, err := strconv.Atoi(key)
	return err == nil && verb == audience.Add && n >= firstNumber && n < firstNumber+s.each
}

var firstNumber, _ = strconv.Atoi(numbers(0, 1)[0])

func (s *memorySite) change(n int) harness.Change {
	return harness.Change{Token: fmt.Sprint("token-", n%memoryTenants), Segment: fmt.Sprint("s", n), Keys: numbers(0, s.each)}
}

// start starts the relay and looks at how long that takes.
func (s *memorySite) start() {
	s.T.Helper()
	began := time.Now()
	s.process = s.Launch()
	s.step("start: answers /ping", func(ctx context.Context) error {
		s.process.Listening()
		return s.process.Ping(ctx)
	})
	s.step("ready, after that", func(context.Context) error { s.process.Ready(); return nil })
	if took := time.Since(began); took > longestStart {
		s.T.Errorf("the start took %v, and should take less than %v", took, longestStart)
	}
}

// step runs one part and prints how long it took, and the memory.
func (s *memorySite) step(what string, run func(context.Context) error) {
	s.T.Helper()
	ctx, cancel := context.WithTimeout(s.T.Context(), memoryPatience)
	defer cancel()
	began := time.Now()
	err := run(ctx)
	now, peak := s.process.Resident()
	s.T.Logf("%-40s %7.2f s   RSS %4d MiB, at most %4d MiB", what, time.Since(began).Seconds(), now>>20, peak>>20)
	if err != nil {
		s.T.Fatal(err)
	}
	if peak > mostMemory {
		s.T.Errorf("%s: %d MiB of memory, and should be less than %d", what, peak>>20, mostMemory>>20)
	}
}

func (s *memorySite) postAll(ctx context.Context) error {
	return harness.Each(memoryClients, s.segments, func(_, n int) error { return s.process.PostKept(ctx, s.change(n)) })
}

// delivered waits until Split has every key.
func (s *memorySite) delivered(ctx context.Context) error {
	for s.members() < s.segments*s.each {
		select {
		case <-s.calls:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d keys were delivered", s.members(), s.segments*s.each)
		}
	}
	return nil
}

func (s *memorySite) members() (n int) {
	if s.Split.Counts().Keys < s.segments*s.each {
		return s.Split.Counts().Keys // not all of them yet; to look at each segment takes longer
	}
	for _, segment := range s.Split.Segments() {
		n += segment.Keys
	}
	return n
}

func (s *memorySite) verify() {
	s.T.Helper()
	for n := range s.segments {
		c := s.change(n)
		if got := s.Split.Size(c.Token, harness.Environment, c.Segment); got != s.each {
			s.T.Errorf("segment %s has %d keys, and should have %d", c.Segment, got, s.each)
		}
	}
	s.Judge()
	counts := s.Split.Counts()
	s.T.Logf("%d calls, %d keys applied: %v", counts.Calls, counts.Keys, counts.Outcomes)
}
