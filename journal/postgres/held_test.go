//go:build e2e

package postgres

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"audiences/audience"
	"audiences/journal"
)

var (
	heldFor  = flag.Duration("held.for", 5*time.Second, "how long TestPagesOfAHeldSnapshot holds a snapshot")
	heldRate = flag.Int("held.rate", 400, "posts a second that it accepts meanwhile")
)

const (
	heldTenants  = 10
	heldSegments = 100 // of all tenants
	heldCallers  = 8
	heldMembers  = 2_000 // of a segment, whose keys come again and again
)

// deliveries are segments whose keys are accepted by some callers, and drawn and settled as
// a relay does. Each key has one caller, so that its last verb is known.
type deliveries struct {
	*cluster
	j       *Journal
	metrics *prometheus.Registry

	mu                      sync.Mutex
	posts, settles, settled int                   // settled is of keys
	accepted, sent          map[row]audience.Verb // the last one of each key
	pages                   []time.Duration       // that were read, and how long that took
}

// TestPagesOfAHeldSnapshot: while a snapshot is held, and no autovacuum comes, all is
// delivered as ever, past the rows of what was delivered before, and the metrics tell. It
// also tells how long pages take, beside those before the snapshot.
func TestPagesOfAHeldSnapshot(t *testing.T) {
	const windows = 5
	c := newCluster(t)
	d := &deliveries{cluster: c, metrics: prometheus.NewRegistry(), accepted: map[row]audience.Verb{}, sent: map[row]audience.Verb{}}
	d.j = c.owner(func(o *Options) { o.Registerer, o.Hinted = d.metrics, func(Hint) {} })
	holder, err := pgx.Connect(t.Context(), c.url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = holder.Close(context.Background()) }()
	for _, statement := range []string{`ALTER TABLE pending SET (autovacuum_enabled = false)`, `BEGIN ISOLATION LEVEL REPEATABLE READ`} {
		if _, err := holder.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}

	posts, endPosts := context.WithCancel(t.Context())
	pages, endPages := context.WithCancel(t.Context())
	var posting, delivering sync.WaitGroup
	defer func() {
		endPosts()
		endPages()
		posting.Wait()
		delivering.Wait()
	}()
	for caller := range heldCallers {
		posting.Go(func() { d.post(posts, caller) })
	}
	for n := range heldSegments {
		delivering.Go(func() { d.deliver(pages, d.segment(n)) })
	}
	time.Sleep(*heldFor / windows)
	d.report("before the snapshot")
	_, settles, settled := d.counts()
	if _, err := holder.Exec(t.Context(), `SELECT count(*) FROM pending`); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for range windows {
		time.Sleep(*heldFor / windows)
		d.report("under the snapshot")
	}
	endPosts()
	posting.Wait()
	until(t, "all is delivered", func() bool { return d.wrong() == 0 })
	held := time.Since(began)
	_, settlesThen, settledThen := d.counts()
	settles, settled = settlesThen-settles, settledThen-settled
	if age := d.metric("oldest_xmin_age_seconds"); age < held.Seconds() {
		t.Errorf("the metric tells of %.1f s, a snapshot has been held for %v", age, held)
	}
	if transactions := d.metric("oldest_xmin_transactions"); transactions < float64(settles) {
		t.Errorf("the metric tells of %.0f transactions, there were %d", transactions, settles)
	}
	until(t, "the metric tells of the dead rows, which sessions report now and then", func() bool { return d.metric("dead_rows") >= float64(settled)/2 })
}

func (d *deliveries) segment(n int) audience.Segment {
	return segment(tenant(fmt.Sprint("token-", n%heldTenants)), fmt.Sprint("s", n))
}

// counts are how many posts were accepted, and how many pages, of how many keys, settled.
func (d *deliveries) counts() (posts, settles, settled int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.posts, d.settles, d.settled
}

// wrong is how many keys were not sent with their last verb.
func (d *deliveries) wrong() (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for key, verb := range d.accepted {
		if d.sent[key] != verb {
			n++
		}
	}
	return n
}

// post has a caller post at its part of the rate.
func (d *deliveries) post(ctx context.Context, caller int) {
	random := rand.New(rand.NewPCG(1, uint64(caller)))
	ticker := time.NewTicker(heldCallers * time.Second / time.Duration(*heldRate))
	defer ticker.Stop()
	for ctx.Err() == nil {
		<-ticker.C
		s, verb := d.segment(random.IntN(heldSegments)), audience.Add
		if random.IntN(3) == 0 {
			verb = audience.Delete
		}
		key := strconv.Itoa(random.IntN(heldMembers/heldCallers)*heldCallers + caller)
		if _, err := accept(d.j, s, verb, key); err != nil {
			d.Errorf("accept: %v", err)
			return
		}
		d.mu.Lock()
		d.posts++
		d.accepted[row{idOf(s), key}] = verb
		d.mu.Unlock()
	}
}

// deliver draws and settles a segment once a second.
func (d *deliveries) deliver(ctx context.Context, s audience.Segment) {
	time.Sleep(rand.N(time.Second))
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for ctx.Err() == nil {
		d.step(s)
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

// step is a page, and its settling.
func (d *deliveries) step(s audience.Segment) {
	began := time.Now()
	page, settled := make(chan journal.Page, 1), make(chan error, 1)
	d.j.Load(journal.Load{Segment: s, Limit: 10_000, NotBefore: d.j.Newest(), Done: func(p journal.Page) { page <- p }})
	got := <-page
	took := time.Since(began)
	d.mu.Lock()
	d.pages = append(d.pages, took)
	for _, e := range got.Entries {
		d.sent[row{idOf(s), e.Key.Text()}] = e.Verb
	}
	d.mu.Unlock()
	if got.Err != nil {
		d.Errorf("read a page: %v", got.Err)
	}
	if len(got.Entries) == 0 {
		return
	}
	d.j.Settle(journal.Settle{Segment: s, Selection: drawn(got.Entries), Done: func(_ []audience.Key, err error) { settled <- err }})
	if err := <-settled; err != nil {
		d.Errorf("settle: %v", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.settles, d.settled = d.settles+1, d.settled+len(got.Entries)
}

// report tells of the pages since the last time.
func (d *deliveries) report(when string) {
	d.mu.Lock()
	pages := d.pages
	d.pages = nil
	d.mu.Unlock()
	if len(pages) == 0 {
		d.Fatal("no page was read")
	}
	slices.Sort(pages)
	part := func(p float64) time.Duration { return pages[int(p*float64(len(pages)-1))].Round(10 * time.Microsecond) }
	posts, _, _ := d.counts()
	d.Logf("%s: %d posts so far, %.0f dead rows; %d pages, p50 %v, p99 %v, max %v", when, posts, d.metric("dead_rows"), len(pages), part(.5), part(.99), part(1))
}

// metric is one of the database's, read now.
func (d *deliveries) metric(name string) float64 {
	d.Helper()
	d.j.readHealth()
	families, err := d.metrics.Gather()
	if err != nil {
		d.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "audiences_database_"+name {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	d.Fatalf("no metric %s", name)
	return 0
}
