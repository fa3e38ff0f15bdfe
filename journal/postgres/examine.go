package postgres

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Examination is what Examine needs.
type Examination struct {
	URL      string
	KeyCheck string        // of the key that tokens are to be sealed with; "": it is not known
	Lease    time.Duration // 0: 3 s
	Receipts bool          // they are to be kept
}

// Examined is what Open would find.
type Examined struct {
	Findings []Finding
	Nodes    []string // the names of the nodes that are at work
}

// examineTime is how long a question of Examine may take. Its connection is the same that a
// relay makes but for that, so that what keeps a relay from connecting keeps Examine.
const examineTime = 5 * time.Second

// Examine looks at what Open needs and what its promises rest on. It writes nothing: each
// question is a transaction that PostgreSQL keeps from writing. A question that cannot be
// asked is a finding, and keeps none of the others from being asked. No finding quotes the
// URL.
func Examine(ctx context.Context, e Examination) (found Examined) {
	if e.Lease == 0 {
		e.Lease = 3 * time.Second
	}
	config, err := parse(e.URL)
	if err != nil {
		return Examined{Findings: []Finding{fault("%v", err)}}
	}
	on := newLine(config, examineTime)
	defer on.drop()
	x := &examiner{ctx: ctx, on: on}
	f := &facts{Examination: e}
	x.ask(Fault, "its version", f.readServer)
	if f.version >= leastVersion {
		x.ask(Fault, "how long an answer takes", f.readTrips)
		x.ask(Fault, "its schema", f.readSchema)
		x.ask(Fault, "its tables", f.readTables)
		x.ask(Fault, "the table meta", f.readMeta)
		x.ask(Warning, "its connections", f.readConnections)
		x.ask(Warning, "its standbys", f.readStandbys)
		x.ask(Warning, "its oldest snapshot", f.readSnapshot)
	}
	if f.version == 0 {
		return Examined{Findings: x.failed}
	}
	return Examined{Findings: append(f.findings(), x.failed...), Nodes: f.nodes}
}

// examiner asks one question after the other, until the connection is lost.
type examiner struct {
	ctx    context.Context
	on     *line
	lost   bool
	failed []Finding // of the questions that had no answer
}

func (x *examiner) ask(mark Mark, what string, read func(context.Context, pgx.Tx) error) {
	if x.lost {
		return
	}
	err := x.on.do(x.ctx, func(ctx context.Context, conn *pgx.Conn) error {
		return pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error { return read(ctx, tx) })
	})
	switch {
	case err == nil:
	case x.on.conn == nil:
		x.lost = true
		x.failed = append(x.failed, Finding{Fault, reason(err)})
	default:
		x.failed = append(x.failed, Finding{mark, fmt.Sprintf("%s cannot be read: %s", what, reason(err))})
	}
}

// reason is an error in one line, in which neither the user nor anything secret stands.
func reason(err error) string {
	var answer *pgconn.PgError
	var lookup *net.DNSError
	var untrusted x509.UnknownAuthorityError
	switch {
	case errors.As(err, &answer):
		return refusal(answer)
	case errors.As(err, &lookup):
		return fmt.Sprintf("there is no address for %s: %s", lookup.Name, lookup.Err)
	case errors.As(err, &untrusted):
		return "its certificate is of an authority that this machine does not trust: name that in sslrootcert"
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("no answer within %v", examineTime)
	}
	lines := strings.Split(strings.TrimPrefix(err.Error(), "connect: "), "\n") // one for each host and address
	return strings.Join(slices.Compact(lines), "; ")
}

// refusal is what PostgreSQL says, in words that name nobody.
func refusal(answer *pgconn.PgError) string {
	switch answer.Code {
	case "28P01", "28000":
		return "the login is refused: user or password is wrong, or pg_hba.conf does not let this machine in"
	case "3D000":
		return "there is no database of that name"
	case "42501":
		return "the user lacks a right: " + answer.Message
	case "53300":
		return "no connection is free: " + answer.Message
	case "57P03":
		return "it takes no connections: " + answer.Message
	case "08P01":
		return "a pooler, as it seems, does not take what a relay says at the start: " + answer.Message
	}
	return fmt.Sprintf("%s (%s)", answer.Message, answer.Code)
}

// facts are the answers, which findings judges.
type facts struct {
	Examination
	version  int // as in 150004; 0: it has not answered
	settings map[string]string

	trips []time.Duration // from a question to its answer
	ahead time.Duration   // the database's clock, compared with ours

	schema  string // "": there is none
	owner   bool   // of the schema's right to create
	standby bool
	tables  []tableFacts // those of a relay's tables that are there

	meta     bool // it has a row
	format   int
	keyCheck string
	nodes    []string
	programs []string // the versions of their programs

	used, limit int // connections
	standbys    []standbyFacts
	held        snapshot
}

type tableFacts struct {
	name    string
	lacking []string // rights
	own     bool     // of this user, so that a newer format can be made
}

type standbyFacts struct {
	name  string
	state string // "": this user may not see it
	sync  string // async, potential, sync or quorum; "" as above
}

