//go:build e2e

package e2e

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"audiences/sandbox"
	"audiences/test/harness"
)

var (
	memoryKeys   = flag.Int("memory.keys", 1_000_000, "pending keys of TestMemoryLimit; make containers has 10,000,000")
	memoryLimits = flag.String("memory.limits", "64,128", "limits in MiB of TestMemoryLimit; make containers has more")
)

const (
	memoryTenants  = 20
	memoryClients  = 8
	memoryPatience = 15 * time.Minute // for each step, at full size on a busy machine
)

// TestMemoryLimit fills a relay in a control group with a memory limit while every
// call to Split hangs, kills it, starts it again with what it has, kills it once more
// while it starts, and lets Split come back: the kernel never ends it for memory, and
// every key that was answered 200 is delivered (I1, I3, I8). It prints times and
// memory for each limit.
func TestMemoryLimit(t *testing.T) {
	for _, text := range strings.Split(*memoryLimits, ",") {
		limit, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		for _, load := range []memoryLoad{
			{name: "MPIDs", keys: *memoryKeys, each: 10_000, text: func(i int) string { return strconv.Itoa(-8_735_621_876_216_983_452 + i) }},
			// A body of these is as large as the least limit allows, and so are pages and calls.
			{name: "texts of 250 characters", keys: *memoryKeys / 10, each: 4_000, text: func(i int) string { return fmt.Sprintf("%0250d", i) }},
		} {
			t.Run(text+" MiB, "+load.name, func(t *testing.T) { s := newConfined(t, limit<<20, load); s.live() })
		}
	}
}

// memoryLoad is what is posted: so many keys, each segment's in one post.
type memoryLoad struct {
	name       string
	keys, each int
	text       func(i int) string
}

func (l memoryLoad) segments() int { return max(1, l.keys/l.each) }

// live is the life of one relay in its group.
func (s *confined) live() {
	s.start()
	s.step("accepted while Split is down", s.fill)
	s.relay.Kill()
	s.launch()
	s.relay.Kill()
	s.start()
	s.Split.ClearFaults()
	s.step("delivered after Split came back", s.delivered)
	s.terminate()
	s.Judge()
}

// TestMemoryLimitLowered: a relay also starts in little memory with what it left
// behind when it had much, the store's unflushed logs included.
func TestMemoryLimitLowered(t *testing.T) {
	s := newConfined(t, 4<<30, memoryLoad{keys: 1_000_000, each: 10_000, text: strconv.Itoa})
	s.start()
	s.step("accepted with 4 GiB", s.fill)
	s.relay.Kill()
	s.group.limit(t, 64<<20)
	s.start()
	s.Split.ClearFaults()
	s.step("delivered with 64 MiB", s.delivered)
	s.terminate()
	s.Judge()
}

// TestMemoryLimitCrowd: as many lambdas as mParticle runs at once, each post on a
// connection of its own, do not make the kernel end a relay with little memory: each
// is answered 200 or 503, or finds no connection.
func TestMemoryLimitCrowd(t *testing.T) {
	const lambdas, posts = 1000, 5
	s := newConfined(t, 64<<20, memoryLoad{keys: 1, each: 1, text: strconv.Itoa})
	s.start()
	var answers [600]atomic.Int64
	var cut atomic.Int64
	s.step("a thousand lambdas at once", func(ctx context.Context) error {
		var posting sync.WaitGroup
		for n := range lambdas {
			posting.Go(func() {
				c := harness.Change{Token: tenantOf(0), Segment: segmentOf(0), Keys: []string{strconv.Itoa(n)}}
				for range posts {
					a, err := s.relay.Post(ctx, c)
					if err != nil {
						cut.Add(1)
						continue
					}
					answers[a.Status].Add(1)
				}
			})
		}
		posting.Wait()
		return s.wait(ctx, s.ready)
	})
	t.Logf("%d answered 200, %d 503, %d found no connection", answers[200].Load(), answers[503].Load(), cut.Load())
	if answers[200].Load()+answers[503].Load()+cut.Load() != lambdas*posts {
		t.Error("other answers came")
	}
	if answers[200].Load() == 0 {
		t.Error("none was taken")
	}
	s.terminate()
}

// TestMemoryLimitShared: when others in the container take what is left, posts get 503
// before the kernel ends anything, and are taken again by themselves when it is free.
func TestMemoryLimitShared(t *testing.T) {
	s := newConfined(t, 256<<20, memoryLoad{})
	s.start()
	one := harness.Change{Segment: "s0", Keys: []string{"1"}}
	file := fmt.Sprintf("/dev/shm/audiences-e2e-%d", os.Getpid()) // a tmpfs counts as memory
	t.Cleanup(func() { _ = os.Remove(file) })                     // it is gone, unless the test failed
	s.step("a file in a tmpfs grows", func(ctx context.Context) error {
		return s.wait(ctx, func() bool {
			if err := s.group.command("sh", "-c", `head -c 1000000 /dev/zero >> "$0"`, file).Run(); err != nil {
				t.Fatal(err)
			}
			err := s.relay.PostBy(ctx, harness.Lambda, one)
			return err != nil && strings.Contains(err.Error(), "memory nearly full")
		})
	})
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	s.step("it is gone", func(ctx context.Context) error {
		return s.wait(ctx, func() bool { return s.ready() && s.relay.PostBy(ctx, harness.Lambda, one) == nil })
	})
	s.terminate()
}

