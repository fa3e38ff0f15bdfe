package postgres

import (
	"bytes"
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"audiences/audience"
	"audiences/journal"
)

// stepKeys is the most keys that one transaction of a long operation handles.
const stepKeys = 10_000

// Unpark goes in steps; each is a task, so that others of the lane get their turns.
func (j *Journal) Unpark(u journal.Unpark) {
	work := &unparking{j: j, id: idOf(u.Segment), discard: u.Discard, done: u.Done}
	if u.Keys != nil {
		work.listed = [][]byte{}
		for key := range u.Keys {
			work.listed = append(work.listed, journal.AppendKey(nil, key))
		}
		slices.SortFunc(work.listed, bytes.Compare)
		work.listed = slices.CompactFunc(work.listed, bytes.Equal)
	}
	work.step()
}

// unparking is an Unpark under way.
type unparking struct {
	audience.Hidden[unparking]
	j       *Journal
	id      segmentID
	discard bool
	done    func(int, error)
	listed  [][]byte // still to do; nil: all that there are
	after   []byte   // where the next step begins, if none are listed
	n       int
}

func (u *unparking) step() {
	more := false
	u.j.laneOf(u.id).put(task{
		do: func(ctx context.Context, conn *pgx.Conn) error {
			var keys []held
			var taken int64
			err := inTransaction(ctx, conn, true, func(tx pgx.Tx) (err error) {
				if keys, err = u.keys(ctx, tx); err == nil {
					taken, err = u.take(ctx, tx, keys)
				}
				return err
			})
			if err != nil {
				return err
			}
			u.n += int(taken)
			more = u.goOn(keys)
			return nil
		},
		done: func(err error) {
			switch {
			case err == nil && more:
				u.step()
			case u.done != nil:
				u.done(u.n, err)
			}
		},
	})
}

// goOn is what follows a step that handled these keys; false: it was the last one.
func (u *unparking) goOn(keys []held) (more bool) {
	if u.listed != nil {
		u.listed = u.listed[min(stepKeys, len(u.listed)):]
		return len(u.listed) > 0
	}
	if len(keys) == stepKeys {
		u.after = keys[stepKeys-1].key
	}
	return len(keys) == stepKeys
}

// keys is what the next step handles.
func (u *unparking) keys(ctx context.Context, tx pgx.Tx) ([]held, error) {
	var rows pgx.Rows
	var err error
	if u.listed == nil {
		rows, err = tx.Query(ctx, `SELECT key, verb FROM parked WHERE segment = $1 AND key > $2 ORDER BY key LIMIT $3`, u.id, orEmpty(u.after), stepKeys)
	} else {
		rows, err = tx.Query(ctx, `SELECT p.key, p.verb FROM unnest($2::bytea[]) AS n (k), parked p WHERE p.segment = $1 AND p.key = n.k ORDER BY p.key`,
			u.id, u.listed[:min(stepKeys, len(u.listed))])
	}
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, heldOf)
}

// take takes the keys out of the parked ones, and makes them pending unless they are given
// up or something newer is pending.
func (u *unparking) take(ctx context.Context, tx pgx.Tx, keys []held) (int64, error) {
	if u.discard {
		taken, err := take(ctx, tx, "parked", u.id, keys)
		return int64(len(taken)), err
	}
	h := handover{table: "parked", from: u.id, to: u.id, version: u.j.newVersion()}
	taken, _, err := h.carryOut(ctx, tx, keys)
	return taken, err
}

// orEmpty is the bytes, which are not null in the database.
func orEmpty(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
