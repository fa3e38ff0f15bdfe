package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"audiences/audience"
	"audiences/journal"
	"audiences/journal/vault"
	"audiences/placement"
)

// ErrAway refuses changes while the database does not answer.
var ErrAway = errors.New("the journal's database does not answer")

// Options are what Open needs. URL, Vault and Fatal are required.
type Options struct {
	URL     string // postgres://..., see the driver's documentation; it has a password
	Vault   vault.Vault
	Name    string        // what operators call this node
	Egress  string        // which nodes leave through the same address as this one
	Version string        // of the program
	Lease   time.Duration // 0: 3 s

	// Moving opens it to move what it holds to another journal, or the other way: for this
	// node alone, see hold. A mark is no reason to refuse, and no change is ever too late.
	Moving bool

	ReceiptsMaxAge time.Duration // 0: none are kept
	Reasons        []string      // of refusals that have a series from the start; others are shown as "other"

	// Hinted tells of a segment that another node accepted keys for, or that was found to
	// have some; called by one goroutine. nil: nobody is told.
	Hinted func(Hint)
	// Refuse is asked before each change is written: its error is that of the change.
	// nil: nothing is refused.
	Refuse func() error

	Logger     zerolog.Logger
	Registerer prometheus.Registerer // nil: metrics are kept but not registered
	Without    Without               // for tests
}

// Without switches fences off, for the tests that show what each is for.
type Without struct {
	Deadline bool // F1: changes are written however long they have waited
	Versions bool // F2: keys are settled whatever version they have
}

// Journal is the database, as this life of this node sees it. Its methods are those of
// journal.Intake and journal.Keeper, and safe for several goroutines.
type Journal struct {
	o       Options
	log     zerolog.Logger
	vault   vault.Vault
	self    placement.NodeID
	began   time.Time // this life of it, by the database's clock
	lives   lives
	metrics *metrics

	ctx     context.Context // ends when nothing is to be done any more, late in Close
	end     context.CancelFunc
	running sync.WaitGroup
	idling  chan struct{} // closed by Close: what is done now and then ends
	closed  atomic.Bool

	config   *pgx.ConnConfig // of all lines
	clock    clock
	intake   intake
	accept   *line // of the goroutine that commits
	table    *line // of whoever beats
	beating  sync.Mutex
	beats    int64 // so far; beating guards it
	lanes    [laneCount]*lane
	behind   *lane // counts, searches, lists: what may take long
	known    known
	hinting  hinting
	hold     *hold // nil unless it is opened for a move
	away     atomic.Pointer[error]
	sequence atomic.Int64 // of receipts
}

// The timeouts of what the database is asked. Append's is such that a change is written
// within two seconds from when it came, or never (F1): the lambda gives a post up after
// three.
const (
	acceptWithin = time.Second // what has waited for longer is not written
	acceptTime   = time.Second
	laneTime     = 10 * time.Second
	behindTime   = time.Minute
	openTime     = 30 * time.Second
)

// Open connects, brings the tables to the present format, and takes a number for this life
// of the node.
func Open(ctx context.Context, o Options) (*Journal, error) {
	config, err := parse(o.URL)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	if o.Lease == 0 {
		o.Lease = 3 * time.Second
	}
	j := &Journal{o: o, log: o.Logger, vault: o.Vault, metrics: newMetrics(o.Registerer, o.Reasons), idling: make(chan struct{})}
	j.lives.began = map[placement.NodeID]time.Time{}
	j.ctx, j.end = context.WithCancel(context.Background())
	opening := newLine(config, openTime)
	defer opening.drop()
	err = opening.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		if err := opening.checkSettings(ctx, conn); err != nil {
			return err
		}
		if err := migrate(ctx, conn, o.Vault.Check()); err != nil {
			return err
		}
		if err := j.enter(ctx, conn); err != nil {
			return err
		}
		return j.makeDays(ctx, conn)
	})
	if err != nil {
		j.end()
		return nil, fmt.Errorf("open journal: %w", withAdvice(orHeld(err)))
	}
	j.config = config
	j.accept, j.table = newLine(config, acceptTime), newLine(config, o.Lease/2)
	if o.Moving {
		j.accept, j.table = newLine(config, behindTime), newLine(config, openTime)
		if err := j.takeAlone(ctx, config); err != nil {
			j.end()
			return nil, fmt.Errorf("open journal: %w", err)
		}
	}
	j.intake.begin(j)
	j.known = known{segments: map[segmentID]time.Time{}, tenants: map[audience.TenantID]time.Time{}}
	j.lookWhetherBack() // it connects
	j.running.Go(j.commit)
	for i := range j.lanes {
		j.lanes[i] = j.newLane(newLine(config, laneTime))
	}
	j.behind = j.newLane(newLine(config, behindTime))
	j.running.Go(j.keepHints)
	j.running.Go(j.keepTidy)
	j.running.Go(j.keepHealth)
	if o.Moving {
		j.running.Go(j.keepHold)
	}
	return j, nil
}

