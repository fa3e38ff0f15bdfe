package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"audiences/audience"
	"audiences/journal"
	"audiences/status"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"
)

// Errors that Accept and the operator's methods answer with, beside those of the
// journal. On any error of Accept the change may or may not have become durable (I1): the
// caller must be told to send it again.
var (
	ErrCrashed  = errors.New("the actor that had the message in hand crashed")
	errDraining = errors.New("the relay is stopping") // of Ready as well
	errNotMoved = errors.New("the move was given up") // of Move alone
)

// errReplaying is what Ready says at first.
var errReplaying = errors.New("pending segments are still being read from the journal")

// SegmentView is what one segment shows of itself: counts, never keys.
type SegmentView struct {
	Segment audience.Segment
	Adds    int // keys to add, held in memory or in flight
	Deletes int // keys to delete, held in memory or in flight
	Stored  int // keys that are in the journal alone; an upper bound once they are counted

	Uncounted bool // they are being counted, after a start: Stored may be less than there is

	Phase status.Phase // what the segment is about
}

// Relay is the door to the actors.
type Relay struct {
	*settings
	system    *actor.ActorSystem
	registry  *actor.PID
	newsdesk  *actor.PID
	history   *actor.PID
	chronicle *actor.PID

	giveUp      context.CancelFunc // ends the calls under way
	bringing    context.Context    // ends when nothing more is brought back from the journal
	endBringing context.CancelFunc
	replays     sync.WaitGroup
	placing     inTurn
	ready       atomic.Pointer[error]
	left        int // see Left
}

// goOn is what a parent does about a child that panicked: a restart by the library
// would stop the child's own children and lose what is in their mailboxes. The
// registry and the tenants hold no keys and go on as they were; a segment's memory
// may be spoilt, and its cell has dropped it already.
var goOn = actor.NewOneForOneStrategy(0, 0, func(any) actor.Directive { return actor.ResumeDirective })

// Start starts the actors and begins to bring back what the journal holds,
// which goes on in the background: changes are accepted at once, Ready tells
// when all pending segments are active.
func Start(o Options) *Relay {
	ctx, giveUp := context.WithCancel(context.Background())
	r := &Relay{settings: newSettings(ctx, o), giveUp: giveUp}
	r.bringing, r.endBringing = context.WithCancel(ctx)
	r.ready.Store(&errReplaying)
	r.system = actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(zerolog.NewSlogHandler(o.Logger.Level(zerolog.WarnLevel))).WithGroup("actor")
	}))
	r.system.EventStream.Subscribe(r.undelivered)
	r.openDesk()
	if o.Sharing != nil { // what is this node's, Claim says
		r.ready.Store(new(error))
		r.spawn(newRegistry(r.settings, map[audience.TenantID]journal.TenantState{}, map[audience.TenantID]struct{}{}))
		return r
	}
	all := audience.AllSlots()
	tenants, _ := r.readTenants(all) // the log tells of what cannot be read
	proven := r.readProven(all)
	r.spawn(newRegistry(r.settings, statesOf(tenants), proven))
	r.replays.Go(func() {
		r.replay(r.bringing, replaying{slots: all, tenants: tenants, proven: maps.Clone(proven), cause: replayed})
	})
	return r
}

// openDesk starts the actors that write of what changes, and keep the calls and events of
// the past.
func (r *Relay) openDesk() {
	desk, past := newNewsdesk(r.settings), newHistory()
	r.newsdesk = r.spawnBeside("newsdesk", func() actor.Actor { return desk })
	r.history = r.spawnBeside("history", func() actor.Actor { return past })
	r.chronicle = r.spawnBeside("chronicle", func() actor.Actor { return newChronicle(r.settings) })
	r.chronicled = func(m *happened) { r.system.Root.Send(r.chronicle, m) }
	r.desk = func(n *news) { r.system.Root.Send(r.newsdesk, n) }
	r.past = func(message any) { r.system.Root.Send(r.history, message) }
}

// spawnBeside starts an actor that no change passes through.
func (r *Relay) spawnBeside(name string, produce actor.Producer) *actor.PID {
	pid, err := r.system.Root.SpawnNamed(actor.PropsFromProducer(produce, actor.WithGuardian(goOn)), name)
	if err != nil {
		panic(fmt.Sprintf("spawn %s: %v", name, err)) // as with the registry
	}
	return pid
}

