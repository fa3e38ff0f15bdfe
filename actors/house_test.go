package actors

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"audiences/audience"
	"audiences/journal"
	"audiences/sandbox"
	"audiences/status"

	"pgregory.net/rapid"
)

// house is a relay with all that surrounds it, in a bubble of virtual time: a
// journal on a file system that can lose its power, Split's look-alike behind a
// real HTTP client and server, and the model that they are held against.
type house struct {
	site
	t       *rapid.T
	random  *rand.Rand
	drawing sync.Mutex // guards random
	faulty  *faulty
	faults  []func() // remove them

	elsewhere journal.Intake     // the second writer: another node that shares the journal, past the relay
	unseen    map[placedKey]bool // last changed from elsewhere, since the relay looked at all places
	restarts  bool               // what makes it look at rest: a restart, or else an operator

	current map[string]audience.Tenant // of an organisation
	tokens  int                        // made so far
	model   map[place]map[string]bool  // the replay of all accepted changes
	allowed allowed
	order   order
	loss    loss
	fresh   int // keys made for one change only

	born          time.Time // the relay: its sweeps are counted from here
	idle, timeout time.Duration

	sleepy          bool // nobody is trusted, and everybody dozes as soon as it can
	poisoned        bool
	cure            func()
	poisonVerb      map[place]audience.Verb
	givenUp         map[placedKey]bool // by an operator, and not accepted since
	countsFail      bool               // the journal may fail to count
	diary           []string           // what the test did, for the story of a failure
	refusedKeysOnce bool               // a fault was on that refuses keys that are sound
}

// place is a segment as Split has it, whatever token is in use.
type place struct{ organisation, name string }

// placedKey is a key of a place.
type placedKey struct {
	place
	key string
}

// change is a change before it knows its tenant.
type change struct {
	place
	verb audience.Verb
	keys []string
}

const (
	houseFlush = 10 * time.Second
	houseSlow  = 4 * time.Second // how long a slow call of drawFault takes
	houseProbe = 2 * time.Minute

	houseThrottle = 3 * time.Second // the longest wait that a 429 of drawFault asks for
	houseRestart  = houseThrottle + time.Second

	poisonKey = "6"
)

var houseOrganisations = []string{"one", "two"}

// allowed is what may reach Split: every change that was handed to the relay.
type allowed struct {
	sync.Mutex
	changes map[string]bool
}

func (a *allowed) note(c change) {
	a.Lock()
	defer a.Unlock()
	for _, key := range c.keys {
		a.changes[fmt.Sprint(c.name, c.verb, key)] = true
	}
}

func (a *allowed) has(t sandbox.Target, verb audience.Verb, key string) bool {
	a.Lock()
	defer a.Unlock()
	return a.changes[fmt.Sprint(t.Segment, verb, key)]
}

func newHouse(t *rapid.T) *house {
	seed := rapid.Uint64().Draw(t, "seed")
	h := &house{site: site{failing: t}, t: t, random: rand.New(rand.NewPCG(seed, 1)),
		current: map[string]audience.Tenant{}, model: map[place]map[string]bool{}, poisonVerb: map[place]audience.Verb{}, givenUp: map[placedKey]bool{},
		allowed: allowed{changes: map[string]bool{}}, order: order{of: map[string][]int{}}}
	h.idle = rapid.SampledFrom([]time.Duration{time.Minute, houseFlush, houseFlush - 1, houseFlush + 1, houseFlush / 2}).Draw(t, "idle")
	h.timeout = rapid.SampledFrom([]time.Duration{5 * time.Second, houseFlush, 15 * time.Second}).Draw(t, "timeout")
	h.prepare(sandbox.Options{MaxKeys: 3, History: true, Allowed: h.allowed.has}, h.timeout, nil)
	h.sleepy = rapid.Bool().Draw(t, "sleepy")
	h.restarts = rapid.Bool().Draw(t, "restarts")
	for _, organisation := range houseOrganisations {
		h.newToken(organisation)
		for _, name := range []string{"sA", "sB"} {
			h.model[place{organisation, name}] = map[string]bool{}
		}
	}
	h.start()
	return h
}

