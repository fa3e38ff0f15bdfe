package postgres

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"

	"audiences/audience"
	"audiences/journal"
)

// selected is a journal.Selection as the database takes it: keys in their order, and the
// versions that are meant of each, from low to high.
type selected struct {
	audience.Hidden[selected]
	keys      [][]byte
	low, high []int64
}

func (j *Journal) selected(s journal.Selection) *selected {
	type one struct {
		key       []byte
		low, high journal.Version
	}
	var all []one
	if s.Keys != nil {
		for key := range s.Keys {
			all = append(all, one{journal.AppendKey(nil, key), journal.MakeVersion(s.NotAfter.Node(), 0), s.NotAfter})
		}
	}
	if s.Drawn != nil {
		for key, version := range s.Drawn {
			all = append(all, one{journal.AppendKey(nil, key), version, version})
		}
	}
	slices.SortFunc(all, func(a, b one) int { return bytes.Compare(a.key, b.key) })
	chosen := &selected{}
	for _, o := range all {
		if j.o.Without.Versions {
			o.low, o.high = 0, 1<<63-1
		}
		chosen.keys, chosen.low, chosen.high = append(chosen.keys, o.key), append(chosen.low, int64(o.low)), append(chosen.high, int64(o.high))
	}
	return chosen
}

// remove deletes the selected keys that are pending with a version that is meant, and
// returns them, and those that are pending with another one.
func (s *selected) remove(ctx context.Context, tx pgx.Tx, id segmentID) (removed [][]byte, newer []audience.Key, err error) {
	rows, err := tx.Query(ctx, `DELETE FROM pending p USING unnest($2::bytea[], $3::int8[], $4::int8[]) AS n (k, low, high)
		WHERE p.segment = $1 AND p.key = n.k AND p.ver BETWEEN n.low AND n.high RETURNING p.key`, id, s.keys, s.low, s.high)
	if err == nil {
		removed, err = pgx.CollectRows(rows, pgx.RowTo[[]byte])
	}
	if err != nil || len(removed) == len(s.keys) {
		return removed, nil, err
	}
	// Whether the others are there with another version, a statement of its own tells: it
	// sees what was committed while the one above waited for a row.
	rows, err = tx.Query(ctx, `SELECT p.key FROM pending p, unnest($2::bytea[]) AS n (k) WHERE p.segment = $1 AND p.key = n.k`, id, without(s.keys, removed))
	if err != nil {
		return nil, nil, err
	}
	encoded, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	if err != nil {
		return nil, nil, err
	}
	newer, err = decodeKeys(encoded)
	return removed, newer, err
}

// without is the keys, which are sorted, but for those that are removed.
func without(keys, removed [][]byte) (rest [][]byte) {
	slices.SortFunc(removed, bytes.Compare)
	for _, key := range keys {
		if _, found := slices.BinarySearchFunc(removed, key, bytes.Compare); !found {
			rest = append(rest, key)
		}
	}
	return rest
}

func decodeKeys(encoded [][]byte) (keys []audience.Key, err error) {
	for _, e := range encoded {
		key, err := journal.DecodeKey(e)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// Settle removes what Split took. It is not durable by itself, see journal.Settle.
func (j *Journal) Settle(s journal.Settle) {
	id, chosen := idOf(s.Segment), j.selected(s.Selection)
	receipt := j.receiptOf(s, chosen)
	var newer []audience.Key
	j.laneOf(id).put(task{
		do: func(ctx context.Context, conn *pgx.Conn) error {
			err := inTransaction(ctx, conn, false, func(tx pgx.Tx) (err error) {
				if err := receipt.keepName(ctx, tx); err != nil {
					return err
				}
				if _, newer, err = chosen.remove(ctx, tx, id); err != nil {
					return err
				}
				return receipt.write(ctx, tx)
			})
			if isCode(err, "23514") { // the day has no partition
				return errors.Join(err, j.makeDays(ctx, conn))
			}
			return err
		},
		done: func(err error) {
			if s.Done != nil {
				s.Done(newer, err)
			}
		},
	})
}

// Park moves what Split refuses for good from pending to parked. A key that is not pending
// any more is left out: here it was settled, or taken away, by somebody else.
func (j *Journal) Park(p journal.Park) {
	p.Refusal.At = p.Refusal.At.UTC()
	id, chosen := idOf(p.Segment), j.selected(p.Selection)
	var newer []audience.Key
	j.laneOf(id).put(task{
		do: func(ctx context.Context, conn *pgx.Conn) error {
			refusal, err := json.Marshal(p.Refusal)
			if err != nil {
				return err
			}
			return inTransaction(ctx, conn, true, func(tx pgx.Tx) error {
				removed, others, err := chosen.remove(ctx, tx, id)
				if err != nil {
					return err
				}
				newer = others
				slices.SortFunc(removed, bytes.Compare)
				_, err = tx.Exec(ctx, `INSERT INTO parked (segment, key, verb, refusal) SELECT $1, k, $3, $4 FROM unnest($2::bytea[]) AS n (k)
					ON CONFLICT (segment, key) DO UPDATE SET verb = EXCLUDED.verb, refusal = EXCLUDED.refusal`, id, removed, int16(p.Verb), refusal)
				return err
			})
		},
		done: func(err error) {
			if p.Done != nil {
				p.Done(newer, err)
			}
		},
	})
}
