package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"audiences/audience"
)

// healthEvery is how often the database's health is read.
const healthEvery = 15 * time.Second

// keepHealth reads the database's health now and then, until Close. While the database is
// away the last values stay.
func (j *Journal) keepHealth() {
	ticker := time.NewTicker(healthEvery)
	defer ticker.Stop()
	for {
		if j.away.Load() == nil {
			j.readHealth()
		}
		select {
		case <-j.idling:
			return
		case <-ticker.C:
		}
	}
}

// readHealth asks behind all that may take long. What the database refuses to tell is not
// asked for again before the next time.
func (j *Journal) readHealth() {
	var h health
	var refused error
	err := j.ask(func(ctx context.Context, conn *pgx.Conn) error {
		refused = h.read(ctx, conn, j.hinting.slots())
		return nil
	})
	switch {
	case err != nil: // the journal ends
	case refused != nil:
		j.log.Debug().Err(refused).Msg("the health of the journal's database could not be read")
	default:
		j.metrics.show(h)
	}
}

// health is what of the database concerns all nodes alike, and what this node's tenants wait
// for.
type health struct {
	held              snapshot
	rows, dead        int64 // of pending, as estimated
	index             int64 // bytes of its index
	used, connections int
	stuck             stuck
}

func (h *health) read(ctx context.Context, conn *pgx.Conn, owned audience.Slots) error {
	return pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) (err error) {
		if h.held, err = readSnapshot(ctx, tx); err != nil {
			return err
		}
		if err = h.stuck.read(ctx, tx, owned); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT s.n_live_tup, s.n_dead_tup, pg_indexes_size(s.relid), `+connectionsUsed+` + 1, `+connectionsLimit+`
			FROM pg_stat_user_tables s WHERE s.relid = to_regclass('pending')`).Scan(&h.rows, &h.dead, &h.index, &h.used, &h.connections)
	})
}
