package actors

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"pgregory.net/rapid"

	"audiences/audience"
	"audiences/journal"
	"audiences/journal/embedded"
	"audiences/status"
)

// A race is a handful of goroutines that all sleep until the same instant, at which
// something else is to happen as well: a flush, a permit, a page, the end of a call,
// a sweep, the end of a pause. In which order they get to the actors is not known to
// the test, only to the journal: whose change came last is what its log says.

// racer does one thing at the instant of the race.
type racer struct {
	name string
	run  func() error
}

// sent is a change that was handed to a relay or to the second writer, and its place in
// the journal's order.
type sent struct {
	change
	tenant    audience.Tenant
	elsewhere bool
	order     int
}

// order is the order in which changes came to the journal. Changes of the same content
// may stand for each other.
type order struct {
	sync.Mutex
	count int
	of    map[string][]int
}

// content tells changes apart.
func content(segment audience.Segment, verb audience.Verb, keys audience.Keys) string {
	text := fmt.Sprint(segment, verb)
	for key := range keys.All() {
		text += " " + key.Text()
	}
	return text
}

// append notes the changes and hands them to the journal. Nobody else does so between the
// two: the relay and the second writer would be noted in another order than the journal has.
func (o *order) append(to journal.Intake, a journal.Append) journal.Version {
	o.Lock()
	defer o.Unlock()
	for _, c := range a.Changes {
		o.count++
		of := content(c.Segment, c.Verb, c.Keys)
		o.of[of] = append(o.of[of], o.count)
	}
	return to.Append(a)
}

// take is the place of a change that was answered well.
func (o *order) take(c audience.Change) int {
	o.Lock()
	defer o.Unlock()
	of := content(c.Segment, c.Verb, c.Keys)
	places := o.of[of]
	last := len(places) - 1
	o.of[of] = places[:last]
	return places[last]
}

// loss is a loss of power in the middle of something: what the disk has at that
// moment is what the next process finds.
type loss struct {
	sync.Mutex
	in    int32 // calls of the journal; 0: never
	taken *embedded.Memory
}

// lose is called before each call of the journal.
func (h *house) lose() {
	h.loss.Lock()
	defer h.loss.Unlock()
	if h.loss.in == 0 {
		return
	}
	if h.loss.in--; h.loss.in > 0 {
		return
	}
	h.relay.giveUp() // nothing reaches Split after it
	h.drawing.Lock()
	defer h.drawing.Unlock()
	h.loss.taken = h.memory.CrashClone(h.random)
}

// over says what the disk had when the power was lost; nil: it was not, and will not
// be. A loss under way is waited for: it would pass for one of a later race, which
// would go on with what the disk had long ago.
func (l *loss) over() (taken *embedded.Memory) {
	l.Lock()
	defer l.Unlock()
	taken, l.in, l.taken = l.taken, 0, nil
	return taken
}

// after makes the power be lost before one of the next calls of the journal.
func (l *loss) after(calls int32) {
	l.Lock()
	defer l.Unlock()
	l.in = calls
}

// race draws when it is, who takes part and what they do.
func (h *house) race(t *rapid.T) {
	if rapid.Bool().Draw(t, "prepared") {
		h.accept(h.drawChange(t)) // due at exactly houseFlush from now
	}
	wait := h.drawInstant(t)
	var racers []racer
	var all []*sent
	for range rapid.IntRange(2, 5).Draw(t, "racers") {
		if rapid.IntRange(0, 2).Draw(t, "posts") > 0 {
			posts := h.drawPosts(t, rapid.IntRange(0, 3).Draw(t, "elsewhere") == 0)
			all = append(all, posts...)
			racers = append(racers, racer{"post", func() error { return h.send(posts) }})
		} else {
			racers = append(racers, h.drawRacer(t))
		}
	}
	if rapid.IntRange(0, 4).Draw(t, "power") == 0 {
		h.loss.after(rapid.Int32Range(1, 12).Draw(t, "loss in"))
	}
	h.run(wait, racers)
	if left := h.loss.over(); left != nil {
		h.revive(left, all)
		return
	}
	h.replayInOrder(all)
}

// drawInstant is how long until something is to happen, or nearly.
func (h *house) drawInstant(t *rapid.T) time.Duration {
	sweep := h.idle - time.Since(h.born)%h.idle
	at := rapid.SampledFrom([]time.Duration{0, houseFlush, houseFlush + houseSlow, houseSlow, houseThrottle, h.timeout, time.Minute, sweep, sweep + h.idle, sweep + 2*h.idle}).Draw(t, "instant")
	return max(0, at+rapid.SampledFrom([]time.Duration{0, 0, 0, -1, 1}).Draw(t, "off by"))
}

func (h *house) drawPosts(t *rapid.T, elsewhere bool) (posts []*sent) {
	for range rapid.IntRange(1, 3).Draw(t, "changes") {
		c := h.drawChange(t)
		posts = append(posts, &sent{change: c, tenant: h.current[c.organisation], elsewhere: elsewhere})
	}
	return posts
}

