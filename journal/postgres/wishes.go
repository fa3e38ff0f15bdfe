package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"audiences/placement"
)

// A wish is a question of one node to another, as a row: nodes have no ports to each other.
// The one that is asked looks for such rows a few times a second, and writes its answer into
// the row; the one that asks takes the row away.

const (
	wishEvery = 100 * time.Millisecond
	wishAge   = time.Minute // after that nobody waits for the answer any more
)

// Ask asks another node and waits for its answer, or until ctx ends. What was not asked by
// then never is: the operator was told that nobody answers, and may want the contrary now.
func (j *Journal) Ask(ctx context.Context, node placement.NodeID, question []byte) ([]byte, error) {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails, by its contract
	asked := ctx
	defer j.behind.put(task{do: func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `DELETE FROM wish WHERE id = $1`, id)
		return err
	}})
	if err := j.askUntil(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		if asked.Err() != nil {
			return nil
		}
		_, err := conn.Exec(ctx, `INSERT INTO wish (id, node, question) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, id, int64(node), question)
		return err
	}); err != nil {
		return nil, fmt.Errorf("ask another node: %w", err)
	}
	for wait := wishEvery / 4; ; wait = wishEvery {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(wait):
		}
		var answer []byte
		err := j.askUntil(ctx, func(ctx context.Context, conn *pgx.Conn) error {
			err := conn.QueryRow(ctx, `SELECT answer FROM wish WHERE id = $1 AND answer IS NOT NULL`, id).Scan(&answer)
			if errors.Is(err, pgx.ErrNoRows) {
				err = nil
			}
			return err
		})
		if err != nil || answer != nil {
			return answer, err
		}
	}
}

// Serve answers the questions of other nodes until ctx or the journal ends. answer is called
// by a goroutine of its own for each.
func (j *Journal) Serve(ctx context.Context, answer func(ctx context.Context, question []byte) []byte) {
	on := newLine(j.config, laneTime)
	defer on.drop()
	ticker := time.NewTicker(wishEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-j.idling:
			return
		case <-ticker.C:
		}
		if j.away.Load() != nil {
			continue
		}
		for id, question := range j.takeWishes(ctx, on) {
			go func() {
				limited, cancel := context.WithTimeout(ctx, wishAge)
				defer cancel()
				j.fulfil(id, answer(limited, question))
			}()
		}
	}
}

// takeWishes is the questions that nobody answers yet, and that somebody may wait for still:
// one who asked and was cut off could not take his away.
func (j *Journal) takeWishes(ctx context.Context, on *line) map[[16]byte][]byte {
	taken := map[[16]byte][]byte{}
	err := on.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, `UPDATE wish SET taken = true WHERE node = $1 AND NOT taken AND at > clock_timestamp() - $2::interval RETURNING id, question`, int64(j.self), wishAge)
		if err != nil {
			return err
		}
		for rows.Next() {
			var id [16]byte
			var question []byte
			if err := rows.Scan(&id, &question); err != nil {
				return err
			}
			taken[id] = question
		}
		return rows.Err()
	})
	if err != nil {
		j.log.Debug().Err(err).Msg("questions of other nodes could not be read")
	}
	return taken
}

func (j *Journal) fulfil(id [16]byte, answer []byte) {
	j.behind.put(task{do: func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `UPDATE wish SET answer = $2 WHERE id = $1`, id, orEmpty(answer))
		return err
	}})
}
