package actors

import (
	"context"
	"slices"

	"audiences/status"

	"github.com/asynkron/protoactor-go/actor"
)

// eventsKept is how many events an operator can look back to.
const eventsKept = 1_000

// chronicle is the actor that keeps the last events, in memory: those of before the start
// are gone.
type chronicle struct {
	last   uint64 // number of the last event; like those of calls they rise over restarts
	events []status.Event
}

// Messages of the chronicle.
type (
	// happened tells of an event; its number is given here.
	happened struct {
		answer
		event status.Event
	}
	// eventsOf is answered when the events are put there.
	eventsOf struct {
		answer
		before uint64 // a number; 0: all
		limit  int
		events *[]status.Event // the newest first
	}
)

func (c *chronicle) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *happened:
		c.last++
		m.event.Number = c.last
		if len(c.events) == eventsKept {
			c.events = slices.Delete(c.events, 0, 1)
		}
		c.events = append(c.events, m.event)
		m.give(nil)
	case *eventsOf:
		for _, event := range slices.Backward(c.events) {
			if len(*m.events) == m.limit {
				break
			}
			if m.before == 0 || event.Number < m.before {
				*m.events = append(*m.events, event)
			}
		}
		m.give(nil)
	}
}

// Events are the last ones with a number below before, the newest first, at most limit;
// before 0: the last ones of all.
func (r *Relay) Events(ctx context.Context, before uint64, limit int) (events []status.Event, err error) {
	err = r.askOf(ctx, r.chronicle, func(a answer) any { return &eventsOf{answer: a, before: before, limit: limit, events: &events} })
	return events, err
}

// Note keeps an event that the caller has caused, and returns once it is kept.
func (r *Relay) Note(ctx context.Context, event status.Event) error {
	event.Sentence = status.EventSentence(event)
	return r.askOf(ctx, r.chronicle, func(a answer) any { return &happened{answer: a, event: event} })
}