// withAdvice says what an operator can do about it where the database refuses.
func withAdvice(err error) error {
	const rights = "the user has to own the journal's tables, and needs the right CREATE in their schema"
	switch {
	case isCode(err, "42501"):
		return fmt.Errorf("%w: %s", err, rights)
	case isCode(err, "3F000"):
		return fmt.Errorf("%w: no schema of the user's search_path is there, or the user has no right to use it; %s", err, rights)
	case isCode(err, "08P01"):
		return fmt.Errorf("%w: %w", err, errPooler)
	}
	return err
}

// startTime is how long a start may take until the first beat.
const startTime = time.Minute

// enter takes a number for this life of the node, and puts its row into the table: as of one
// that wants no slots before its first beat, so that the others go on with theirs. All of it
// is one statement: whoever has locked the row of meta knows all nodes that there can be, and
// lives come into sight in the order of their numbers.
func (j *Journal) enter(ctx context.Context, conn *pgx.Conn) error {
	lease, egress := max(j.o.Lease, startTime), j.o.Egress
	if j.o.Moving {
		lease, egress = 0, noEgress // what keeps others out is the hold, which does not outlive this process
	}
	var id int64
	var now time.Time
	sent := time.Now()
	err := conn.QueryRow(ctx, `WITH me AS (UPDATE meta SET nodes = nodes + 1 WHERE nodes < $6 AND (mark IS NULL OR $5) RETURNING nodes),
			life AS (INSERT INTO life (id, started) SELECT nodes, clock_timestamp() FROM me RETURNING started)
		INSERT INTO node (id, name, egress, version, started, expires, leaving) SELECT nodes, $1, $2, $3, (SELECT started FROM life), clock_timestamp() + $4, true FROM me
		RETURNING id, clock_timestamp(), (SELECT started FROM life)`, j.o.Name, egress, j.o.Version, lease, j.o.Moving, mostNodes-1).Scan(&id, &now, &j.began)
	if errors.Is(err, pgx.ErrNoRows) {
		mark, err := readMark(ctx, conn)
		if err == nil {
			err = mark.Refusal()
		}
		return cmp.Or(err, errors.New("the numbers of nodes are used up"))
	}
	j.self = placement.NodeID(id)
	batch := &pgx.Batch{}
	j.lives.queue(batch)
	if err == nil {
		j.clock.heard(now, sent, time.Now())
		err = conn.SendBatch(ctx, batch).Close()
	}
	return err
}

// mostNodes bounds the numbers of nodes, so that a version fits a bigint.
const mostNodes = 1 << 23

// Self is the number of this life of this node.
func (j *Journal) Self() placement.NodeID { return j.self }

// Away is ErrAway while the database does not answer; it takes a post to find that out.
func (j *Journal) Away() error {
	if reason := j.away.Load(); reason != nil {
		return *reason
	}
	return nil
}

// Refuse is nil unless changes must not be taken now.
func (j *Journal) Refuse() error {
	if j.closed.Load() {
		return journal.ErrClosed
	}
	if err := j.Away(); err != nil {
		return err
	}
	if j.o.Refuse != nil {
		return j.o.Refuse()
	}
	return nil
}

// Admit is Refuse: the database's disk is its own concern.
func (j *Journal) Admit(audience.Keys) error { return j.Refuse() }

// Close ends the journal. What was handed in and is not done yet is answered with
// journal.ErrClosed, or done.
func (j *Journal) Close() error {
	if j.closed.Swap(true) {
		return nil
	}
	close(j.idling)
	j.intake.close()
	for _, l := range append(j.lanes[:], j.behind) {
		l.close()
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		j.running.Wait()
	}()
	select {
	case <-drained:
	case <-time.After(acceptTime): // the database is away, or slow
	}
	j.end()
	<-drained
	j.letGo()
	j.beating.Lock() // until a beat that is under way has noticed
	defer j.beating.Unlock()
	j.table.drop()
	return nil
}
