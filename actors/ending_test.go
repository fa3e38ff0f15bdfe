package actors

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"audiences/actors/pace"
	"audiences/audience"
	"audiences/splitclient"

	"github.com/asynkron/protoactor-go/actor"
)

// TestNoTimerAfterStopping: between being told to stop and the end of its
// children an actor still gets messages. A timer that one of them arms outlives
// the actor, and fires into nothing: about once in 30,000 histories of the model
// test that left a goroutine of the actor library behind.
func TestNoTimerAfterStopping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		shared := newSettings(ctx, Options{Journal: &easyJournal{}, Random: func() float64 { return 0 }})
		name := audience.Segment{Name: "s"}

		inAMinute := time.Now().Add(time.Minute)
		tenant := newTenant(shared, audience.Tenant{}, nil, dormantTenant{calls: pace.Kept{Blocked: inAMinute}})
		tenant.calls.Want(name, time.Now())
		registry := newRegistry(shared, nil, nil)
		for _, id := range []audience.TenantID{{}, {1}} {
			registry.records[id] = &pace.Record{Proven: true}
			registry.turns.Ask(id, pace.Proven)
		}
		registry.turns.Take(audience.TenantID{})
		registry.egress.Begin(time.Now())
		registry.egress.Throttled(time.Now(), time.Minute, false, time.Minute, shared.Random)

		system := actor.NewActorSystem()
		for _, message := range []any{&actor.Started{}, &actor.Stopping{}, &callEnded{segment: name, outcome: splitclient.Outcome{}}, &tick{}, &sweep{}} {
			tenant.Receive(&inbox{system: system, message: message})
		}
		for _, message := range []any{&actor.Started{}, &actor.Stopping{}, &slotEnded{}, &tick{}, &sweep{}} {
			registry.Receive(&inbox{system: system, message: message})
		}
		system.Shutdown()

		for what, timer := range map[string]*time.Timer{"tenant's": tenant.timer, "tenant's idle": tenant.sweeper, "tenant's wakeup": tenant.wakeup,
			"registry's": registry.timer, "registry's idle": registry.sweeper, "registry's look": registry.unproven.look.timer} {
			if timer != nil && timer.Stop() {
				t.Errorf("the %s timer is armed", what)
			}
		}
	})
}

// inbox is an actor's context with one message, for what is asked of one here.
type inbox struct {
	actor.Context
	system  *actor.ActorSystem
	message any
}

func (i *inbox) Message() any                    { return i.message }
func (i *inbox) Self() *actor.PID                { return nil }
func (i *inbox) ActorSystem() *actor.ActorSystem { return i.system }
func (i *inbox) Send(*actor.PID, any)            {}
