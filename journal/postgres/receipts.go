package postgres

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"audiences/audience"
	"audiences/journal"
	"audiences/journal/ordered"
)

// blockKeys is how many keys one receipt has at most.
const blockKeys = 4096

// receipt is what one Settle leaves: blocks of packed keys, in the transaction of the
// settle.
type receipt struct {
	audience.Hidden[receipt]
	id        segmentID
	at        time.Time
	verb      audience.Verb
	call      uint64
	sequences []int64
	blocks    [][]byte
}

// receiptOf packs what is settled; nil: no receipt is kept.
func (j *Journal) receiptOf(s journal.Settle, chosen *selected) *receipt {
	if j.o.ReceiptsMaxAge == 0 || s.Receipt.At.IsZero() {
		return nil
	}
	r := &receipt{id: idOf(s.Segment), at: s.Receipt.At.UTC(), verb: s.Receipt.Verb, call: s.Receipt.Call}
	left := ordered.Of(func(yield func(audience.Key) bool) {
		for _, encoded := range chosen.keys {
			if key, err := journal.DecodeKey(encoded); err == nil && !yield(key) { // it was encoded here
				return
			}
		}
	})
	for left.Len() > 0 {
		var some ordered.Keys
		some, left = left.Cut(blockKeys)
		r.blocks, r.sequences = append(r.blocks, some.Pack()), append(r.sequences, int64(j.self)<<32|j.sequence.Add(1))
	}
	return r
}

func (r *receipt) write(ctx context.Context, tx pgx.Tx) error {
	if r == nil {
		return nil
	}
	_, err := tx.Exec(ctx, `INSERT INTO receipt (day, segment, at, sequence, verb, call, keys)
		SELECT ($2::timestamptz AT TIME ZONE 'utc')::date, $1, $2, s, $3, $4, k FROM unnest($5::int8[], $6::bytea[]) AS n (s, k)`,
		r.id, r.at, int16(r.verb), int64(r.call), r.sequences, r.blocks)
	return err
}

// daysAhead is how many days have their partition before they come.
const daysAhead = 7

// makeDays makes the partitions of the coming days, and removes those that are too old.
func (j *Journal) makeDays(ctx context.Context, conn *pgx.Conn) error {
	if j.o.ReceiptsMaxAge == 0 {
		return nil
	}
	today := j.clock.at(time.Now()).UTC().Truncate(24 * time.Hour)
	for day := -1; day <= daysAhead; day++ {
		from := today.AddDate(0, 0, day)
		_, err := conn.Exec(ctx, fmt.Sprintf(`CREATE TABLE IF NOT EXISTS %s PARTITION OF receipt FOR VALUES FROM ('%s') TO ('%s')`,
			partitionOf(from), from.Format(time.DateOnly), from.AddDate(0, 0, 1).Format(time.DateOnly)))
		if err != nil && !isCode(err, "42P07", "23505", "42710", "42P17") { // another node makes it at the same time
			return err
		}
	}
	days, err := partitions(ctx, conn)
	if err != nil {
		return err
	}
	for _, day := range days {
		if today.Sub(day) > j.o.ReceiptsMaxAge+24*time.Hour {
			if _, err := conn.Exec(ctx, `DROP TABLE IF EXISTS `+partitionOf(day)); err != nil {
				return err
			}
		}
	}
	return nil
}

const partitionPrefix = "receipt_"

func partitionOf(day time.Time) string { return partitionPrefix + day.Format("20060102") }

// partitions are the days that have one.
func partitions(ctx context.Context, conn *pgx.Conn) (days []time.Time, err error) {
	rows, err := conn.Query(ctx, `SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'receipt'::regclass`)
	if err != nil {
		return nil, err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	for _, name := range names {
		if day, bad := time.Parse(partitionPrefix+"20060102", name); bad == nil {
			days = append(days, day)
		}
	}
	return days, err
}

// findReceipts looks for a key in the receipts of one segment on one day, the newest first.
func findReceipts(ctx context.Context, conn *pgx.Conn, day time.Time, segment audience.Segment, key audience.Key) (seen []journal.Sighting, err error) {
	rows, err := conn.Query(ctx, `SELECT at, verb, call, keys FROM receipt WHERE day = $1 AND segment = $2 ORDER BY at DESC, sequence DESC`, day, idOf(segment))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var at time.Time
		var verb int16
		var call int64
		var packed []byte
		if err := rows.Scan(&at, &verb, &call, &packed); err != nil {
			return nil, err
		}
		has, err := ordered.PackedHas(bytes.Clone(packed), key)
		if err != nil {
			return seen, err
		}
		if has {
			seen = append(seen, journal.Sighting{Segment: segment, State: journal.Delivered, Verb: audience.Verb(verb), At: at.UTC(), Call: uint64(call)})
		}
	}
	return seen, rows.Err()
}
