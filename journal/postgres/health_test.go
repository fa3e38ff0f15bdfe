//go:build e2e

package postgres

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"audiences/audience"
)

// TestHeldSnapshot: a session that holds dead rows back is seen by its age, in a check and
// in the metrics, and so is a prepared transaction.
func TestHeldSnapshot(t *testing.T) {
	c := newCluster(t)
	j := c.owner()
	holder, err := pgx.Connect(t.Context(), c.url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = holder.Close(context.Background()) }()
	if _, err := holder.Exec(t.Context(), `BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pending`, pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	s := segment(tenant("token"), "s")
	c.accept(j, s, audience.Add, "1 2 3")
	time.Sleep(1100 * time.Millisecond)
	var h health
	err = j.ask(func(ctx context.Context, conn *pgx.Conn) error { return h.read(ctx, conn, audience.AllSlots()) })
	if err != nil {
		t.Fatal(err)
	}
	if h.held.age < time.Second || h.held.age > time.Minute || h.held.transactions < 1 || !strings.Contains(h.held.by, "idle in transaction") {
		t.Errorf("%+v", h.held)
	}
	if h.index == 0 || h.used < 2 || h.connections < 50 {
		t.Errorf("%+v", h)
	}
	if _, err := holder.Exec(t.Context(), `ROLLBACK`); err != nil {
		t.Fatal(err)
	}
	until(t, "nothing is held", func() bool {
		err := j.ask(func(ctx context.Context, conn *pgx.Conn) error { return h.read(ctx, conn, audience.AllSlots()) })
		return err == nil && h.held.age < time.Second
	})
}