// newToken gives the organisation another token.
func (h *house) newToken(organisation string) {
	h.tokens++
	text := fmt.Sprintf("token-%s-%d", organisation, h.tokens)
	token, err := audience.ParseToken(text)
	h.must(err)
	h.split.Assign(text, organisation)
	h.current[organisation] = audience.NewTenant(token)
}

func (h *house) start() {
	h.open()
	h.faulty = &faulty{Journal: h.store, deliver: h.client.Do, before: h.lose, append: h.order.append}
	h.elsewhere, h.unseen = h.store.Writer(1), map[placedKey]bool{} // the replay looks at all places
	h.born = time.Now()
	unproven := 0
	if h.sleepy {
		unproven = -1
	}
	h.relay = Start(Options{
		distrust: h.sleepy, heard: h.faulty.heard, MaxUnproven: unproven,
		Journal: h.faulty, Deliver: h.faulty.Deliver,
		FlushInterval: houseFlush, IdleTimeout: h.idle,
		MaxKeysPerCall: 3, MaxKeysHeld: 5, MaxKeysInMemory: 12,
		MaxConcurrentCalls: 3, MaxCallsPerSecond: 20, MaxCallsPerSecondPerTenant: 10,
		ProbeInterval: houseProbe, NotFoundGrace: 20 * time.Second,
		Random: h.lot,
	})
}

// lot is drawn by all actors at once.
func (h *house) lot() float64 {
	h.drawing.Lock()
	defer h.drawing.Unlock()
	return h.random.Float64()
}

// places in an order that does not depend on the run.
func (h *house) places() []place {
	return slices.SortedFunc(maps.Keys(h.model), func(a, b place) int {
		return strings.Compare(a.organisation+a.name, b.organisation+b.name)
	})
}

func (h *house) segment(at place) audience.Segment {
	return audience.Segment{Tenant: h.current[at.organisation].ID, Environment: "env", Name: at.name}
}

// accept hands changes in one after the other and then waits for the answers; a
// change that is not answered well is sent again, as the lambda does, with all
// that came after it.
func (h *house) accept(changes ...change) {
	for tries := 0; len(changes) > 0; tries++ {
		if tries == 10 {
			h.t.Fatal("a change was refused ten times")
		}
		answers := make([]chan error, len(changes))
		for i, c := range changes {
			answers[i] = make(chan error, 1)
			h.allowed.note(c)
			h.relay.Accept(answers[i], h.full(c))
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
		for _, c := range changes[:failed] {
			h.replay(c)
		}
		changes = changes[failed:]
	}
}

func (h *house) full(c change) audience.Change {
	full := audience.Change{Token: h.current[c.organisation].Token, Segment: h.segment(c.place), Verb: c.verb}
	var keys audience.Packer
	for _, text := range c.keys {
		h.must(keys.Add([]byte(text)))
	}
	full.Keys = keys.Keys()
	return full
}

// note writes the diary.
func (h *house) note(format string, args ...any) {
	h.diary = append(h.diary, "\n"+time.Now().Format("15:04:05.000000 ")+fmt.Sprintf(format, args...))
}

func (h *house) replay(c change) {
	h.note("accepted %v", c)
	for _, key := range c.keys {
		delete(h.unseen, placedKey{c.place, key})
		delete(h.givenUp, placedKey{c.place, key})
		if c.verb == audience.Add {
			h.model[c.place][key] = true
		} else {
			delete(h.model[c.place], key)
		}
		if key == poisonKey {
			h.poisonVerb[c.place] = c.verb
		}
	}
}

// operate does something to a segment or its tenant, if there is one yet. A trap
// that the test has set may spring; then the operator is told so, and tries again.
func (h *house) operate(at place, whole bool, op status.Remedy, until time.Time) {
	h.note("operate %v %v %v", at, whole, op)
	for range 5 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		_, err := h.relay.Remedy(ctx, h.wish(at, whole, op, until))
		cancel()
		switch {
		case err == nil, refusedWish(err):
			return
		case !struck(err):
			h.t.Fatal(err) // also when nobody answers
		}
	}
	h.t.Fatal("an operation was not answered in five attempts")
}

