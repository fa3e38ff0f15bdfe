//go:build e2e

package postgres

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"audiences/audience"
)

// TestRunbookOfTheDatabase: what docs/runbook.md says of a held snapshot and of the index of
// pending keys. Keys that were delivered while a snapshot was held cost every page that is
// read until it is let go; the index keeps its size after VACUUM, and REINDEX CONCURRENTLY,
// which the relay's user may do while nodes are at work, gives it back.
func TestRunbookOfTheDatabase(t *testing.T) {
	c := newCluster(t)
	j := c.owner()
	s := segment(tenant("token"), "s")
	c.accept(j, s, audience.Add, "1")
	connect := func() *pgx.Conn {
		conn, err := pgx.Connect(t.Context(), c.url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
		return conn
	}
	run := func(on *pgx.Conn, statement string, args ...any) {
		t.Helper()
		if _, err := on.Exec(t.Context(), statement, args...); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	holder, operator := connect(), connect()
	run(operator, `INSERT INTO pending (segment, key, ver, verb) SELECT $1, ('k' || n)::bytea, 1, 1 FROM generate_series(1, 100000) n`, idOf(s))
	run(holder, `BEGIN ISOLATION LEVEL REPEATABLE READ`)
	run(holder, `SELECT count(*) FROM pending`)
	run(operator, `DELETE FROM pending WHERE key <> 'k99999'`)
	run(operator, `VACUUM pending`)
	blocks := func() int64 {
		t.Helper()
		read := func() int64 { // of the index and the table, by all so far
			run(operator, `SELECT pg_stat_force_next_flush()`)
			run(operator, `SELECT pg_stat_clear_snapshot()`)
			return sql[int64](c, `SELECT heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit FROM pg_statio_user_tables WHERE relname = 'pending'`)
		}
		before := read()
		run(operator, `SELECT key, verb, ver FROM pending WHERE segment = $1 ORDER BY key LIMIT 10000`, idOf(s))
		return read() - before
	}
	held := blocks()
	bytes := sql[int64](c, `SELECT pg_indexes_size('pending')`)
	run(holder, `ROLLBACK`)
	run(operator, `VACUUM pending`)
	free := blocks()
	t.Logf("a page of one key reads %d blocks while the snapshot is held, %d after", held, free)
	if held < 20*free {
		t.Errorf("a page reads %d blocks while the snapshot is held, %d after", held, free)
	}
	equal(t, "the index after a drain and VACUUM", sql[int64](c, `SELECT pg_indexes_size('pending')`), bytes)
	run(operator, `REINDEX INDEX CONCURRENTLY pending_pkey`)
	if after := sql[int64](c, `SELECT pg_indexes_size('pending')`); after > bytes/10 {
		t.Errorf("the index has %d bytes, before REINDEX %d", after, bytes)
	}
	c.accept(j, s, audience.Add, "2")
}
