package test

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"audiences/sandbox"
	"audiences/test/harness"
)

var (
	scalePost     = flag.Int("scale.post", 100_000, "keys of the large post in TestScale")
	scaleKeys     = flag.Int("scale.keys", 1_000_000, "pending keys of the large segment in TestScale")
	scaleSegments = flag.Int("scale.segments", 10_000, "segments with pending keys in TestScale")
)

const (
	scaleClients  = 16
	scaleTenants  = 10
	keysOfSegment = 10               // in each of the many segments
	scaleTime     = 60 * time.Second // for each step: minutes are too long
)

// TestScale leaves a relay with one very large post, one very large segment and
// very many segments, all pending, kills it and starts it again: everything is
// delivered, with the last verb of each key (I2), in seconds. It prints how many,
// and the memory; docs/performance.md has figures.
func TestScale(t *testing.T) {
	look, calls := signalled(sandbox.Options{MaxMembers: 10_000_000})
	s := &scaleSite{Site: harness.NewSite(t, look, map[string]any{"splitTimeout": scaleTime.Seconds(), "segmentsFlushRateInSeconds": 1,
		"maxConcurrentCalls": 256, "maxCallsPerSecond": 100_000, "maxCallsPerSecondPerTenant": 100_000}), calls: calls}
	s.Split.Fault(sandbox.Rule{Kind: sandbox.Hang}) // Split is down: everything stays pending
	s.run()
	s.step(fmt.Sprintf("a post with %d keys", *scalePost), s.largePost)
	s.step(fmt.Sprintf("%d keys for one segment, a tenth deleted again", *scaleKeys), s.largeSegment)
	s.step(fmt.Sprintf("%d segments with %d keys each", *scaleSegments, keysOfSegment), s.manySegments)
	s.process.Kill()
	s.Split.ClearFaults()
	s.run()
	s.step("delivered, after that", s.delivered)
	if code := s.process.Terminate(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	s.verify()
}

// scaleSite is a relay that may call as fast as it can, and a Split with room.
type scaleSite struct {
	*harness.Site
	process *harness.Process
	calls   chan struct{} // has a value when there were calls
}

// step runs one part, prints how long it took, and fails if that was too long.
func (s *scaleSite) step(what string, run func(context.Context) error) {
	s.T.Helper()
	ctx, cancel := context.WithTimeout(s.T.Context(), scaleTime)
	defer cancel()
	began := time.Now()
	err := run(ctx)
	s.T.Logf("%-55s %6.2f s  %s", what, time.Since(began).Seconds(), s.process.Memory())
	if err != nil {
		s.T.Fatal(err)
	}
}

func (s *scaleSite) run() {
	s.T.Helper()
	s.process = s.Launch()
	s.step("start: answers /ping", s.ping)
	s.step("ready, after that", func(context.Context) error { s.process.Ready(); return nil })
}

func (s *scaleSite) ping(ctx context.Context) error {
	s.process.Listening()
	return s.process.Ping(ctx)
}

const scaleToken = "token-0"

func (s *scaleSite) largePost(ctx context.Context) error {
	return s.process.PostKept(ctx, harness.Change{Token: scaleToken, Segment: "largePost", Verb: "add", Keys: numbers(0, *scalePost)})
}

func (s *scaleSite) largeSegment(ctx context.Context) error {
	const each = 100_000
	for from := 0; from < *scaleKeys; from += each {
		if err := s.process.PostKept(ctx, harness.Change{Token: scaleToken, Segment: "largeSegment", Verb: "add", Keys: numbers(from, min(each, *scaleKeys-from))}); err != nil {
			return err
		}
	}
	return s.process.PostKept(ctx, harness.Change{Token: scaleToken, Segment: "largeSegment", Verb: "delete", Keys: numbers(0, *scaleKeys/10)})
}

// manySegments posts to all segments, and deletes a key again in each tenth.
func (s *scaleSite) manySegments(ctx context.Context) error {
	return harness.Each(scaleClients, *scaleSegments, func(_, n int) error {
		c := harness.Change{Token: manyToken(n), Segment: manyName(n), Verb: "add", Keys: numbers(n, keysOfSegment)}
		if err := s.process.PostKept(ctx, c); err != nil || n%10 > 0 {
			return err
		}
		c.Verb, c.Keys = "delete", numbers(n, 1)
		return s.process.PostKept(ctx, c)
	})
}

func manyToken(n int) string { return fmt.Sprint("token-", n%scaleTenants) }
func manyName(n int) string  { return fmt.Sprint("s", n) }

// delivered waits until Split has applied every key once.
func (s *scaleSite) delivered(ctx context.Context) error {
	all := *scalePost + *scaleKeys + *scaleSegments*keysOfSegment
	for s.Split.Counts().Keys < all {
		select {
		case <-s.calls:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d keys were delivered", s.Split.Counts().Keys, all)
		}
	}
	return nil
}

// verify compares Split with what was posted.
func (s *scaleSite) verify() {
	s.T.Helper()
	expect := func(token, segment string, keys []string) {
		slices.Sort(keys)
		if got := s.Split.Members(token, harness.Environment, segment); !slices.Equal(got, keys) {
			s.T.Errorf("segment %s has %d keys that are not the %d it should have", segment, len(got), len(keys))
		}
	}
	expect(scaleToken, "largePost", numbers(0, *scalePost))
	expect(scaleToken, "largeSegment", numbers(*scaleKeys/10, *scaleKeys-*scaleKeys/10))
	for n := range *scaleSegments {
		keys := numbers(n, keysOfSegment)
		if n%10 == 0 {
			keys = keys[1:]
		}
		expect(manyToken(n), manyName(n), keys)
	}
	for _, violation := range s.Split.Violations() {
		s.T.Error(violation)
	}
	counts := s.Split.Counts()
	s.T.Logf("%d calls, %d keys applied: %v", counts.Calls, counts.Keys, counts.Outcomes)
}
