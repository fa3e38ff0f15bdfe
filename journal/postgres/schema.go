package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// migrations are the steps from an empty database to the present format; a database of
// format n has had the first n. A step only adds: a program of format n goes on with a
// database of format n + 1, so that the nodes can be replaced one by one. What is no
// longer used is removed by a step of the release after.
var migrations = []string{`
CREATE TABLE node (
	id int PRIMARY KEY,
	name text NOT NULL,
	egress text NOT NULL,
	version text NOT NULL,
	started timestamptz NOT NULL,
	expires timestamptz NOT NULL,
	dead boolean NOT NULL DEFAULT false,
	beat bigint NOT NULL DEFAULT 0,
	leaving boolean NOT NULL DEFAULT false,
	demand double precision NOT NULL DEFAULT 0,
	blocked timestamptz
) WITH (fillfactor = 20, autovacuum_vacuum_threshold = 1000);
CREATE TABLE life (id int PRIMARY KEY, started timestamptz NOT NULL);
CREATE TABLE slot (
	id smallint PRIMARY KEY,
	owner int NOT NULL DEFAULT 0,
	epoch bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 1000);
INSERT INTO slot (id) SELECT generate_series(0, 255);
CREATE TABLE tenant (
	id bytea PRIMARY KEY,
	slot smallint NOT NULL,
	token bytea,
	state json,
	seen timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX tenant_slot ON tenant (slot);
CREATE INDEX tenant_state ON tenant (slot) WHERE state IS NOT NULL;
CREATE TABLE proven (id bytea PRIMARY KEY, slot smallint NOT NULL);
CREATE INDEX proven_slot ON proven (slot);
CREATE TABLE segment (
	id uuid PRIMARY KEY,
	tenant bytea NOT NULL,
	workspace text NOT NULL,
	environment text NOT NULL,
	traffic_type text NOT NULL,
	name text NOT NULL,
	state json,
	seen timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX segment_tenant ON segment (tenant, id);
CREATE INDEX segment_state ON segment (id) WHERE state IS NOT NULL;
CREATE TABLE pending (
	ver bigint NOT NULL,
	segment uuid NOT NULL,
	verb smallint NOT NULL,
	key bytea NOT NULL,
	PRIMARY KEY (segment, key)
) WITH (autovacuum_vacuum_threshold = 50000, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 0,
	autovacuum_vacuum_insert_threshold = 1000000, autovacuum_analyze_threshold = 50000, autovacuum_analyze_scale_factor = 0);
CREATE TABLE parked (
	segment uuid NOT NULL,
	key bytea NOT NULL,
	verb smallint NOT NULL,
	refusal json NOT NULL,
	PRIMARY KEY (segment, key)
);
CREATE TABLE hint (
	slot smallint NOT NULL,
	segment uuid NOT NULL,
	PRIMARY KEY (slot, segment)
) WITH (autovacuum_vacuum_threshold = 1000);
CREATE UNLOGGED TABLE wish (
	id uuid PRIMARY KEY,
	node int NOT NULL,
	question bytea NOT NULL,
	taken boolean NOT NULL DEFAULT false,
	answer bytea,
	at timestamptz NOT NULL DEFAULT now()
) WITH (autovacuum_vacuum_threshold = 100);
CREATE INDEX wish_node ON wish (node) WHERE NOT taken;
CREATE TABLE event (
	number bigint PRIMARY KEY,
	node int NOT NULL,
	said bigint NOT NULL,
	text bytea NOT NULL,
	UNIQUE (node, said)
);
CREATE TABLE receipt (
	day date NOT NULL,
	segment uuid NOT NULL,
	at timestamptz NOT NULL,
	sequence bigint NOT NULL,
	verb smallint NOT NULL,
	call bigint NOT NULL,
	keys bytea NOT NULL,
	PRIMARY KEY (day, segment, at, sequence)
) PARTITION BY RANGE (day);
ALTER TABLE receipt ALTER COLUMN keys SET STORAGE EXTERNAL;
`}

// formatVersion is the format that this program writes.
var formatVersion = len(migrations)

// migrate brings the database to the present format, once, however many nodes start
// together, and checks that it was written with the same key for tokens.
func migrate(ctx context.Context, conn *pgx.Conn, keyCheck string) error {
	if err := makeMeta(ctx, conn, keyCheck); err != nil {
		return err
	}
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(ctx) }() // without effect after the commit
	var format int
	var check string
	if err := tx.QueryRow(ctx, `SELECT format, key_check FROM meta FOR UPDATE`).Scan(&format, &check); err != nil {
		return err
	}
	switch {
	case check != keyCheck:
		return errors.New("the key in journalKeyFile is not the one that this database's tokens are sealed with; all nodes need the same")
	case format > formatVersion+1:
		return fmt.Errorf("the database has format %d, this program knows up to %d: use a newer program", format, formatVersion+1)
	}
	for ; format < formatVersion; format++ {
		if _, err := tx.Exec(ctx, migrations[format], pgx.QueryExecModeSimpleProtocol); err != nil {
			return fmt.Errorf("make format %d: %w", format+1, err)
		}
		if _, err := tx.Exec(ctx, `UPDATE meta SET format = $1`, format+1); err != nil {
			return err
		}
	}
	return tx.Commit(ctx)
}

// makeMeta makes the first table. The mark is in it from the first format on: a program
// that does not look at it would deliver what was moved elsewhere. Two that do so at once meet in the catalogue's own
// index: one of them fails, and finds it made.
func makeMeta(ctx context.Context, conn *pgx.Conn, keyCheck string) error {
	const statement = `
CREATE TABLE IF NOT EXISTS meta (
	single boolean PRIMARY KEY DEFAULT true CHECK (single),
	format int NOT NULL,
	key_check text NOT NULL,
	nodes int NOT NULL,
	created timestamptz NOT NULL,
	mark jsonb
)`
	var there bool // then the user may have no right to make one
	if err := conn.QueryRow(ctx, `SELECT to_regclass('meta') IS NOT NULL`).Scan(&there); err != nil {
		return err
	}
	var err error
	for n := 0; n < 5 && !there; n++ {
		if _, err = conn.Exec(ctx, statement); !isCode(err, "23505", "42P07", "42710") {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, `INSERT INTO meta (format, key_check, nodes, created) VALUES (0, $1, 0, now()) ON CONFLICT DO NOTHING`, keyCheck)
	return err
}

// isCode reports whether PostgreSQL gave one of these codes.
func isCode(err error, codes ...string) bool {
	var answer *pgconn.PgError
	if !errors.As(err, &answer) {
		return false
	}
	for _, code := range codes {
		if answer.Code == code {
			return true
		}
	}
	return false
}
