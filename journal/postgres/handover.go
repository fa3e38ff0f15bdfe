package postgres

import (
	"bytes"
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"audiences/audience"
	"audiences/journal"
)

// handover makes keys that are pending or parked in one segment pending in another one, or
// in the same, unless they have something newer there.
//
// Rows are locked in the order in which Append locks them: pending ones by segment and key,
// then parked ones. So the keys are given before they are taken, by what a page showed of
// them; what turns out to be otherwise when they are taken is put right, in the same
// transaction.
type handover struct {
	audience.Hidden[handover]
	table    string // pending or parked, where they are taken
	from, to segmentID
	version  journal.Version // that they get, and no others: by it they are known again
	spare    bool            // what is parked in to is newer
}

// held is a key as it is in a table.
type held struct {
	audience.Hidden[held]
	key  []byte
	verb int16
}

func heldOf(row pgx.CollectableRow) (h held, err error) {
	err = row.Scan(&h.key, &h.verb)
	return h, err
}

func split(all []held) (keys [][]byte, verbs []int16) {
	for _, h := range all {
		keys, verbs = append(keys, h.key), append(verbs, h.verb)
	}
	return keys, verbs
}

// page is the next keys.
func (h *handover) page(ctx context.Context, tx pgx.Tx) ([]held, error) {
	query := `SELECT key, verb FROM ` + h.table + ` WHERE segment = $1 ORDER BY key LIMIT $2`
	if h.table == "pending" && bytes.Compare(h.from[:], h.to[:]) < 0 {
		query += ` FOR UPDATE` // their turn is before those of to
	}
	rows, err := tx.Query(ctx, query, h.from, stepKeys)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, heldOf)
}

// carryOut hands the keys over. It returns how many are taken, and how many of them given.
func (h *handover) carryOut(ctx context.Context, tx pgx.Tx, keys []held) (taken, given int64, err error) {
	if given, err = h.give(ctx, tx, keys); err != nil {
		return 0, 0, err
	}
	got, err := take(ctx, tx, h.table, h.from, keys)
	if err != nil {
		return 0, 0, err
	}
	gone, changed := differences(keys, got)
	undone, err := h.correct(ctx, tx, gone, changed)
	return int64(len(got)), given - undone, err
}

// give makes the keys pending in to.
func (h *handover) give(ctx context.Context, tx pgx.Tx, all []held) (int64, error) {
	keys, verbs := split(all)
	given, err := tx.Exec(ctx, `INSERT INTO pending (segment, key, ver, verb)
		SELECT $1, k, $2, v FROM unnest($3::bytea[], $4::int2[]) AS n (k, v) ON CONFLICT DO NOTHING`, h.to, int64(h.version), keys, verbs)
	if err != nil || !h.spare {
		return given.RowsAffected(), err
	}
	// A statement of its own also sees what was parked while the one above waited for a row.
	spared, err := tx.Exec(ctx, `DELETE FROM pending p USING unnest($3::bytea[]) AS n (k) WHERE p.segment = $1 AND p.key = n.k AND p.ver = $2
		AND EXISTS (SELECT 1 FROM parked q WHERE q.segment = $1 AND q.key = n.k)`, h.to, int64(h.version), keys)
	return given.RowsAffected() - spared.RowsAffected(), err
}

// take deletes keys from a table and returns those that were there, as they were.
func take(ctx context.Context, tx pgx.Tx, table string, from segmentID, all []held) ([]held, error) {
	keys, _ := split(all)
	rows, err := tx.Query(ctx, `DELETE FROM `+table+` p USING unnest($2::bytea[]) AS n (k) WHERE p.segment = $1 AND p.key = n.k RETURNING p.key, p.verb`, from, keys)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, heldOf)
}

// differences are the keys that somebody else took after they were read, and those that got
// another verb.
func differences(read, taken []held) (gone, changed []held) {
	byKey := func(a, b held) int { return bytes.Compare(a.key, b.key) }
	slices.SortFunc(taken, byKey)
	for _, r := range read {
		switch at, found := slices.BinarySearchFunc(taken, r, byKey); {
		case !found:
			gone = append(gone, r)
		case taken[at].verb != r.verb:
			changed = append(changed, taken[at])
		}
	}
	return gone, changed
}

// correct takes back what was given of keys that are gone, and gives the others their verb.
func (h *handover) correct(ctx context.Context, tx pgx.Tx, gone, changed []held) (undone int64, err error) {
	if keys, _ := split(gone); len(keys) > 0 {
		tag, err := tx.Exec(ctx, `DELETE FROM pending p USING unnest($3::bytea[]) AS n (k) WHERE p.segment = $1 AND p.key = n.k AND p.ver = $2`, h.to, int64(h.version), keys)
		if err != nil {
			return 0, err
		}
		undone = tag.RowsAffected()
	}
	if keys, verbs := split(changed); len(keys) > 0 {
		_, err = tx.Exec(ctx, `UPDATE pending p SET verb = n.v FROM unnest($3::bytea[], $4::int2[]) AS n (k, v) WHERE p.segment = $1 AND p.key = n.k AND p.ver = $2`, h.to, int64(h.version), keys, verbs)
	}
	return undone, err
}
