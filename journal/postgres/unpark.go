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
	work.version = j.newVersion()
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
	version journal.Version
	after   []byte // where the next step begins, if none are listed
	n       int
}

func (u *unparking) step() {
	more := false
	u.j.laneOf(u.id).put(task{
		do: func(ctx context.Context, conn *pgx.Conn) error {
			keys, err := u.keys(ctx, conn)
			if err != nil {
				return err
			}
			n := 0
			err = inTransaction(ctx, conn, true, func(tx pgx.Tx) (err error) {
				n, err = u.move(ctx, tx, keys)
				return err
			})
			if err != nil {
				return err
			}
			u.n += n
			if more = len(keys) == stepKeys; more && u.listed == nil {
				u.after = keys[stepKeys-1]
			}
			if u.listed != nil {
				u.listed = u.listed[len(keys):]
				more = len(u.listed) > 0
			}
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

// keys is what the next step handles.
func (u *unparking) keys(ctx context.Context, conn *pgx.Conn) ([][]byte, error) {
	if u.listed != nil {
		return u.listed[:min(stepKeys, len(u.listed))], nil
	}
	rows, err := conn.Query(ctx, `SELECT key FROM parked WHERE segment = $1 AND key > $2 ORDER BY key LIMIT $3`, u.id, orEmpty(u.after), stepKeys)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[[]byte])
}

// move takes the keys out of the parked ones, and makes them pending unless something newer
// is. Rows are locked in the order in which Append locks them: pending ones first.
func (u *unparking) move(ctx context.Context, tx pgx.Tx, keys [][]byte) (int, error) {
	if !u.discard {
		_, err := tx.Exec(ctx, `INSERT INTO pending (segment, key, ver, verb)
			SELECT p.segment, p.key, $3, p.verb FROM unnest($2::bytea[]) AS n (k), parked p WHERE p.segment = $1 AND p.key = n.k
			ON CONFLICT DO NOTHING`, u.id, keys, int64(u.version))
		if err != nil {
			return 0, err
		}
	}
	tag, err := tx.Exec(ctx, `DELETE FROM parked p USING unnest($2::bytea[]) AS n (k) WHERE p.segment = $1 AND p.key = n.k`, u.id, keys)
	return int(tag.RowsAffected()), err
}

// orEmpty is the bytes, which are not null in the database.
func orEmpty(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
