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
)

// TestStopFlushesWhatIsPending: after SIGTERM, and SIGINT as well, what was
// accepted is brought to Split without waiting for the flush interval, while the
// port goes on answering: who comes late is told when to come again.
func TestStopFlushesWhatIsPending(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		s := newSite(t, sandbox.Options{}, map[string]any{"segmentsFlushRateInSeconds": 3600})
		p := s.start()
		p.ready()
		for i := range 20 {
			p.mustPost(change{segment: fmt.Sprintf("sStop%d", i), keys: []string{"1", "2"}})
		}
		early := startPost(t, p)
		letGo := s.split.Fault(sandbox.Rule{Kind: sandbox.Hang, Segment: "sStop7"})

		p.signal(sig)
		stopping(t, p)
		if a, err := p.adminGet("/livez"); err != nil || a.status != 200 {
			t.Errorf("/livez: %d %v: a relay that stops is not dead", a.status, err)
		}
		if a, err := p.post(t.Context(), change{segment: "sLate", keys: []string{"1"}}); err != nil || a.status != 503 || a.header.Get("Retry-After") == "" {
			t.Errorf("a post after the signal: %d %s %v", a.status, a.body, err)
		}
		if a, err := p.send(t.Context(), "GET", "/ping", "", nil); err != nil || a.body != "pong" {
			t.Errorf("/ping: %d %s %v", a.status, a.body, err)
		}
		if a := early.finish(t); a.status != 503 || a.header.Get("Retry-After") == "" {
			t.Errorf("a post whose body the signal overtook: %d %s", a.status, a.body)
		}
		letGo()
		if code := p.wait(patience); code != exitDone {
			t.Errorf("%v: exit code %d", sig, code)
		}
		for i := range 20 {
			if got := s.members(fmt.Sprintf("sStop%d", i)); !slices.Equal(got, []string{"1", "2"}) {
				t.Errorf("segment %d: %d keys arrived", i, len(got))
			}
		}
		for _, segment := range []string{"sLate", "sSlow"} {
			if len(s.members(segment)) > 0 {
				t.Errorf("a post answered 503 was taken: %s", segment)
			}
		}
		s.judge()
	}
}

// stopping waits until /readyz says that the relay stops.
func stopping(t *testing.T, p *process) {
	t.Helper()
	eventually(t, patience, "/readyz says 503", func() bool {
		a, err := p.adminGet("/readyz")
		return err == nil && a.status == 503
	})
}

// TestStopUnderLoad: every post is answered 200 or 503, or finds the door closed;
// and all that was answered 200 is in Split when the process has ended.
func TestStopUnderLoad(t *testing.T) {
	t.Parallel()
	s := newSite(t, sandbox.Options{}, nil)
	p := s.start()
	const writers = 8
	var wg sync.WaitGroup
	accepted := make([][]string, writers)
	for w := range writers {
		wg.Go(func() { accepted[w] = postUntilRefused(t, p, fmt.Sprintf("sLoad%d", w)) })
	}
	eventually(t, patience, "keys arrive", func() bool { return s.split.Counts().Keys > 50 })
	if code := p.terminate(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	wg.Wait()
	for w := range writers {
		got := s.members(fmt.Sprintf("sLoad%d", w))
		slices.Sort(accepted[w])
		if !slices.Equal(got, accepted[w]) {
			t.Errorf("writer %d: %d keys were accepted, %d arrived", w, len(accepted[w]), len(got))
		}
	}
	s.judge()
}

// postUntilRefused posts one key after the other and returns those that were
// accepted.
func postUntilRefused(t *testing.T, p *process, segment string) (accepted []string) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for i := 0; ; i++ {
		key := fmt.Sprint(1000 + i)
		switch a, err := p.post(ctx, change{segment: segment, keys: []string{key}}); {
		case err != nil && ctx.Err() != nil:
			t.Error("no end of posts in sight")
			return accepted
		case err != nil:
			return accepted // the port is closed
		case a.status == 200:
			accepted = append(accepted, key)
		case a.status != 503 || a.header.Get("Retry-After") == "":
			t.Errorf("%d %s", a.status, a.body)
			return accepted
		}
	}
}

// TestStopWhileSplitHangs: the stop does not wait for Split longer than it was
// told to, the exit code is 0, and the next start delivers the rest with the last
// verb of each key (I2, I3).
func TestStopWhileSplitHangs(t *testing.T) {
	t.Parallel()
	s := newSite(t, sandbox.Options{History: true}, map[string]any{"drainTimeout": "400ms"})
	s.split.Fault(sandbox.Rule{Kind: sandbox.Hang})
	p := s.start()
	postInOrder(p)
	began := time.Now()
	if code := p.terminate(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the stop took %v", took)
	}
	deliveredInOrder(t, s)
}

// postInOrder posts changes whose order matters.
func postInOrder(p *process) {
	p.t.Helper()
	for _, c := range []change{
		{verb: "add", keys: []string{"1", "2", "3"}},
		{verb: "delete", keys: []string{"2", "4"}},
		{verb: "add", keys: []string{"4"}},
		{verb: "delete", keys: []string{"3"}},
		{verb: "add", keys: []string{"3"}},
		{verb: "delete", keys: []string{"3"}},
	} {
		c.segment = "sOrder"
		p.mustPost(c)
	}
}

// deliveredInOrder starts the relay again with a Split that answers.
func deliveredInOrder(t *testing.T, s *site) {
	t.Helper()
	s.split.ClearFaults()
	p := s.start()
	p.ready()
	eventually(t, patience, "what is pending arrives, the last verbs last", func() bool {
		return slices.Equal(s.members("sOrder"), []string{"1", "4"}) && len(p.cacheLines(t)) == 0
	})
	if code := p.terminate(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	if got := s.members("sOrder"); !slices.Equal(got, []string{"1", "4"}) {
		t.Errorf("in the end: %q", got)
	}
	s.judge()
}