// wish is what an operator wants of a segment, or of the whole tenant.
func (h *house) wish(at place, whole bool, remedy status.Remedy, until time.Time) status.Wish {
	w := status.Wish{Remedy: remedy, Segment: h.segment(at), Until: until, Who: "ana"}
	if whole {
		w.Segment = audience.Segment{Tenant: w.Segment.Tenant}
	}
	return w
}

// refusedWish: it makes no sense now, as nothing that it is about is there.
func refusedWish(err error) bool {
	return errors.Is(err, status.ErrUnknown) || errors.Is(err, status.ErrNotNeeded) || errors.Is(err, status.ErrPausedNow)
}

// rotate gives an organisation a new token, has the old one refused, and moves
// what is left of it, as an operator would.
func (h *house) rotate(t *rapid.T, organisation string) {
	old := h.current[organisation]
	h.note("rotate %s", organisation)
	if !h.known(old) {
		return
	}
	h.newToken(organisation)
	time.Sleep(houseRestart)                                                                           // like a new process, a new tenant does not know of the old one's 429
	h.accept(change{place: place{organisation, "sFirst"}, verb: audience.Delete, keys: []string{"0"}}) // makes it known
	h.split.Fault(sandbox.Rule{Kind: sandbox.Unauthorized, Token: old.Token.Reveal()})
	h.raceWithAMove(t, old, organisation)
}

// move moves what is left of a tenant, as often as a trap springs.
func (h *house) move(old audience.Tenant, organisation string) (err error) {
	for range 5 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		_, err = h.relay.Remedy(ctx, status.Wish{Remedy: status.Move, Segment: audience.Segment{Tenant: old.ID}, To: h.current[organisation].ID, Who: "ana"})
		cancel()
		if errors.Is(err, status.ErrNotNeeded) {
			return nil // there was nothing to move, or the last try has moved it
		}
		if err == nil || !struck(err) {
			return err
		}
	}
	return err
}

// struck: a trap that the test has set is the reason.
func struck(err error) bool { return errors.Is(err, ErrCrashed) || errors.Is(err, errStruck) }

func (h *house) known(tenant audience.Tenant) bool {
	for known, err := range h.store.Tenants(audience.AllSlots()) {
		h.must(err)
		if known.Tenant.ID == tenant.ID {
			return true
		}
	}
	return false
}

// poison makes one key refused in segments sB, to the end.
func (h *house) poison() {
	h.poisoned = true
	h.cure = h.split.Fault(sandbox.Rule{Kind: sandbox.Poison, Key: poisonKey, Segment: "sB"})
}

func (h *house) fault(rule sandbox.Rule) {
	h.noteFault(rule)
	h.faults = append(h.faults, h.split.Fault(rule))
}

func (h *house) noteFault(rule sandbox.Rule) {
	switch rule.Kind {
	case sandbox.EmptyBadRequest, sandbox.Poison, sandbox.TooLarge:
		h.refusedKeysOnce = true
	}
	h.note("fault %+v", rule)
}

func (h *house) heal() {
	h.note("heal")
	for _, remove := range h.faults {
		remove()
	}
	h.faults = nil
}

// crash loses the power: calls are cut, what was not synced is gone or not.
func (h *house) crash() {
	h.note("crash")
	h.losePower(&h.drawing, h.random)
	// A new process does not know how long a 429 asked its predecessor to wait, and
	// is not blamed for it: coming back takes longer than that.
	time.Sleep(houseRestart)
	h.start()
}

// retryParked also makes the relay look at all places: the retry of a segment reads the
// journal. Hence it goes past the door, which asks first whether anything is parked.
func (h *house) retryParked() {
	for _, at := range h.places() {
		h.retry(at)
	}
	clear(h.unseen)
}