// looked are the settings that the answers to callers rest on.
var looked = []string{"server_version", "server_encoding", "synchronous_commit", "synchronous_standby_names", "fsync", "full_page_writes",
	"autovacuum", "track_counts", "default_transaction_read_only", "statement_timeout", "plan_cache_mode"}

func (f *facts) readServer(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, `SELECT name, setting FROM pg_settings WHERE name = ANY($1)`, looked)
	if err != nil {
		return err
	}
	f.settings = map[string]string{}
	var name, setting string
	if _, err := pgx.ForEachRow(rows, []any{&name, &setting}, func() error { f.settings[name] = setting; return nil }); err != nil {
		return err
	}
	return tx.QueryRow(ctx, `SELECT pg_is_in_recovery(), current_setting('server_version_num')::int`).Scan(&f.standby, &f.version)
}

// trips is how many round trips are measured.
const trips = 5

func (f *facts) readTrips(ctx context.Context, tx pgx.Tx) error {
	least := time.Hour
	for range trips {
		var said time.Time
		began := time.Now()
		if err := tx.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&said); err != nil {
			return err
		}
		took := time.Since(began)
		f.trips = append(f.trips, took)
		if took < least { // the error of what follows is half of it
			least, f.ahead = took, said.Sub(began.Add(took/2))
		}
	}
	slices.Sort(f.trips)
	return nil
}

func (f *facts) readSchema(ctx context.Context, tx pgx.Tx) error {
	return tx.QueryRow(ctx, `SELECT coalesce(current_schema(), ''), coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)`).Scan(&f.schema, &f.owner)
}

// ourTables are all tables of the present format, in the order in which they are made.
var ourTables = []string{"meta", "node", "life", "slot", "tenant", "proven", "segment", "pending", "parked", "hint", "wish", "event", "receipt"}

func (f *facts) readTables(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, `SELECT c.relname, pg_has_role(c.relowner, 'USAGE'),
			ARRAY(SELECT p FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) p WHERE NOT has_table_privilege(c.oid, p))
		FROM pg_class c WHERE c.oid IN (SELECT to_regclass(t) FROM unnest($1::text[]) t) ORDER BY 1`, ourTables)
	if err != nil {
		return err
	}
	f.tables, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (t tableFacts, err error) {
		err = row.Scan(&t.name, &t.own, &t.lacking)
		return t, err
	})
	return err
}

// has reports whether the table is there, and may be read.
func (f *facts) has(name string) bool {
	return slices.ContainsFunc(f.tables, func(t tableFacts) bool { return t.name == name && !slices.Contains(t.lacking, "SELECT") })
}

func (f *facts) readMeta(ctx context.Context, tx pgx.Tx) error {
	if !f.has("meta") {
		return nil
	}
	err := tx.QueryRow(ctx, `SELECT format, key_check FROM meta`).Scan(&f.format, &f.keyCheck)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // a first start made it and was ended
	}
	if f.meta = err == nil; err != nil || !f.has("node") {
		return err
	}
	rows, err := tx.Query(ctx, `SELECT name, version FROM node WHERE NOT dead AND expires > clock_timestamp() ORDER BY name`)
	if err != nil {
		return err
	}
	var name, version string
	_, err = pgx.ForEachRow(rows, []any{&name, &version}, func() error {
		f.nodes, f.programs = append(f.nodes, name), append(f.programs, version)
		return nil
	})
	return err
}

// connectionsUsed counts the sessions of clients but for this one. Whose they are everybody
// may see, what they do not.
const connectionsUsed = `(SELECT count(*) FROM pg_stat_activity WHERE datid IS NOT NULL AND usesysid IS NOT NULL AND pid <> pg_backend_pid())`

// connectionsLimit is how many there may be of users like this one, by the server's settings;
// reserved_connections is new in version 16.
const connectionsLimit = `(current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
	- coalesce(nullif(current_setting('reserved_connections', true), ''), '0')::int)`

func (f *facts) readConnections(ctx context.Context, tx pgx.Tx) error {
	return tx.QueryRow(ctx, `SELECT `+connectionsUsed+`, `+connectionsLimit).Scan(&f.used, &f.limit)
}

// readStandbys reads who follows this server. The state is told to members of
// pg_read_all_stats alone. Subscribers, which take changes of tables, are no standbys.
func (f *facts) readStandbys(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, `SELECT coalesce(r.application_name, ''), coalesce(r.state, ''), coalesce(r.sync_state, '') FROM pg_stat_replication r
		WHERE NOT EXISTS (SELECT 1 FROM pg_replication_slots s WHERE s.active_pid = r.pid AND s.slot_type = 'logical')
		AND coalesce(r.state, '') <> 'backup' ORDER BY 1`)
	if err != nil {
		return err
	}
	f.standbys, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (s standbyFacts, err error) {
		err = row.Scan(&s.name, &s.state, &s.sync)
		return s, err
	})
	return err
}

func (f *facts) readSnapshot(ctx context.Context, tx pgx.Tx) (err error) {
	f.held, err = readSnapshot(ctx, tx)
	return err
}
