package actors

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"audiences/audience"
	"audiences/journal"
	"audiences/sandbox"
	"audiences/splitclient"
)

// house is a relay with all that surrounds it, in a bubble of virtual time: a
// journal on a file system that can lose its power, Split's look-alike behind a
// real HTTP client and server, and the model that they are held against.
type house struct {
	t      *rapid.T
	random *rand.Rand
	memory *journal.Memory
	store  *journal.Journal
	faulty *faulty
	split  *sandbox.Split
	pipe   *sandbox.Pipe
	client *splitclient.Client
	relay  *Relay
	model  map[audience.Segment]map[string]bool // the replay of all accepted changes
	tokens map[audience.TenantID]audience.Tenant
}

const (
	houseFlush = 10 * time.Second
	houseIdle  = time.Minute

	houseThrottle = 3 * time.Second // the longest wait that a 429 of drawFault asks for
	houseRestart  = houseThrottle + time.Second
)

// faulty stands before the journal and the client and panics on demand.
type faulty struct {
	Journal
	deliver                                func(context.Context, splitclient.Call) splitclient.Outcome
	onAppend, onSettle, onLoad, onDelivery atomic.Int32 // how many of the next calls panic
}

func strike(n *atomic.Int32) {
	if n.Load() > 0 && n.Add(-1) >= 0 {
		panic(errors.New("struck by the test"))
	}
}

func (f *faulty) Append(a journal.Append) { strike(&f.onAppend); f.Journal.Append(a) }
func (f *faulty) Settle(s journal.Settle) { strike(&f.onSettle); f.Journal.Settle(s) }
func (f *faulty) Load(l journal.Load)     { strike(&f.onLoad); f.Journal.Load(l) }
func (f *faulty) Deliver(ctx context.Context, c splitclient.Call) splitclient.Outcome {
	strike(&f.onDelivery)
	return f.deliver(ctx, c)
}

func newHouse(t *rapid.T) *house {
	seed := rapid.Uint64().Draw(t, "seed")
	h := &house{t: t, random: rand.New(rand.NewPCG(seed, 1)), memory: journal.NewMemory(),
		model: map[audience.Segment]map[string]bool{}, tokens: map[audience.TenantID]audience.Tenant{}}
	h.split = sandbox.New(sandbox.Options{MaxKeys: 3, Grace: -1})
	h.pipe = h.split.Pipe()
	client, err := splitclient.New(splitclient.Options{BaseURL: "http://split", Transport: h.pipe})
	h.check(err)
	h.client = client
	for _, name := range []string{"one", "two"} {
		token, err := audience.ParseToken("token-" + name)
		h.check(err)
		tenant := audience.NewTenant(token)
		h.tokens[tenant.ID] = tenant
		for _, segment := range []string{"sA", "sB"} {
			h.model[audience.Segment{Tenant: tenant.ID, Environment: "env", Name: segment}] = map[string]bool{}
		}
	}
	h.start()
	return h
}

func (h *house) check(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) start() {
	store, err := journal.Open(journal.Options{Dir: "journal", Memory: h.memory})
	h.check(err)
	h.store = store
	h.faulty = &faulty{Journal: store, deliver: h.client.Do}
	h.relay = Start(Options{
		Journal: h.faulty, Deliver: h.faulty.Deliver,
		FlushInterval: houseFlush, IdleTimeout: houseIdle,
		MaxKeysPerCall: 3, MaxKeysHeld: 5,
		MaxConcurrentCalls: 3, MaxCallsPerSecond: 20, MaxCallsPerSecondPerTenant: 10,
		Random: h.random.Float64,
	})
}

// segments in an order that does not depend on the run.
func (h *house) segments() []audience.Segment {
	return slices.SortedFunc(maps.Keys(h.model), func(a, b audience.Segment) int {
		return slices.Compare([]byte(fmt.Sprint(a.Tenant, a.Name)), []byte(fmt.Sprint(b.Tenant, b.Name)))
	})
}

// accept hands changes in one after the other and then waits for the answers; a
// change that is not answered well is sent again, as the lambda does, with all
// that came after it.
func (h *house) accept(changes ...audience.Change) {
	for tries := 0; len(changes) > 0; tries++ {
		if tries == 10 {
			h.t.Fatal("a change was refused ten times")
		}
		answers := make([]chan error, len(changes))
		for i, change := range changes {
			answers[i] = make(chan error, 1)
			change.Keys = slices.Clone(change.Keys)
			h.relay.Accept(change, answers[i])
		}
		failed := len(changes)
		for i := range answers {
			select {
			case err := <-answers[i]:
				if err != nil {
					failed = min(failed, i)
				}
			case <-time.After(10 * time.Second):
				h.t.Fatal("a change was not answered in 10 s")
			}
		}
		for _, change := range changes[:failed] {
			for _, key := range change.Keys {
				if change.Verb == audience.Add {
					h.model[change.Segment][key.Text()] = true
				} else {
					delete(h.model[change.Segment], key.Text())
				}
			}
		}
		changes = changes[failed:]
	}
}

// crash loses the power: calls are cut, what was not synced is gone or not.
func (h *house) crash() {
	h.relay.giveUp()
	memory := h.memory.CrashClone(h.random)
	h.halt()
	h.memory = memory
	// A new process does not know how long a 429 asked its predecessor to wait, and
	// is not blamed for it: coming back takes longer than that.
	time.Sleep(houseRestart)
	h.start()
}