// drawRacer is somebody who asks, an operator, or a fault.
func (h *house) drawRacer(t *rapid.T) racer {
	at := h.drawPlace(t)
	switch rapid.IntRange(0, 5).Draw(t, "does") {
	case 0:
		return racer{"list", func() error {
			return h.ask(func(ctx context.Context) error { _, err := h.relay.Segments(ctx); return err })
		}}
	case 1:
		return racer{"inspect", func() error {
			return h.ask(func(ctx context.Context) error { _, err := h.relay.Inspect(ctx, h.segment(at)); return err })
		}}
	case 2:
		rule := drawFault(t)
		h.noteFault(rule)
		remove := func() {}
		h.faults = append(h.faults, func() { remove() })
		return racer{"fault", func() error { remove = h.split.Fault(rule); return nil }}
	case 3:
		m, fails := method(rapid.IntRange(0, int(methods)-1).Draw(t, "method")), rapid.Bool().Draw(t, "fails")
		return racer{"trap", func() error { h.faulty.traps[m].set(0, 1, fails && m.answers()); return nil }}
	}
	op := rapid.SampledFrom([]status.Remedy{status.Pause, status.Resume, status.Flush, status.Retry}).Draw(t, "op")
	whole := rapid.Bool().Draw(t, "tenant")
	return racer{fmt.Sprint("operate", op, whole), func() error {
		return h.ask(func(ctx context.Context) error {
			until := time.Now().Add(time.Minute)
			_, err := h.relay.Remedy(ctx, h.wish(at, whole, op, until))
			return err
		})
	}}
}

// ask waits for an answer, which must come: also from actors that crash.
func (h *house) ask(question func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := question(ctx); err != nil && !struck(err) && !refusedWish(err) {
		return err
	}
	return nil
}

// run lets the racers go at the same instant and waits for all of them.
func (h *house) run(wait time.Duration, racers []racer) {
	results := make(chan error, len(racers))
	for _, r := range racers {
		h.note("in %v: %s", wait, r.name)
		go func() {
			time.Sleep(wait)
			if err := r.run(); err != nil {
				results <- fmt.Errorf("%s: %w", r.name, err)
				return
			}
			results <- nil
		}()
	}
	for range racers {
		h.must(<-results)
	}
}

// send hands changes in one after the other, each until it is taken.
func (h *house) send(posts []*sent) error {
	for _, p := range posts {
		h.allowed.note(p.change)
		full := h.full(p.change)
		full.Token, full.Segment.Tenant = p.tenant.Token, p.tenant.ID
		for tries := 0; ; tries++ {
			reply := make(chan error, 1)
			if p.elsewhere {
				h.appendElsewhere(reply, p.tenant, full)
			} else {
				h.relay.Accept(reply, full)
			}
			select {
			case err := <-reply:
				if err == nil {
					p.order = h.order.take(full)
				}
			case <-time.After(10 * time.Second):
				return errors.New("a change was not answered in 10 s")
			}
			if p.order > 0 {
				break
			}
			if tries == 10 {
				return errors.New("a change was refused ten times")
			}
		}
	}
	return nil
}

// acceptElsewhere has the second writer take changes in.
func (h *house) acceptElsewhere(posts []*sent) {
	h.note("the second writer")
	h.must(h.send(posts))
	h.replayInOrder(posts)
}

// appendElsewhere appends a change past the relay, as another node does that shares the
// journal.
func (h *house) appendElsewhere(reply chan<- error, tenant audience.Tenant, c audience.Change) {
	h.elsewhere.PutTenant(tenant)
	h.order.append(h.elsewhere, journal.Append{Tenant: tenant.ID, Done: through(reply), Changes: []journal.Change{
		{Segment: c.Segment, Verb: c.Verb, Keys: c.Keys, Describe: true},
	}})
}

// replayInOrder takes the changes into the model as they came to the journal.
func (h *house) replayInOrder(all []*sent) {
	slices.SortFunc(all, func(a, b *sent) int { return cmp.Compare(a.order, b.order) })
	for _, s := range all {
		h.replay(s.change)
		if !s.elsewhere {
			continue
		}
		for _, key := range s.keys {
			h.unseen[placedKey{s.place, key}] = true
		}
	}
}

// revive goes on with what the disk had when the power was lost. What was answered
// after that was answered by nobody, so all of it is sent again.
func (h *house) revive(left *embedded.Memory, all []*sent) {
	h.note("the power was lost")
	h.stop(0)
	h.memory = left
	time.Sleep(houseRestart)
	h.start()
	for _, s := range all {
		h.accept(s.change)
	}
}

// raceWithAMove moves one tenant's keys to another while both get changes, of keys
// that nobody else has: of the others it would not be known which is the newer.
func (h *house) raceWithAMove(t *rapid.T, old audience.Tenant, organisation string) {
	var racers []racer
	var all []*sent
	for _, tenant := range []audience.Tenant{old, h.current[organisation]} {
		var posts []*sent
		for range rapid.IntRange(0, 3).Draw(t, "changes") {
			h.fresh++
			at := place{organisation, rapid.SampledFrom([]string{"sA", "sB"}).Draw(t, "segment")}
			fresh := change{at, audience.Add, []string{fmt.Sprint("m", h.fresh)}}
			posts = append(posts, &sent{change: fresh, tenant: tenant, elsewhere: rapid.Bool().Draw(t, "elsewhere")})
		}
		all = append(all, posts...)
		racers = append(racers, racer{"post", func() error { return h.send(posts) }})
	}
	racers = append(racers, racer{"move", func() error { return h.move(old, organisation) }})
	h.run(h.drawInstant(t), racers)
	h.replayInOrder(all)
	h.must(h.move(old, organisation)) // what came to the old one after the move began
}
