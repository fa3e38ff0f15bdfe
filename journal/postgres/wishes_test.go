//go:build e2e

package postgres

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// answering has a node answer every question with a yes, and tells the questions.
func (c *cluster) answering(j *Journal) (asked chan string) {
	asked = make(chan string, 10)
	go j.Serve(c.Context(), func(_ context.Context, question []byte) []byte {
		asked <- string(question)
		return []byte("yes")
	})
	return asked
}

// TestAskTwice: a question whose way into the database was not confirmed is put once, and
// answered.
func TestAskTwice(t *testing.T) {
	c := newCluster(t)
	j, other := c.node(), c.node()
	asked := c.answering(other)
	c.twice(j.behind)
	answer, err := j.Ask(t.Context(), other.Self(), []byte("what"))
	if err != nil || string(answer) != "yes" {
		t.Fatalf("%q, %v", answer, err)
	}
	equal(t, "questions", len(asked), 1)
}

// TestAskTooLate: a question that waited for the database until nobody waits for its answer
// is never put.
func TestAskTooLate(t *testing.T) {
	c := newCluster(t)
	j, other := c.node(), c.node()
	asked := c.answering(other)
	waits, release := make(chan struct{}), make(chan struct{})
	j.behind.put(task{do: func(context.Context, *pgx.Conn) error { close(waits); <-release; return nil }})
	<-waits
	ctx, cancel := context.WithCancel(t.Context())
	asks := make(chan error, 1)
	go func() {
		_, err := j.Ask(ctx, other.Self(), []byte("late"))
		asks <- err
	}()
	c.until("the question waits", func() bool {
		j.behind.mu.Lock()
		defer j.behind.mu.Unlock()
		return len(j.behind.queue) > 0
	})
	cancel()
	if err := <-asks; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	close(release)
	if _, err := j.Ask(t.Context(), other.Self(), []byte("in time")); err != nil {
		t.Fatal(err)
	}
	equal(t, "question", <-asked, "in time")
	equal(t, "more questions", len(asked), 0)
}

// TestOldWish: a question that nobody could take away, and nobody waits for, is not answered.
func TestOldWish(t *testing.T) {
	c := newCluster(t)
	j, other := c.node(), c.node()
	sql[int64](c, `WITH made AS (INSERT INTO wish (id, node, question, at) VALUES (gen_random_uuid(), $1, 'old', now() - $2::interval) RETURNING 1) SELECT count(*) FROM made`,
		int64(other.Self()), wishAge+time.Second)
	asked := c.answering(other)
	if _, err := j.Ask(t.Context(), other.Self(), []byte("new")); err != nil {
		t.Fatal(err)
	}
	equal(t, "question", <-asked, "new")
	equal(t, "more questions", len(asked), 0)
}