// halt stops the relay at once.
func (h *house) halt() {
	now, cancel := context.WithCancel(context.Background())
	cancel()
	h.relay.Stop(now)
	h.check(h.store.Close())
}

// rest waits until nothing is pending and compares Split with the model (I2).
func (h *house) rest() {
	h.split.ClearFaults()
	for waited := time.Duration(0); ; waited += houseFlush {
		if waited > 24*time.Hour {
			h.t.Fatal("keys are still pending after a day")
		}
		pending := false
		for listed, err := range h.store.Segments() {
			h.check(err)
			pending = pending || listed.Pending
		}
		if !pending {
			break
		}
		time.Sleep(houseFlush)
	}
	for _, segment := range h.segments() {
		token := h.tokens[segment.Tenant].Token.Reveal()
		has := h.split.Members(token, segment.Environment, segment.Name)
		want := slices.Sorted(maps.Keys(h.model[segment]))
		if !slices.Equal(has, want) {
			h.t.Errorf("segment %s of %s has %v, want %v", segment.Name, segment.Tenant, has, want)
		}
	}
	if violations := h.split.Violations(); len(violations) > 0 {
		h.t.Errorf("broken promises: %v\nthe calls: %v", violations, h.calls())
	}
}

// calls lists what the look-alike saw, for the story of a failure.
func (h *house) calls() (lines []string) {
	for _, c := range h.split.Calls() {
		lines = append(lines, fmt.Sprintf("\n%s-%s %s %s %s %d keys: %d %s applied %v", c.Start.Format("15:04:05.000000"), c.End.Format("05.000000"),
			c.Tenant, c.Segment, c.Verb, c.Keys, c.Status, c.Outcome, c.Applied))
	}
	return lines
}

func (h *house) close() {
	h.halt()
	h.client.Close()
	h.pipe.Close()
	h.split.Close()
	time.Sleep(2 * time.Second) // the actor library counts undelivered messages by the second, in a goroutine
}

func (h *house) drawChange(t *rapid.T) audience.Change {
	segment := rapid.SampledFrom(h.segments()).Draw(t, "segment")
	key := rapid.Custom(func(t *rapid.T) audience.Key {
		key, err := audience.ParseKey(rapid.SampledFrom([]string{"1", "2", "3", "4", "5", "6", "-7", "08", "a", "b"}).Draw(t, "text"))
		h.check(err)
		return key
	})
	return audience.Change{
		Tenant: h.tokens[segment.Tenant], Segment: segment,
		Verb: rapid.SampledFrom([]audience.Verb{audience.Add, audience.Delete}).Draw(t, "verb"),
		Keys: rapid.SliceOfN(key, 1, 6).Draw(t, "keys"),
	}
}

// TestModel is the heart of the tests (I1 to I5): random histories of changes,
// waits, faults of Split, panics, passivation and crashes; at rest Split has
// what the accepted changes make.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rapid.SyncTest(t, func(t *rapid.T) {
			h := newHouse(t)
			defer h.close()
			t.Repeat(map[string]func(*rapid.T){
				"accept": func(t *rapid.T) { h.accept(h.drawChange(t)) },
				"burst": func(t *rapid.T) {
					h.accept(rapid.SliceOfN(rapid.Custom(h.drawChange), 2, 6).Draw(t, "changes")...)
				},
				"wait": func(t *rapid.T) {
					time.Sleep(time.Duration(rapid.IntRange(1, 30_000).Draw(t, "ms")) * time.Millisecond)
				},
				"idle": func(*rapid.T) { time.Sleep(2*houseIdle + time.Second) },
				"panic": func(t *rapid.T) {
					f := h.faulty
					at := rapid.SampledFrom([]*atomic.Int32{&f.onAppend, &f.onSettle, &f.onLoad, &f.onDelivery}).Draw(t, "at")
					at.Store(rapid.Int32Range(1, 2).Draw(t, "times"))
				},
				"fault": func(t *rapid.T) { h.split.Fault(drawFault(t)) },
				"heal":  func(*rapid.T) { h.split.ClearFaults() },
				"crash": func(*rapid.T) { h.crash() },
			})
			h.rest()
		})
	})
}

// drawFault makes Split misbehave for some calls or some time.
func drawFault(t *rapid.T) sandbox.Rule {
	rule := rapid.SampledFrom([]sandbox.Rule{
		{Kind: sandbox.Status, Code: 500},
		{Kind: sandbox.Status, Code: 503, Applied: true},
		{Kind: sandbox.Throttle, Reset: houseThrottle},
		{Kind: sandbox.Hang},
		{Kind: sandbox.Hang, Applied: true},
		{Kind: sandbox.Slow, Delay: 4 * time.Second},
		{Kind: sandbox.Reset},
		{Kind: sandbox.Reset, Applied: true},
		{Kind: sandbox.Conflict},
		{Kind: sandbox.HTMLBadGateway},
	}).Draw(t, "fault")
	rule.Segment = rapid.SampledFrom([]string{"", "sA"}).Draw(t, "of")
	if rapid.Bool().Draw(t, "counted") {
		rule.Count = rapid.IntRange(1, 3).Draw(t, "count")
	} else {
		rule.For = time.Duration(rapid.IntRange(1, 100).Draw(t, "seconds")) * time.Second
	}
	return rule
}
