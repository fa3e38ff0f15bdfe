package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"audiences/journal"
)

// keepTidy removes what is of no more use, until Close.
func (j *Journal) keepTidy() {
	const every = 10 * time.Minute
	for {
		select {
		case <-j.idling:
			return
		case <-time.After(every):
		}
		j.known.drop(time.Now())
		if err := j.ask(j.tidy); err != nil && !j.closed.Load() {
			j.log.Warn().Err(err).Msg("the journal's database could not be tidied; it is tried again later")
		}
	}
}

// tidy removes the rows of segments and tenants that have nothing and were not seen for
// long, of the slots of this node; old events; and the rows of nodes that are dead. A
// segment that has receipts is needed by those who search in them.
func (j *Journal) tidy(ctx context.Context, conn *pgx.Conn) error {
	owned := j.hinting.slots()
	for from, to := range runs(owned) {
		_, err := conn.Exec(ctx, `DELETE FROM segment s WHERE s.id > $1 AND s.id <= $2 AND s.state IS NULL AND s.seen < now() - $3::interval
			
			AND NOT EXISTS (SELECT 1 FROM pending p WHERE p.segment = s.id) AND NOT EXISTS (SELECT 1 FROM parked q WHERE q.segment = s.id)`, from, to, max(segmentGone, j.o.ReceiptsMaxAge+24*time.Hour))
		if err != nil {
			return err
		}
	}
	batch := &pgx.Batch{}
	batch.Queue(`DELETE FROM tenant t WHERE t.slot = ANY($1) AND t.state IS NULL AND t.seen < now() - $2::interval
		AND NOT EXISTS (SELECT 1 FROM segment s WHERE s.tenant = t.id)`, numbers(owned), tenantGone)
	batch.Queue(`DELETE FROM event WHERE number < (SELECT min(number) FROM (SELECT number FROM event ORDER BY number DESC LIMIT $1) last)`, journal.EventsKept)
	batch.Queue(`DELETE FROM node n WHERE n.dead AND n.expires < now() - interval '1 hour' AND NOT EXISTS (SELECT 1 FROM slot s WHERE s.owner = n.id)`)
	batch.Queue(`DELETE FROM wish WHERE at < now() - $1::interval`, wishAge)
	batch.Queue(`DELETE FROM life l WHERE l.started < now() - $1::interval AND NOT EXISTS (SELECT 1 FROM node n WHERE n.id = l.id)`, lifeGone)
	if err := conn.SendBatch(ctx, batch).Close(); err != nil {
		return err
	}
	return j.makeDays(ctx, conn)
}
