package test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"audiences/sandbox"
	"audiences/test/harness"
)

// TestStopFlushesWhatIsPending: after SIGTERM, and SIGINT as well, what was
// accepted is brought to Split without waiting for the flush interval, while the
// port goes on answering: who comes late is told when to come again.
func TestStopFlushesWhatIsPending(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		s := harness.NewSite(t, sandbox.Options{}, map[string]any{"segmentsFlushRateInSeconds": 3600})
		p := s.Start()
		p.Ready()
		for i := range 20 {
			p.MustPost(harness.Change{Segment: fmt.Sprintf("sStop%d", i), Keys: []string{"1", "2"}})
		}
		early := startPost(t, p)
		letGo := s.Split.Fault(sandbox.Rule{Kind: sandbox.Hang, Segment: "sStop7"})

		p.Signal(sig)
		stopping(t, p)
		if a, err := p.AdminGet("/livez"); err != nil || a.Status != 200 {
			t.Errorf("/livez: %d %v: a relay that stops is not dead", a.Status, err)
		}
		if a, err := p.Post(t.Context(), harness.Change{Segment: "sLate", Keys: []string{"1"}}); err != nil || a.Status != 503 || a.Header.Get("Retry-After") == "" {
			t.Errorf("a post after the signal: %d %s %v", a.Status, a.Body, err)
		}
		if a, err := p.Send(t.Context(), "GET", "/ping", "", nil); err != nil || a.Body != "pong" {
			t.Errorf("/ping: %d %s %v", a.Status, a.Body, err)
		}
		if a := early.finish(t); a.Status != 503 || a.Header.Get("Retry-After") == "" {
			t.Errorf("a post whose body the signal overtook: %d %s", a.Status, a.Body)
		}
		letGo()
		if code := p.Wait(harness.Patience); code != exitDone {
			t.Errorf("%v: exit code %d", sig, code)
		}
		for i := range 20 {
			if got := s.Members(fmt.Sprintf("sStop%d", i)); !slices.Equal(got, []string{"1", "2"}) {
				t.Errorf("segment %d: %d keys arrived", i, len(got))
			}
		}
		for _, segment := range []string{"sLate", "sSlow"} {
			if len(s.Members(segment)) > 0 {
				t.Errorf("a post answered 503 was taken: %s", segment)
			}
		}
		s.Judge()
	}
}

// stopping waits until /readyz says that the relay stops.
func stopping(t *testing.T, p *harness.Process) {
	t.Helper()
	harness.Eventually(t, harness.Patience, "/readyz says 503", func() bool {
		a, err := p.AdminGet("/readyz")
		return err == nil && a.Status == 503
	})
}

// TestStopUnderLoad: every post is answered 200 or 503, or finds the door closed;
// and all that was answered 200 is in Split when the process has ended.
func TestStopUnderLoad(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{}, nil)
	p := s.Start()
	const writers = 8
	var wg sync.WaitGroup
	accepted := make([][]string, writers)
	for w := range writers {
		wg.Go(func() { accepted[w] = postUntilRefused(t, p, fmt.Sprintf("sLoad%d", w)) })
	}
	harness.Eventually(t, harness.Patience, "keys arrive", func() bool { return s.Split.Counts().Keys > 50 })
	if code := p.Terminate(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	wg.Wait()
	for w := range writers {
		got := s.Members(fmt.Sprintf("sLoad%d", w))
		slices.Sort(accepted[w])
		if !slices.Equal(got, accepted[w]) {
			t.Errorf("writer %d: %d keys were accepted, %d arrived", w, len(accepted[w]), len(got))
		}
	}
	s.Judge()
}

// postUntilRefused posts one key after the other and returns those that were
// accepted.
func postUntilRefused(t *testing.T, p *harness.Process, segment string) (accepted []string) {
	ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
	defer cancel()
	for i := 0; ; i++ {
		key := fmt.Sprint(1000 + i)
		switch a, err := p.Post(ctx, harness.Change{Segment: segment, Keys: []string{key}}); {
		case err != nil && ctx.Err() != nil:
			t.Error("no end of posts in sight")
			return accepted
		case err != nil:
			return accepted // the port is closed
		case a.Status == 200:
			accepted = append(accepted, key)
		case a.Status != 503 || a.Header.Get("Retry-After") == "":
			t.Errorf("%d %s", a.Status, a.Body)
			return accepted
		}
	}
}

// TestStopWhileSplitHangs: the stop does not wait for Split longer than it was
// told to, the exit code is 0, and the next start delivers the rest with the last
// verb of each key (I2, I3).
func TestStopWhileSplitHangs(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{History: true}, map[string]any{"drainTimeout": "400ms"})
	s.Split.Fault(sandbox.Rule{Kind: sandbox.Hang})
	p := s.Start()
	postInOrder(p)
	began := time.Now()
	if code := p.Terminate(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the stop took %v", took)
	}
	deliveredInOrder(t, s)
}

// postInOrder posts changes whose order matters.
func postInOrder(p *harness.Process) {
	p.T.Helper()
	for _, c := range []harness.Change{
		{Verb: "add", Keys: []string{"1", "2", "3"}},
		{Verb: "delete", Keys: []string{"2", "4"}},
		{Verb: "add", Keys: []string{"4"}},
		{Verb: "delete", Keys: []string{"3"}},
		{Verb: "add", Keys: []string{"3"}},
		{Verb: "delete", Keys: []string{"3"}},
	} {
		c.Segment = "sOrder"
		p.MustPost(c)
	}
}

// deliveredInOrder starts the relay again with a Split that answers.
func deliveredInOrder(t *testing.T, s *harness.Site) {
	t.Helper()
	s.Split.ClearFaults()
	p := s.Start()
	p.Ready()
	harness.Eventually(t, harness.Patience, "what is pending arrives, the last verbs last", func() bool {
		return slices.Equal(s.Members("sOrder"), []string{"1", "4"}) && len(cacheLines(t, p)) == 0
	})
	if code := p.Terminate(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	if got := s.Members("sOrder"); !slices.Equal(got, []string{"1", "4"}) {
		t.Errorf("in the end: %q", got)
	}
	s.Judge()
}
