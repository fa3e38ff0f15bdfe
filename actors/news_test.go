package actors

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"audiences/audience"
	"audiences/journal"
	"audiences/sandbox"
	"audiences/splitclient"

	"github.com/rs/zerolog"
)

// newsLine is a line of the log as a test reads it.
type newsLine struct {
	Message, Tenant, Segment, Reason   string
	Status, Segments, Failing, Tenants int
	Times                              int
	Until                              time.Time
	Reasons                            map[string]int
}

// paper is a log that a test reads.
type paper struct {
	mu   sync.Mutex
	text strings.Builder
}

func (p *paper) Write(line []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(line)
}

// lines are those that begin with what is said.
func (p *paper) lines(t *testing.T, begin string) (lines []newsLine) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for text := range strings.Lines(p.text.String()) {
		var line newsLine
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if strings.HasPrefix(line.Message, begin) {
			lines = append(lines, line)
		}
	}
	return lines
}

const (
	fails    = "calls to Split fail"
	recovers = "calls to Split go through again"
)

// TestOneBadSegmentIsNamed: of sixty the one that fails, once, with what Split answered
// and when the next attempt is, and once when it recovers.
func TestOneBadSegmentIsNamed(t *testing.T) {
	var log paper
	play(t, sandbox.Options{}, Options{Logger: zerolog.New(&log)}, func(s *scene) {
		bad := s.split.Fault(sandbox.Rule{Kind: sandbox.Status, Code: 503, Segment: "s7"})
		for i := range 60 {
			s.accept("token", fmt.Sprint("s", i), audience.Add, "1")
		}
		s.at(10*time.Second + time.Millisecond)
		lines := log.lines(s.T, fails)
		if len(lines) != 1 || lines[0].Segment != "s7" || lines[0].Status != 503 || lines[0].Reason != "server_error" || lines[0].Tenant != s.tenant("token").ID.String() || lines[0].Until.Before(s.began.Add(10*time.Second)) || lines[0].Failing != 1 {
			s.Errorf("%+v", lines)
		}
		s.at(5 * time.Minute)
		if lines := append(log.lines(s.T, fails), log.lines(s.T, recovers)...); len(lines) != 1 {
			s.Errorf("it goes on failing: %+v", lines)
		}
		bad()
		s.at(10 * time.Minute)
		if lines := log.lines(s.T, recovers); len(lines) != 1 || lines[0].Segment != "s7" || lines[0].Failing != 0 {
			s.Errorf("%+v", lines)
		}
	})
}

// TestFlappingIsGathered: a segment that fails and recovers each 15 s for half an hour.
func TestFlappingIsGathered(t *testing.T) {
	var log paper
	play(t, sandbox.Options{}, Options{Logger: zerolog.New(&log), FlushInterval: time.Second, FirstBackoff: time.Second}, func(s *scene) {
		const flaps = 120
		for i := range flaps {
			s.split.Fault(sandbox.Rule{Kind: sandbox.Status, Code: 500, Count: 1})
			s.add(fmt.Sprint(i))
			s.at(time.Duration(i+1) * 15 * time.Second)
		}
		s.at(time.Hour)
		for _, begin := range []string{fails, recovers} {
			lines := log.lines(s.T, begin)
			times := 0
			for _, line := range lines {
				times += max(1, line.Times)
			}
			if len(lines) > 25 || times != flaps {
				s.Errorf("%d lines tell that %d times %s", len(lines), times, begin)
			}
		}
	})
}

// TestNothingLeftIsNoRecovery: a segment whose keys were discarded elsewhere has not
// recovered, and does not fail any more.
func TestNothingLeftIsNoRecovery(t *testing.T) {
	var log paper
	play(t, sandbox.Options{}, Options{Logger: zerolog.New(&log)}, func(s *scene) {
		s.split.Rotate("token", "new")
		s.accept("new", "other", audience.Add, "1")
		s.at(15 * time.Second)
		s.split.Fault(sandbox.Rule{Kind: sandbox.Status, Code: 503, Segment: "s"})
		s.add("1")
		s.at(time.Minute)
		s.move("token", "new") // fails there as well
		s.at(2 * time.Minute)
		s.accept("new", "other", audience.Add, "2")
		s.split.ClearFaults()
		s.at(10 * time.Minute)
		lines := log.lines(s.T, recovers)
		if len(lines) != 1 || lines[0].Tenant != s.tenant("new").ID.String() || lines[0].Failing != 0 {
			s.Errorf("%+v", lines)
		}
	})
}

