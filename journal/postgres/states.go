package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"audiences/audience"
	"audiences/journal"
)

// errNotOwner is why a state is not written: another node owns the tenant by now.
var errNotOwner = errors.New("another node owns this tenant by now")

// owner is a condition of statements whose first parameters are the slot and this node: it
// is the slot's owner, and stays so until the statement is committed. So whoever owns it next
// sees what was written.
const owner = ` EXISTS (SELECT 1 FROM slot WHERE id = $1 AND owner = $2 FOR SHARE) `

// stateOf is the record of a state; nil: it is the zero one.
func stateOf(state any, zero bool) ([]byte, error) {
	if zero {
		return nil, nil
	}
	return json.Marshal(state)
}

// inTime is a condition of statements whose third parameter is until when this node waits for
// them. One that the network delivers later than that must not undo a newer state, which was
// written by another connection.
const inTime = ` clock_timestamp() < $3 AND`

// deadline is until when this node waits for a statement of a lane that it sends now.
func (j *Journal) deadline() time.Time { return j.clock.at(time.Now()).Add(laneTime) }

// SetSegmentState writes the state, unless this node no longer owns the tenant.
func (j *Journal) SetSegmentState(s audience.Segment, state journal.SegmentState, done func(error)) {
	id := idOf(s)
	j.laneOf(id).put(task{done: done, do: func(ctx context.Context, conn *pgx.Conn) error {
		record, err := stateOf(state, state == journal.SegmentState{})
		if err != nil {
			return err
		}
		tag, err := conn.Exec(ctx, `INSERT INTO segment (id, tenant, workspace, environment, traffic_type, name, state)
			SELECT $4, $5, $6, $7, $8, $9, $10 WHERE`+inTime+owner+`ON CONFLICT (id) DO UPDATE SET state = EXCLUDED.state`,
			int16(s.Tenant.Slot()), int64(j.self), j.deadline(), id, s.Tenant[:], s.Workspace, s.Environment, s.TrafficType, s.Name, record)
		return j.written(ctx, conn, s.Tenant.Slot(), tag, err)
	}})
}

// SetTenantState does the same for a tenant.
func (j *Journal) SetTenantState(id audience.TenantID, state journal.TenantState, done func(error)) {
	j.laneOf(segmentID(id)).put(task{done: done, do: func(ctx context.Context, conn *pgx.Conn) error {
		record, err := stateOf(state, state == journal.TenantState{})
		if err != nil {
			return err
		}
		tag, err := conn.Exec(ctx, `INSERT INTO tenant (id, slot, state) SELECT $4, $1, $5 WHERE`+inTime+owner+`
			ON CONFLICT (id) DO UPDATE SET state = EXCLUDED.state`, int16(id.Slot()), int64(j.self), j.deadline(), id[:], record)
		return j.written(ctx, conn, id.Slot(), tag, err)
	}})
}

// written is why a statement wrote no state: errNotOwner, or that it came too late by what this
// node knows of the database's clock, and has to be tried again.
func (j *Journal) written(ctx context.Context, conn *pgx.Conn, slot audience.Slot, tag pgconn.CommandTag, err error) error {
	if err != nil || tag.RowsAffected() > 0 {
		return err
	}
	var owns bool
	if err := conn.QueryRow(ctx, `SELECT`+owner, int16(slot), int64(j.self)).Scan(&owns); err != nil {
		return err
	}
	if owns {
		return errLate
	}
	return errNotOwner
}

// Prove notes that Split took keys of the tenant.
func (j *Journal) Prove(id audience.TenantID) {
	j.laneOf(segmentID(id)).put(task{do: func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `INSERT INTO proven (id, slot) VALUES ($1, $2) ON CONFLICT DO NOTHING`, id[:], int16(id.Slot()))
		return err
	}})
}

// Forget does nothing: another node may be about to write keys of the segment, and counts
// on its row. Rows that nobody needs go later, see tidy.go.
func (j *Journal) Forget(audience.Segment) {}

// NoteEvent keeps an event, and drops the one that it replaces. It comes after all that there
// are, whatever number it was to have: the other nodes have events of their own. By that
// number this node knows it again, so that one whose answer was lost is not written twice.
func (j *Journal) NoteEvent(e journal.Event, done func(error)) {
	j.lanes[0].put(task{done: done, do: func(ctx context.Context, conn *pgx.Conn) error {
		for there := false; !there; { // another node may be faster to take the number
			batch, self := &pgx.Batch{}, int64(j.self)
			batch.Queue(`DELETE FROM event WHERE node = $1 AND said = $2`, self, int64(e.Replaces))
			batch.Queue(`INSERT INTO event (number, node, said, text) SELECT greatest($2, (SELECT max(number) + 1 FROM event)), $1, $2, $3
				ON CONFLICT DO NOTHING`, self, int64(e.Number), e.Text)
			batch.Queue(`SELECT EXISTS (SELECT 1 FROM event WHERE node = $1 AND said = $2)`, self, int64(e.Number)).
				QueryRow(func(row pgx.Row) error { return row.Scan(&there) })
			if err := conn.SendBatch(ctx, batch).Close(); err != nil {
				return err
			}
		}
		return nil
	}})
}

// Events lists the last events, of all nodes.
func (j *Journal) Events() iter.Seq2[journal.Event, error] {
	return func(yield func(journal.Event, error) bool) {
		var all []journal.Event
		err := j.ask(func(ctx context.Context, conn *pgx.Conn) error {
			rows, err := conn.Query(ctx, `SELECT number, text FROM (SELECT number, text FROM event ORDER BY number DESC LIMIT $1) last ORDER BY number`, journal.EventsKept)
			if err != nil {
				return err
			}
			all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (e journal.Event, err error) {
				var number int64
				err = row.Scan(&number, &e.Text)
				e.Number = uint64(number)
				return e, err
			})
			return err
		})
		for _, e := range all {
			if !yield(e, nil) {
				return
			}
		}
		if err != nil {
			yield(journal.Event{}, err)
		}
	}
}
