package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"audiences/audience"
	"audiences/journal"
	"audiences/placement"
)

// hold keeps the database for one node alone: a transaction that has locked the row of meta.
// A node that begins writes that row, so it waits, and then finds the mark that the end of
// the move has left. Nothing but the transaction stands for the hold: where it was lost,
// with its connection, the mark that ends a move cannot be written any more.
type hold struct {
	id   string
	mu   sync.Mutex
	conn *pgx.Conn
	tx   pgx.Tx // nil once it is let go
	mark *journal.Mark
	lost error // why it is held no more
}

const (
	// holdIdle is after how long without a word the database lets a hold go, for one
	// whose process is away without the connection having ended.
	holdIdle = time.Minute
	holdBeat = 10 * time.Second
	// buriedFor is how long after its burial nothing of a relay can be written any more, not
	// even a post of a hundred thousand keys.
	buriedFor = 10*(acceptWithin+acceptTime) + time.Second
	// noEgress is the egress group of a move, which has none. What it has under way when it is
	// buried is over then, see fenceOfMove.
	noEgress = ""
)

// takeAlone makes the hold, and has this node own all slots, so that it may write states.
func (j *Journal) takeAlone(ctx context.Context, config *pgx.ConnConfig) error {
	config = config.Copy()
	config.RuntimeParams["idle_in_transaction_session_timeout"] = fmt.Sprint(holdIdle.Milliseconds())
	conn, err := pgx.ConnectConfig(ctx, newLine(config, openTime).config)
	if err != nil {
		return fmt.Errorf("connect: %w", withoutAddress(err))
	}
	j.hold = &hold{conn: conn}
	if err := j.hold.take(ctx, j.self); err != nil {
		j.letGo()
		return err
	}
	if _, err := j.Beat(ctx, placement.Beat{Claim: audience.AllSlots()}); err != nil {
		j.letGo()
		return err
	}
	return nil
}

// take locks the row of meta, and sees to it that no other node is there. One whose lease is
// over may come back: it is declared dead first, and what it has under way is waited for. So
// is the move that was killed before this one, whose slots are free by that.
func (h *hold) take(ctx context.Context, self placement.NodeID) error {
	for {
		if err := h.lock(ctx); err != nil {
			return err
		}
		if err := h.others(ctx, self); err != nil {
			return err
		}
		var buried, relays int
		err := h.tx.QueryRow(ctx, `WITH buried AS (UPDATE node SET dead = true WHERE NOT dead AND id <> $1 RETURNING egress)
			SELECT count(*), count(*) FILTER (WHERE egress <> $2) FROM buried`, int64(self), noEgress).Scan(&buried, &relays)
		if err != nil || buried == 0 {
			return err
		}
		if err := h.tx.Commit(ctx); err != nil {
			return err
		}
		if relays == 0 {
			continue
		}
		select {
		case <-time.After(buriedFor):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// lock begins the transaction, and reads what stands in the row.
func (h *hold) lock(ctx context.Context) (err error) {
	if h.tx, err = h.conn.Begin(ctx); err != nil {
		return err
	}
	var created time.Time
	var check string
	var mark []byte
	err = h.tx.QueryRow(ctx, `SELECT created, key_check, mark FROM meta FOR UPDATE`).Scan(&created, &check, &mark)
	if err != nil {
		return orHeld(err)
	}
	sum := sha256.Sum256([]byte(created.UTC().Format(time.RFC3339Nano) + check))
	h.id = hex.EncodeToString(sum[:8])
	h.mark, err = parseMark(mark)
	return err
}

// orHeld is the error, or why the row of meta could not be locked in time.
func orHeld(err error) error {
	if isCode(err, "55P03", "57014") {
		return errors.New("a command has it for itself, which moves what it holds, or moves something to it")
	}
	return err
}

// others is an error that names the nodes that are alive.
func (h *hold) others(ctx context.Context, self placement.NodeID) error {
	rows, err := h.tx.Query(ctx, `SELECT name FROM node WHERE NOT dead AND id <> $1 AND expires > clock_timestamp() ORDER BY name`, int64(self))
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(names) == 0 {
		return err
	}
	return fmt.Errorf("it is in use by %s: stop these relays first; one that was killed counts until its lease is over", strings.Join(names, ", "))
}

// keepHold keeps the database from letting the hold go, until Close.
func (j *Journal) keepHold() {
	ticker := time.NewTicker(holdBeat)
	defer ticker.Stop()
	for {
		select {
		case <-j.idling:
			return
		case <-ticker.C:
		}
		j.hold.look()
	}
}

func (h *hold) look() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tx == nil || h.lost != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), openTime)
	defer cancel()
	if _, err := h.tx.Exec(ctx, `SELECT 1`); err != nil {
		h.lost = fmt.Errorf("the connection that keeps other nodes out was lost: %w", err)
	}
}

// Held is nil while no other node can use the database.
func (j *Journal) Held() error {
	j.hold.mu.Lock()
	defer j.hold.mu.Unlock()
	return j.hold.lost
}

// ID tells this database's journal from all others.
func (j *Journal) ID() string { return j.hold.id }

// Mark is what SetMark kept; nil: nothing.
func (j *Journal) Mark() *journal.Mark {
	j.hold.mu.Lock()
	defer j.hold.mu.Unlock()
	return j.hold.mark
}

// SetMark keeps a mark, or takes it away and lets the database go with it. It is the end of
// the transaction that held it, so nothing else can have happened to the journal meanwhile.
func (j *Journal) SetMark(ctx context.Context, mark *journal.Mark) error {
	h := j.hold
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lost != nil {
		return h.lost
	}
	record, err := stateOf(mark, mark == nil)
	if err != nil {
		return err
	}
	if _, err = h.tx.Exec(ctx, `UPDATE meta SET mark = $1`, record); err == nil {
		err = h.tx.Commit(ctx)
	}
	if err != nil {
		h.lost = fmt.Errorf("write the journal's mark: %w", err)
		return h.lost
	}
	h.tx, h.mark = nil, mark
	if mark == nil {
		return nil
	}
	if err := h.take(ctx, j.self); err != nil {
		h.lost = err
	}
	return h.lost
}

// letGo ends the hold, once this node's row is gone.
func (j *Journal) letGo() {
	if j.hold == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), acceptTime)
	defer cancel()
	_ = j.Leave(ctx) // where it stays, its lease is over
	j.hold.mu.Lock()
	defer j.hold.mu.Unlock()
	_ = j.hold.conn.Close(ctx) // with its transaction
	if j.hold.lost == nil {
		j.hold.lost = journal.ErrClosed
	}
}

// readMark reads the mark.
func readMark(ctx context.Context, conn *pgx.Conn) (*journal.Mark, error) {
	var mark []byte
	if err := conn.QueryRow(ctx, `SELECT mark FROM meta`).Scan(&mark); err != nil {
		return nil, err
	}
	return parseMark(mark)
}

func parseMark(record []byte) (*journal.Mark, error) {
	if record == nil {
		return nil, nil
	}
	mark := &journal.Mark{}
	if json.Unmarshal(record, mark) != nil {
		return nil, errors.New("its mark is damaged")
	}
	return mark, nil
}

// Flush returns when all that was handed in before is done.
func (j *Journal) Flush() error {
	done := make(chan error, 1)
	j.Append(journal.Append{Done: func(err error) {
		go j.barrier(func() { done <- err }) // as Done must not wait, and the lanes wait for the group
	}})
	return <-done
}
