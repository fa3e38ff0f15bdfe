package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// line is one connection to the database, made again where it broke. It belongs to one
// goroutine.
type line struct {
	config  *pgx.ConnConfig
	timeout time.Duration // of all that is done at once
	conn    *pgx.Conn     // nil: there is none
	warned  bool          // the database had something to say beside its last answer
}

// Most and least time between two attempts to connect. Each waits for a random time
// between them, so that the nodes do not come back all at once.
const (
	leastRedial = 50 * time.Millisecond
	mostRedial  = 250 * time.Millisecond
)

// connectTime is how long an attempt to connect takes at most, at each of the servers that the
// URL names. Encryption and password take seven round trips: where the database is far away,
// that is longer than a statement may take.
const connectTime = 5 * time.Second

// parse reads the URL. Modes in which the driver goes by the types of Go, without asking the
// database, are refused: it does not know some of ours.
func parse(url string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(url)
	var file *fs.PathError
	switch {
	case errors.As(err, &file):
		return nil, fmt.Errorf("the URL of journal names a file that cannot be read: %w", file)
	case err != nil:
		return nil, errors.New("journal is no URL of a PostgreSQL database, or a file that it names for TLS holds something else") // the cause would quote it
	}
	if mode := config.DefaultQueryExecMode; mode == pgx.QueryExecModeExec || mode == pgx.QueryExecModeSimpleProtocol {
		return nil, errors.New("default_query_exec_mode in the URL of journal may be cache_describe or describe_exec: with others nothing could be written")
	}
	return config, nil
}

// newLine makes a line on which the database gives up a statement after the timeout, and
// waits for a lock no longer than that. The settings travel in the startup packet, where a
// connection that is made again has them too.
//
// What the database, or the user, is set to does not count: a commit is on the disk when it
// is answered (I1), and who waited for a row sees it as it is then. The plan of a statement
// depends neither on its parameters nor on what the database believes of the tables: every
// statement here is to go from key to key by the indexes, in the order of the keys, in which
// it locks them.
func newLine(config *pgx.ConnConfig, timeout time.Duration) *line {
	config = config.Copy()
	ms := strconv.FormatInt(timeout.Milliseconds(), 10)
	set := func(name, value string) {
		if _, given := config.RuntimeParams[name]; !given {
			config.RuntimeParams[name] = value
		}
	}
	set("application_name", "audiences")
	set("statement_timeout", ms)
	set("lock_timeout", ms)
	set("idle_in_transaction_session_timeout", "10000")
	// Where a node is cut off in the middle of a statement, its session holds locks until the
	// server notices.
	set("tcp_keepalives_idle", "5")
	set("tcp_keepalives_interval", "2")
	set("tcp_keepalives_count", "3")
	set("synchronous_commit", "on")
	set("default_transaction_isolation", "read committed")
	set("plan_cache_mode", "force_generic_plan")
	// Where a plan has no other way, one that is switched off makes it look so dear that
	// PostgreSQL would compile it, which takes ten times as long as the statement.
	set("jit", "off")
	for _, way := range []string{"seqscan", "bitmapscan", "hashjoin", "mergejoin"} {
		set("enable_"+way, "off")
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTime
	}
	l := &line{config: config, timeout: timeout}
	config.OnNotice = func(_ *pgconn.PgConn, said *pgconn.Notice) {
		l.warned = l.warned || said.SeverityUnlocalized == "WARNING"
	}
	return l
}

// errPooler is why a connection is of no use.
var errPooler = errors.New("the connection does not have the settings that were asked for, as behind a pooler: connect to the database itself")

// checkSettings finds out whether the settings have reached the database.
func (l *line) checkSettings(ctx context.Context, conn *pgx.Conn) error {
	var reached bool
	err := conn.QueryRow(ctx, `SELECT current_setting('plan_cache_mode') = $1 AND current_setting('statement_timeout') <> '0'`,
		l.config.RuntimeParams["plan_cache_mode"]).Scan(&reached)
	if err == nil && !reached {
		err = errPooler
	}
	return err
}

// do calls f with the connection. After the timeout, and where the answer does not come, it
// gives the connection up.
func (l *line) do(ctx context.Context, f func(context.Context, *pgx.Conn) error) error {
	return l.doWithin(ctx, l.timeout, f)
}

// doWithin is do with a timeout of its own, which f has to tell the database of.
func (l *line) doWithin(ctx context.Context, timeout time.Duration, f func(context.Context, *pgx.Conn) error) error {
	const grace = 250 * time.Millisecond // the database is to give up first: it says why
	if l.conn == nil {
		conn, err := pgx.ConnectConfig(ctx, l.config)
		if err != nil {
			return fmt.Errorf("connect: %w", withoutAddress(err))
		}
		l.conn = conn
	}
	limited, cancel := context.WithTimeout(ctx, timeout+grace)
	defer cancel()
	l.warned = false
	err := f(limited, l.conn)
	if l.conn.IsClosed() || isCode(err, "25006", "57P01", "57P02", "57P03") {
		l.drop() // it is gone, it ends, or it leads to a server that became a standby
	}
	return err
}

// withoutAddress is the error of a connect without the database's address and user, which
// the driver prints in full and which belong in no answer.
func withoutAddress(err error) error {
	var failed interface{ Unwrap() error }
	if errors.As(err, &failed) && failed.Unwrap() != nil {
		return failed.Unwrap()
	}
	return err
}

// drop gives the connection up.
func (l *line) drop() {
	if l.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_ = l.conn.Close(ctx)
	l.conn = nil
}

// pause waits before the next attempt, or until ctx ends.
func pause(ctx context.Context) {
	select {
	case <-time.After(leastRedial + rand.N(mostRedial-leastRedial)):
	case <-ctx.Done():
	}
}
