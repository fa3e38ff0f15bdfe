package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// snapshot is the oldest one that keeps dead rows of this database from being cleared away,
// as far as this user may see: sessions of other users show it to members of
// pg_read_all_stats alone.
type snapshot struct {
	by           string        // whose it is, in words
	age          time.Duration // of those with a time: sessions and prepared transactions
	transactions int64         // begun since; of replication slots and standbys as well
}

// readSnapshot leaves VACUUM out, whose own snapshot holds nothing back. Of the tables of a
// database only its own sessions hold rows, but standbys and slots of the whole server.
func readSnapshot(ctx context.Context, tx pgx.Tx) (s snapshot, err error) {
	var seconds float64
	err = tx.QueryRow(ctx, `WITH holder (by, seconds, xid) AS (
			SELECT format('a session (pid %s, %s) has held a snapshot', a.pid, a.state), extract(epoch FROM clock_timestamp() - a.xact_start)::float8,
				greatest(age(a.backend_xmin), age(a.backend_xid))
			FROM pg_stat_activity a WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
				AND coalesce(a.backend_xmin, a.backend_xid) IS NOT NULL AND NOT EXISTS (SELECT 1 FROM pg_stat_progress_vacuum v WHERE v.pid = a.pid)
			UNION ALL
			SELECT format('the prepared transaction %L has been open', p.gid), extract(epoch FROM clock_timestamp() - p.prepared)::float8, age(p.transaction)
			FROM pg_prepared_xacts p WHERE p.database = current_database()
			UNION ALL
			SELECT format('the replication slot %I holds a snapshot', r.slot_name), 0, age(r.xmin) FROM pg_replication_slots r WHERE r.xmin IS NOT NULL
			UNION ALL
			SELECT format('the standby %s holds a snapshot', b.application_name), 0, age(b.backend_xmin) FROM pg_stat_replication b WHERE b.backend_xmin IS NOT NULL)
		SELECT coalesce((SELECT by FROM holder ORDER BY seconds DESC NULLS LAST LIMIT 1), ''), coalesce(max(seconds), 0), coalesce(max(xid), 0)::int8 FROM holder`).
		Scan(&s.by, &seconds, &s.transactions)
	s.age = time.Duration(seconds * float64(time.Second))
	return s, err
}
