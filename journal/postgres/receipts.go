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

// keepName has the segment's row stay for as long as its receipts: a search finds them by it.
// It is for the beginning of a transaction, as Append locks such rows first.
func (r *receipt) keepName(ctx context.Context, tx pgx.Tx) error {
	if r == nil {
		return nil
	}
	_, err := tx.Exec(ctx, `UPDATE segment SET seen = now() WHERE id = $1 AND seen < now() - $2::interval`, r.id, freshFor)
	return err
}

// write keeps the receipt, on a day that has a partition, however wrong the clock of this
// node is, and however long the settle had to wait. Where the answer to a settle was lost,
// and it is repeated, it is there already.
func (r *receipt) write(ctx context.Context, tx pgx.Tx) error {
	if r == nil {
		return nil
	}
	_, err := tx.Exec(ctx, `INSERT INTO receipt (day, segment, at, sequence, verb, call, keys)
		SELECT greatest(today - $7::int, least(today + $8::int, ($2::timestamptz AT TIME ZONE 'utc')::date)), $1, $2, s, $3, $4, k
		FROM (SELECT (now() AT TIME ZONE 'utc')::date) AS d (today), unnest($5::int8[], $6::bytea[]) AS n (s, k)
		ON CONFLICT DO NOTHING`,
		r.id, r.at, int16(r.verb), int64(r.call), r.sequences, r.blocks, daysBehind, daysAhead)
	return err
}

// daysAhead is how many days have their partition before they come, daysBehind how many that
// were over when the first node began have one.
const (
	daysAhead  = 7
	daysBehind = 1
)

// makeDays makes the partitions of the coming days, and removes those that are too old.
func (j *Journal) makeDays(ctx context.Context, conn *pgx.Conn) error {
	if j.o.ReceiptsMaxAge == 0 {
		return nil
	}
	today := j.clock.at(time.Now()).UTC().Truncate(24 * time.Hour)
	for day := -daysBehind; day <= daysAhead; day++ {
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
