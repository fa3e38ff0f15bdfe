package embedded

import (
	"encoding/binary"
	"iter"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"audiences/journal"
)

// NoteEvent keeps an event, and lets the oldest go, and the one that it replaces. done gets
// nil once it is durable.
func (j *Journal) NoteEvent(e journal.Event, done func(error)) {
	j.submit(operation{
		durable: true,
		done:    orIgnore(done),
		stage: func(b *pebble.Batch) {
			set(b, eventKey(e.Number), e.Text)
			if at := slices.Index(j.events, e.Replaces); at >= 0 && e.Replaces != 0 {
				del(b, eventKey(e.Replaces))
				j.events = slices.Delete(j.events, at, at+1)
			}
			for j.events = append(j.events, e.Number); len(j.events) > journal.EventsKept; j.events = j.events[1:] {
				del(b, eventKey(j.events[0]))
			}
		},
	})
}

// Events lists the events that are kept, the oldest first.
func (j *Journal) Events() iter.Seq2[journal.Event, error] {
	return func(yield func(journal.Event, error) bool) {
		from, release := j.snapshot()
		if from == nil {
			yield(journal.Event{}, journal.ErrClosed)
			return
		}
		defer release()
		err := scan(from, []byte{prefixEvent}, journal.Cursor{}, func(number, text []byte) (bool, error) {
			if len(number) != 8 {
				return false, errBadRecord
			}
			return yield(journal.Event{Number: binary.BigEndian.Uint64(number), Text: append([]byte(nil), text...)}, nil), nil
		})
		if err != nil {
			yield(journal.Event{}, err)
		}
	}
}

// readEvents reads which events there are, for those to go that are too many. The journal
// opens whatever it finds.
func (j *Journal) readEvents() {
	for e, err := range j.Events() {
		if err != nil {
			j.log.Error().Err(err).Msg("damaged journal: not all events of before the start can be read")
			return
		}
		j.events = append(j.events, e.Number)
	}
}

func eventKey(number uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{prefixEvent}, number)
}