func (h *house) retry(at place) {
	tenant := h.current[at.organisation]
	if !h.known(tenant) {
		return
	}
	for range 5 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		err := h.relay.operateSegment(ctx, task{tenant: tenant, segment: h.segment(at), remedy: status.Retry})
		cancel()
		if err == nil {
			return
		}
		if !struck(err) {
			h.t.Fatal(err)
		}
	}
	h.t.Fatal("a retry was not answered in five attempts")
}

// look makes the relay see what came from elsewhere, of which nobody tells it. Where
// nothing did it is left alone: all else it must know by itself.
func (h *house) look() {
	switch {
	case len(h.unseen) == 0:
	case h.restarts:
		h.crash()
	default:
		h.retryParked()
	}
}

// settle waits until nothing is pending but the keys of parked segments, and those of
// which the relay need not know yet.
func (h *house) settle() {
	for waited := time.Duration(0); ; waited += houseFlush {
		pending := false
		for listed, err := range h.store.Segments(audience.AllSlots()) {
			h.must(err)
			pending = pending || listed.Pending && !h.mayWait(listed)
		}
		if !pending {
			return
		}
		if waited > 24*time.Hour {
			h.t.Fatalf("keys are still pending after a day: %v\nthe diary: %v\nthe calls: %v", h.waiting(), h.diary, h.calls())
		}
		time.Sleep(houseFlush)
	}
}

// waiting describes the segments that have pending keys.
func (h *house) waiting() (lines []string) {
	for listed, err := range h.store.Segments(audience.AllSlots()) {
		h.must(err)
		if !listed.Pending {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		detail, err := h.relay.Inspect(ctx, listed.Segment)
		cancel()
		lines = append(lines, fmt.Sprintf("\n%+v %v; in the journal %v", detail, err, h.pendingKeys(listed.Segment)))
	}
	return lines
}

// mayWait: each pending key of a segment was changed from elsewhere, or is the poisoned
// one of a parked segment.
func (h *house) mayWait(listed journal.Listed) bool {
	poisoned := h.poisoned && listed.State.Parked != nil
	for key := range h.pendingKeys(listed.Segment) {
		unseen := func(at place) bool { return h.segment(at) == listed.Segment && h.unseen[placedKey{at, key}] }
		if !(poisoned && key == poisonKey) && !slices.ContainsFunc(h.places(), unseen) {
			return false
		}
	}
	return true
}

func (h *house) pendingKeys(segment audience.Segment) map[string]audience.Verb {
	reply := make(chan journal.Page, 1)
	h.store.Load(journal.Load{Segment: segment, Limit: 1000, Done: func(p journal.Page) { reply <- p }})
	page := <-reply
	h.must(page.Err)
	keys := map[string]audience.Verb{}
	for _, entry := range page.Entries {
		keys[entry.Key.Text()] = entry.Verb
	}
	return keys
}

// refusedKeys lists the parked keys, and what waits in parked segments.
func (h *house) refusedKeys() map[place]map[string]audience.Verb {
	refused := map[place]map[string]audience.Verb{}
	for _, at := range h.places() {
		parked, keys := h.parkedKeys(at), h.pendingKeys(h.segment(at))
		for key, verb := range parked {
			if _, twice := keys[key]; twice {
				h.t.Errorf("%v: a key is parked and pending", at)
			}
			keys[key] = verb
		}
		if len(keys) > 0 {
			refused[at] = keys
		}
	}
	return refused
}

func (h *house) parkedKeys(at place) map[string]audience.Verb {
	page, err := h.relay.parked(context.Background(), h.segment(at), journal.Cursor{}, 1000)
	h.must(err)
	keys := map[string]audience.Verb{}
	for _, entry := range page.Entries {
		keys[entry.Key.Text()] = entry.Verb
	}
	return keys
}

func (h *house) close() {
	h.leave()
}