// TestLimitsAreTold: that of the address in one line for all tenants, that of an
// organisation with its tenant; both with the end.
func TestLimitsAreTold(t *testing.T) {
	for scope, begin := range map[sandbox.Scope]string{sandbox.IP: "the limit of the relay's address", sandbox.Org: "the limit of a tenant's organisation"} {
		t.Run(string(scope), func(t *testing.T) {
			var log paper
			play(t, sandbox.Options{}, Options{Logger: zerolog.New(&log)}, func(s *scene) {
				s.split.Fault(sandbox.Rule{Kind: sandbox.Throttle, Scope: scope, Reset: 90 * time.Second, Count: 1})
				for _, token := range []string{"token", "second", "third"} {
					s.accept(token, "s", audience.Add, "1")
				}
				s.at(20 * time.Second)
				lines := log.lines(s.T, begin)
				if len(lines) != 1 || lines[0].Until.Before(s.began.Add(time.Minute)) || (lines[0].Tenant == "") != (scope == sandbox.IP) {
					s.Errorf("%+v", lines)
				}
			})
		})
	}
}

// notedEvents is an easy journal that counts how often an event, or a draft of one, is
// written.
type notedEvents struct {
	easyJournal
	n atomic.Int32
}

func (n *notedEvents) NoteEvent(journal.Event, func(error)) { n.n.Add(1) }

// TestNewsOfAnOutage: a thousand tenants behind an outage of ten minutes, one half of whom
// Split answers with errors, while the calls of others get no answer, and a limit of the
// address comes in between: at most 60 lines, and none is false, and few writes of events.
func TestNewsOfAnOutage(t *testing.T) {
	const segments = 3 // of each tenant
	synctest.Test(t, func(t *testing.T) {
		var log paper
		var down atomic.Bool
		var calls atomic.Int32
		events := &notedEvents{}
		relay := Start(Options{Journal: events, Logger: zerolog.New(&log).Level(zerolog.InfoLevel), MaxConcurrentCalls: 512, MaxUnproven: 2_000,
			Deliver: func(_ context.Context, c splitclient.Call) splitclient.Outcome {
				o := splitclient.Outcome{Limits: splitclient.Limits{RemainingOrg: -1, RemainingIP: -1}}
				switch n := calls.Add(1); {
				case !down.Load():
					o.Kind, o.Reason, o.Status = splitclient.Delivered, splitclient.OK, 200
				case n%100 == 0:
					o.Kind, o.Reason, o.Status, o.Delay, o.DelayIP = splitclient.Throttled, splitclient.ThrottledIP, 429, time.Second, time.Second
				case c.Segment.Tenant[0]%2 == 0:
					o.Kind, o.Reason, o.Status = splitclient.Transient, splitclient.ServerError, 503
				default:
					o.Kind, o.Reason = splitclient.Transient, splitclient.Timeout
				}
				return o
			}})
		tenants := manyTenants(1_000)
		post := func(key int64) {
			answers := make(chan error, 1)
			for i := range segments * len(tenants) {
				relay.Accept(answers, wireChange(tenants[i%len(tenants)], i/len(tenants), audience.Add, key))
				if err := <-answers; err != nil {
					t.Fatal(err)
				}
			}
		}
		post(1)
		time.Sleep(2 * time.Minute)
		down.Store(true)
		post(2)
		time.Sleep(10 * time.Minute)
		if lines := log.lines(t, recovers); len(lines) > 0 {
			t.Errorf("a false all-clear: %+v", lines)
		}
		told := 0
		for _, line := range log.lines(t, fails) {
			told += max(1, line.Segments)
			if line.Failing < told {
				t.Errorf("%d segments were told to fail, and %d are said to: %+v", told, line.Failing, line)
			}
		}
		if told != segments*len(tenants) {
			t.Errorf("%d segments were told to fail, want %d", told, segments*len(tenants))
		}
		down.Store(false)
		time.Sleep(20 * time.Minute)
		back, last := 0, newsLine{Failing: -1}
		for _, line := range log.lines(t, recovers) {
			back += max(1, line.Segments)
			last = line
		}
		if back != told || last.Failing != 0 {
			t.Errorf("%d segments were told to recover; at last %d fail", back, last.Failing)
		}
		if lines := log.lines(t, ""); len(lines) > 60 || len(log.lines(t, "the limit of the relay's address")) == 0 {
			t.Errorf("%d lines: %+v", len(lines), lines)
		}
		t.Logf("%d lines, %d writes of events", len(log.lines(t, "")), events.n.Load())
		if n := events.n.Load(); n > 150 {
			t.Errorf("%d writes of events", n)
		}
		stopNow(relay)
		time.Sleep(time.Hour) // as in TestFootprint
	})
}