// TestMemoryLimitTooLow: below what it can run in the relay ends with a sentence, and
// is not ended by the kernel.
func TestMemoryLimitTooLow(t *testing.T) {
	s := newConfined(t, 32<<20, memoryLoad{})
	s.launch()
	select {
	case <-s.relay.Ended:
	case <-time.After(time.Minute):
		t.Fatalf("it runs\n%s", tail(s.relay.Log()))
	}
	if code := s.relay.ExitCode(); code != 1 || !strings.Contains(s.relay.Log(), "the relay needs at least") {
		t.Errorf("code %d\n%s", code, s.relay.Log())
	}
	if n := s.group.kills(t); n > 0 {
		t.Errorf("ended for memory %d times", n)
	}
}

// confined is a relay in a group of its own.
type confined struct {
	*site
	t     *testing.T
	load  memoryLoad
	group group
	relay *harness.Process // the latest
	again atomic.Int64     // posts that were answered 503
}

func newConfined(t *testing.T, limit int64, load memoryLoad) *confined {
	t.Helper()
	s := &confined{t: t, load: load, group: newGroup(t, limit)}
	s.site = newSite(t, map[string]any{
		"port": 0, "adminAddress": "127.0.0.1:0", // a port that was free may be taken before the next start
		"segmentsFlushRateInSeconds": 1, "minFreeDiskBytes": 0, "splitTimeout": 5, "drainTimeout": 5,
		"maxCallsPerSecond": 1000, "maxCallsPerSecondPerTenant": 1000,
	})
	s.Split.Fault(sandbox.Rule{Kind: sandbox.Hang})
	return s
}

// launch starts the process and waits for nothing.
func (s *confined) launch() {
	s.t.Helper()
	s.relay = s.Begin(s.group.command(harness.Binary, s.Config()), func(*exec.Cmd) {})
}

// start starts the process and waits until all that is pending is back.
func (s *confined) start() {
	s.launch()
	s.step("start until it is ready", func(ctx context.Context) error {
		return s.wait(ctx, s.ready)
	})
}

// ready reports whether all that is pending is back.
func (s *confined) ready() bool {
	select {
	case <-s.relay.Listens:
		return s.relay.IsReady()
	default:
		return false
	}
}

// wait asks again and again; the process must not end meanwhile.
func (s *confined) wait(ctx context.Context, isSo func() bool) error {
	return harness.Until(ctx, memoryPatience, "what a step waits for", func() (bool, error) {
		select {
		case <-s.relay.Ended:
			return false, fmt.Errorf("the relay ended: %v\n%s", s.relay.Cmd.ProcessState, tail(s.relay.Log()))
		default:
			return isSo(), nil
		}
	})
}

// step runs one part, and prints how long it took and what memory.
func (s *confined) step(what string, run func(context.Context) error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), memoryPatience)
	defer cancel()
	began := time.Now()
	err := run(ctx)
	s.t.Logf("%-34s %7.2f s   used %4d MiB, at most %4d MiB   %d posts got 503 first", what, time.Since(began).Seconds(),
		s.used()>>20, s.group.peak(s.t)>>20, s.again.Load())
	if n := s.group.kills(s.t); n > 0 {
		s.t.Fatalf("%s: the kernel ended the relay for memory\n%s", what, tail(s.relay.Log()))
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// used is what the group takes without files.
func (s *confined) used() int {
	files := s.group.number(s.t, "memory.stat", s.group.pick("total_inactive_file ", "inactive_file ")) +
		s.group.number(s.t, "memory.stat", s.group.pick("total_active_file ", "active_file "))
	return s.group.number(s.t, s.group.pick("memory.usage_in_bytes", "memory.current"), "") - files
}

func (s *confined) terminate() {
	s.t.Helper()
	s.relay.Signal(syscall.SIGTERM)
	if code := s.relay.Wait(memoryPatience); code != 0 {
		s.t.Errorf("after SIGTERM: %v\n%s", s.relay.Cmd.ProcessState, tail(s.relay.Log()))
	}
}

// fill posts every segment's keys until all were answered 200.
func (s *confined) fill(ctx context.Context) error {
	client := harness.NewKept(memoryClients)
	defer client.CloseIdleConnections()
	return harness.Each(memoryClients, s.load.segments(), func(_, n int) error { return s.postSegment(ctx, client, n) })
}

func tenantOf(n int) string  { return fmt.Sprint("token-", n%memoryTenants) }
func segmentOf(n int) string { return fmt.Sprint("s", n) }

// postSegment posts the keys of one segment, again after each 503.
func (s *confined) postSegment(ctx context.Context, client *http.Client, n int) error {
	keys := make([]string, s.load.each)
	for i := range keys {
		keys[i] = s.load.text(i)
	}
	body := harness.Change{Token: tenantOf(n), Segment: segmentOf(n), Keys: keys}.Body()
	for {
		a, err := s.relay.SendBy(ctx, client, http.MethodPost, "/audiences", harness.AuthToken, body)
		switch {
		case err != nil:
			return fmt.Errorf("post segment %d: %w\n%s", n, err, tail(s.relay.Log()))
		case a.Status == http.StatusOK:
			return nil
		case a.Status != http.StatusServiceUnavailable:
			return fmt.Errorf("post segment %d: %d %s", n, a.Status, a.Body)
		}
		s.again.Add(1)
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// delivered waits until Split has every key.
func (s *confined) delivered(ctx context.Context) error {
	all := s.load.segments() * s.load.each
	if err := s.wait(ctx, func() bool { return s.Split.Counts().Keys >= all && s.whole() }); err != nil {
		return fmt.Errorf("%d keys of %d were sent: %w", s.Split.Counts().Keys, all, err)
	}
	return nil
}

// whole reports whether each segment has all its keys.
func (s *confined) whole() bool {
	for n := range s.load.segments() {
		if s.Split.Size(tenantOf(n), "env1", segmentOf(n)) < s.load.each {
			return false
		}
	}
	return true
}