// spawn starts the registry's actor.
func (r *Relay) spawn(registry *registry) {
	props := actor.PropsFromProducer(func() actor.Actor { return registry },
		actor.WithMailbox(actor.Unbounded(registry.lateRefusal)), actor.WithGuardian(goOn), actor.WithSupervisor(goOn))
	pid, err := r.system.Root.SpawnNamed(props, "registry")
	if err != nil {
		panic(fmt.Sprintf("spawn registry: %v", err)) // the first actor of a new system: its name is free
	}
	r.registry = pid
}

// undelivered answers what came after the actors had stopped, so that nobody waits
// in vain.
func (r *Relay) undelivered(event any) {
	letter, ok := event.(*actor.DeadLetterEvent)
	if !ok {
		return
	}
	r.metrics.undelivered.Inc()
	refuse(letter.Message, errDraining)
}

// Accept accepts changes of one tenant, at least one, in their order, and all of them or
// none; it returns at once. reply, which must have room for one value, gets nil once
// they are durable (I1), or an error.
func (r *Relay) Accept(reply chan<- error, changes ...audience.Change) {
	came := changes[0].Came
	if came.IsZero() {
		came = time.Now()
	}
	r.system.Root.Send(r.registry, &accept{changes: changes, came: came, answer: answer{reply}})
}

// Ready is nil when every pending segment of the journal is active again, or known
// to wait for its tenant's turn, and no stop has begun; otherwise it is the reason.
func (r *Relay) Ready() error { return *r.ready.Load() }

// Segments lists what all segments hold, in no order. A segment without pending keys may
// be missing.
func (r *Relay) Segments(ctx context.Context) ([]SegmentView, error) {
	asked, err := r.list(ctx, audience.Segment{})
	if err != nil {
		return nil, fmt.Errorf("list segments: %w", err)
	}
	var all []SegmentView
	for _, l := range asked.all() {
		all = append(all, l.views...)
	}
	return all, nil
}

// ask sends the registry a message and waits for the answer.
func (r *Relay) ask(ctx context.Context, message func(answer) any) error {
	done := make(chan error, 1)
	r.system.Root.Send(r.registry, message(answer{done}))
	return await(ctx, done)
}

func await(ctx context.Context, done <-chan error) error {
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Stop flushes what can be flushed until ctx ends, gives up the calls that are
// under way then, and stops the actors. What is not delivered stays in the
// journal (I3). The caller must have stopped calling Accept, and closes the
// journal afterwards.
func (r *Relay) Stop(ctx context.Context) {
	r.ready.Store(&errDraining)
	r.endBringing()
	r.placing.end()
	replayed := make(chan struct{})
	go func() {
		r.replays.Wait()
		close(replayed)
	}()
	select {
	case <-replayed:
	case <-ctx.Done(): // it reads a damaged disk; what it finds is undelivered now, and stays in the journal
	}
	_ = r.ask(ctx, func(a answer) any { return &drainAll{a} }) // what is not drained then stays in the journal
	r.tellLeft(ctx)
	r.giveUp()
	r.end()
	r.calls.Wait()
	for _, pid := range []*actor.PID{r.newsdesk, r.chronicle} {
		_ = r.system.Root.PoisonFuture(pid).Wait() // behind all that it was told
	}
	if !r.system.IsStopped() { // a second Stop has nothing left to do
		r.system.Shutdown()
	}
}

// Left is how many keys, pending or parked, stayed in the journal when the relay stopped; an
// upper bound. It may be called after Stop.
func (r *Relay) Left() int { return r.left }

// tellLeft tells the log what is not delivered and stays in the journal.
func (r *Relay) tellLeft(ctx context.Context) {
	const patience = time.Second // it is a line of the log
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	views, err := r.Segments(limited)
	if err != nil {
		return
	}
	keys, segments := 0, 0
	for _, v := range views {
		r.left += v.Adds + v.Deletes + v.Stored + v.Phase.Parked
		if n := v.Adds + v.Deletes + v.Stored; n > 0 {
			keys, segments = keys+n, segments+1
		}
	}
	r.Logger.Info().Int("keys", keys).Int("segments", segments).Msg("what is pending stays in the journal")
}

// end ends the actors. The registry ends after its children have, so that none can
// begin a call any more. Should one of them not end by itself, the library stops
// them all: none has anything to lose, everything is in the journal.
func (r *Relay) end() {
	const patience = 10 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := r.ask(ctx, func(a answer) any { return &end{answer: a} }); err != nil {
		_ = r.system.Root.StopFuture(r.registry).Wait()
	}
}
