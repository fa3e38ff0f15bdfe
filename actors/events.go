package actors

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"audiences/journal"
	"audiences/status"

	"github.com/asynkron/protoactor-go/actor"
)

// chronicle is the actor that keeps the last events: in memory, and in the journal over
// restarts.
//
// What is gathered for one event is kept in the journal as a draft meanwhile, so that a
// kill loses none of it. A draft is an event there, which the next draft of its kind
// replaces, and at last the event itself; it is shown after a restart alone, as the event
// that did not come about.
type chronicle struct {
	*settings
	last   uint64 // number of the last event; like those of calls they rise over restarts
	events []status.Event
	drafts map[status.EventKind]uint64 // the numbers of those that the journal has
}

func newChronicle(s *settings) *chronicle {
	return &chronicle{settings: s, last: firstCall(time.Now()), drafts: map[status.EventKind]uint64{}}
}

// Messages of the chronicle.
type (
	// happened tells of an event; its number is given here.
	happened struct {
		answer
		event status.Event
		draft bool // it is not shown yet
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
	case *actor.Started:
		c.remember()
	case *happened:
		c.keep(m)
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

// remember reads the events of before the start.
func (c *chronicle) remember() {
	for kept, err := range c.Journal.Events() {
		var event status.Event
		c.last = max(c.last, kept.Number)
		if err == nil {
			event, err = readEvent(kept)
		}
		if err != nil {
			c.Logger.Error().Err(err).Msg("not all events of before the start can be read")
			continue
		}
		c.add(event)
	}
}

func (c *chronicle) add(event status.Event) {
	if len(c.events) == journal.EventsKept {
		c.events = slices.Delete(c.events, 0, 1)
	}
	c.events = append(c.events, event)
}

// keep answers once the event is durable.
func (c *chronicle) keep(m *happened) {
	c.last++
	m.event.Number = c.last
	before := c.drafts[m.event.Kind]
	if m.draft {
		c.drafts[m.event.Kind] = c.last
	} else {
		delete(c.drafts, m.event.Kind)
		c.add(m.event)
	}
	text, err := json.Marshal(m.event)
	if err != nil { // times, numbers and texts alone: a time of the year 10,000
		m.give(err)
		return
	}
	c.Journal.NoteEvent(journal.Event{Number: m.event.Number, Text: text, Replaces: before}, through(m.to))
	m.handed()
}

// Events are the last ones with a number below before, the newest first, at most limit;
// before 0: the last ones of all.
func (r *Relay) Events(ctx context.Context, before uint64, limit int) (events []status.Event, err error) {
	if r.Sharing != nil {
		return r.eventsOfAll(before, limit)
	}
	err = r.askOf(ctx, r.chronicle, func(a answer) any { return &eventsOf{answer: a, before: before, limit: limit, events: &events} })
	return events, err
}

// eventsOfAll are those of all nodes, which the journal has.
func (r *Relay) eventsOfAll(before uint64, limit int) (events []status.Event, err error) {
	for kept, err := range r.Journal.Events() {
		if err != nil {
			return nil, fmt.Errorf("read events: %w", err)
		}
		event, err := readEvent(kept)
		if err == nil && (before == 0 || event.Number < before) {
			events = append(events, event)
		}
	}
	slices.Reverse(events)
	return events[:min(limit, len(events))], nil
}

// readEvent reads an event as it is kept.
func readEvent(kept journal.Event) (event status.Event, err error) {
	err = json.Unmarshal(kept.Text, &event)
	event.Number = kept.Number
	return event, err
}

// Note keeps an event that the caller has caused, and returns once it is kept.
func (r *Relay) Note(ctx context.Context, event status.Event) error {
	event.Sentence = status.EventSentence(event)
	return r.askOf(ctx, r.chronicle, func(a answer) any { return &happened{answer: a, event: event} })
}
