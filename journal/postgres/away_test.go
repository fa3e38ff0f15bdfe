//go:build e2e

package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"audiences/audience"
	"audiences/journal"
	"audiences/journal/vault"
	"audiences/placement"
	server "audiences/sandbox/postgres"
)

// outage is a database behind a network, and a journal that is used all the time.
type outage struct {
	*cluster
	network *server.Proxy
	j       *Journal
	segment audience.Segment
	ended   context.Context
	end     context.CancelFunc
	posting sync.WaitGroup

	mu      sync.Mutex
	taken   map[audience.Key]bool // answered with nil
	refused int
	longest time.Duration // of an answer
}

// awayKey is that of the databases of servers that are a test's own.
var awayKey, _ = vault.Make()

func newOutage(t *testing.T, database *server.Server) *outage {
	t.Helper()
	network, err := server.NewProxy(database.Addr())
	if err != nil {
		t.Fatal(err)
	}
	o := &outage{cluster: newCluster(t), network: network, taken: map[audience.Key]bool{}, segment: segment(tenant(t.Name()), "s")}
	if database != shared {
		o.url, o.key = database.URL(), awayKey
	}
	direct := o.url
	o.url = network.URL(direct)
	o.j = o.owner()
	o.url = direct
	o.ended, o.end = context.WithCancel(context.Background())
	return o
}

// post posts one new key after the other, while none are refused.
func (o *outage) post(writer int) {
	for n := int64(writer) << 32; o.ended.Err() == nil; n++ {
		if o.j.Refuse() != nil {
			time.Sleep(time.Millisecond)
			continue
		}
		key, began := audience.NumericKey(n), time.Now()
		done := make(chan error, 1)
		o.j.Append(journal.Append{Tenant: o.segment.Tenant, Done: func(err error) { done <- err }, Hint: true,
			Changes: []journal.Change{{Segment: o.segment, Verb: audience.Add, Keys: audience.KeysOf(key)}}})
		err := <-done
		o.mu.Lock()
		if o.longest = max(o.longest, time.Since(began)); err == nil {
			o.taken[key] = true
		} else {
			o.refused++
		}
		o.mu.Unlock()
	}
}

func (o *outage) startPosting() {
	for writer := range 4 {
		o.posting.Go(func() { o.post(writer + 1) })
	}
}

// queued is how many posts and tasks wait in the node.
func (o *outage) queued() (n int) {
	o.j.intake.mu.Lock()
	for _, g := range o.j.intake.waiting {
		n += g.posts
	}
	o.j.intake.mu.Unlock()
	for _, l := range append(o.j.lanes[:], o.j.behind) {
		l.mu.Lock()
		n += len(l.queue)
		l.mu.Unlock()
	}
	return n
}

// handedIn is what was asked of the journal, and how often each of it was answered.
type handedIn struct {
	answers [6]atomic.Int32
	errs    [6]atomic.Pointer[error]
}

func (h *handedIn) done(n int) func(error) {
	return func(err error) {
		h.answers[n].Add(1)
		h.errs[n].Store(&err)
	}
}

func (h *handedIn) all() bool {
	for n := range h.answers {
		if h.answers[n].Load() == 0 {
			return false
		}
	}
	return true
}

// ask hands in one of each kind, about keys that were pending with this page.
func (o *outage) ask(page journal.Page) *handedIn {
	h := &handedIn{}
	settled, parked := drawn(page.Entries[:10]), drawn(page.Entries[10:20])
	o.j.Settle(journal.Settle{Segment: o.segment, Selection: settled, Receipt: journal.Receipt{At: time.Now(), Verb: audience.Add, Call: 1}, Done: func(_ []audience.Key, err error) { h.done(0)(err) }})
	o.j.Park(journal.Park{Segment: o.segment, Verb: audience.Add, Selection: parked, Refusal: journal.Refusal{Reason: "why"}, Done: func(_ []audience.Key, err error) { h.done(1)(err) }})
	o.j.Unpark(journal.Unpark{Segment: o.segment, Keys: slices.Values([]audience.Key{page.Entries[10].Key}), Done: func(_ int, err error) { h.done(2)(err) }})
	o.j.SetSegmentState(o.segment, journal.SegmentState{Paused: true, PausedBy: "me"}, h.done(3))
	o.j.Load(journal.Load{Segment: o.segment, Limit: 10, NotBefore: o.j.Newest(), Done: func(p journal.Page) { h.done(4)(p.Err) }})
	o.j.Find(journal.Find{Segment: o.segment, Key: page.Entries[0].Key, Done: func(f journal.Found) { h.done(5)(f.Err) }})
	return h
}

// numbered posts n keys and waits until they are pending.
func (o *outage) numbered(n int) journal.Page {
	o.accept(o.j, o.segment, audience.Add, numbered(0, n))
	return o.load(o.j, o.segment)
}

// outlive goes through an outage: what is asked before and in it is done after it, once.
func (o *outage) outlive(brief bool, begin, finish func() error) {
	o.Helper()
	page := o.numbered(20)
	o.startPosting()
	defer o.end()
	time.Sleep(200 * time.Millisecond)
	if err := begin(); err != nil {
		o.Fatal(err)
	}
	asked := o.ask(page)
	if !brief {
		o.until("posts are refused at once", func() bool { return errors.Is(o.j.Refuse(), ErrAway) })
		for range 30 {
			if n := o.queued(); n > 40 {
				o.Fatalf("%d posts and tasks wait", n)
			}
			time.Sleep(50 * time.Millisecond)
		}
		if asked.all() {
			o.Error("all is done before the database is back")
		}
	}
	if err := finish(); err != nil {
		o.Fatal(err)
	}
	o.until("posts are taken again", func() bool { return o.j.Refuse() == nil })
	o.until("all is done that was handed in", asked.all)
	time.Sleep(300 * time.Millisecond)
	o.end()
	o.posting.Wait()
	for n := range asked.answers {
		equal(o, fmt.Sprint("answers to ", n), asked.answers[n].Load(), 1)
		if err := *asked.errs[n].Load(); err != nil {
			o.Errorf("%d: %v", n, err)
		}
	}
	o.compare(page)
}

// compare looks whether the database has all that it has to.
func (o *outage) compare(page journal.Page) {
	o.Helper()
	pending := map[audience.Key]bool{}
	for after := (journal.Cursor{}); ; {
		p := wait(o.cluster, func(done func(journal.Page)) {
			o.j.Load(journal.Load{Segment: o.segment, After: after, Limit: 5000, NotBefore: o.j.Newest(), Done: done})
		})
		if p.Err != nil {
			o.Fatal(p.Err)
		}
		for _, e := range p.Entries {
			pending[e.Key] = true
		}
		if after = p.Next; !p.More {
			equal(o, "state", p.State.PausedBy, "me")
			break
		}
	}
	missing := 0
	for key := range o.taken {
		if !pending[key] {
			missing++
		}
	}
	o.Logf("%d posts taken, %d refused, the longest answer took %v", len(o.taken), o.refused, o.longest)
	equal(o, "answered with nil and missing", missing, 0)
	equal(o, "settled and pending", pending[page.Entries[0].Key] || pending[page.Entries[9].Key], false)
	equal(o, "retried", pending[page.Entries[10].Key], true)
	parked := wait(o.cluster, func(done func(journal.ParkedPage)) {
		o.j.Parked(journal.ParkedQuery{Segment: o.segment, Limit: 100, Done: done})
	})
	equal(o, "parked", len(parked.Entries), 9)
	if o.longest > 4*time.Second {
		o.Errorf("an answer took %v", o.longest)
	}
}

// close ends all; nothing is left running.
func (o *outage) close(before goleak.Option) {
	o.Helper()
	o.end()
	o.posting.Wait()
	for range 2 { // its connection may be broken
		_ = o.j.Leave(context.Background()) // fails where it is closed
	}
	if err := o.j.Close(); err != nil {
		o.Error(err)
	}
	o.network.Close()
	var leak error
	for range 100 {
		if leak = goleak.Find(before); leak == nil {
			return
		}
	}
	o.Error(leak)
}

// TestAway is I1 and I3 in all ways in which a network fails.
func TestAway(t *testing.T) {
	for name, fault := range map[string]func(*server.Proxy) error{
		"cut":                func(p *server.Proxy) error { p.Cut(); return nil },
		"silent to database": func(p *server.Proxy) error { p.Silence(true, false); return nil },
		"silent to relay":    func(p *server.Proxy) error { p.Silence(false, true); return nil },
		"silent":             func(p *server.Proxy) error { p.Silence(true, true); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			o := newOutage(t, shared)
			o.outlive(false, func() error { return fault(o.network) }, o.network.Mend)
			o.close(before)
		})
	}
	t.Run("all connections break", func(t *testing.T) {
		before := goleak.IgnoreCurrent()
		o := newOutage(t, shared)
		o.outlive(true, func() error { o.network.CloseAll(); return nil }, func() error { o.network.CloseAll(); return nil })
		o.close(before)
	})
	t.Run("far away", func(t *testing.T) {
		before := goleak.IgnoreCurrent()
		o := newOutage(t, shared)
		o.outlive(true, func() error { o.network.Delay(250 * time.Millisecond); o.network.CloseAll(); return nil },
			func() error {
				o.until("posts are refused", func() bool { return o.j.Refuse() != nil })
				o.until("the database is reached from afar", func() bool { return o.j.Refuse() == nil })
				o.mu.Lock()
				before := len(o.taken)
				o.mu.Unlock()
				o.until("posts are taken from afar", func() bool {
					o.mu.Lock()
					defer o.mu.Unlock()
					return len(o.taken) > before
				})
				o.network.Delay(0)
				o.network.CloseAll()
				return nil
			})
		o.close(before)
	})
}

// TestServerDies is I1 and I3: it is killed and comes back, and then its standby takes over.
func TestServerDies(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	before := goleak.IgnoreCurrent()
	primary, err := server.Start(ctx, server.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Run("killed and started again", func(t *testing.T) {
		o := newOutage(t, primary)
		o.outlive(false, primary.Kill, func() error { return primary.Restart(ctx) })
		o.close(goleak.IgnoreCurrent())
	})
	standby, err := primary.Standby(ctx, server.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Run("nobody waits for the standby", func(t *testing.T) { unsure(t, primary, standby) })
	t.Run("standby takes over", func(t *testing.T) {
		o := newOutage(t, primary)
		o.outlive(false, primary.Kill, func() error {
			if err := standby.Promote(ctx); err != nil {
				return err
			}
			o.network.Retarget(standby.Addr())
			o.url = standby.URL()
			return nil
		})
		o.close(goleak.IgnoreCurrent())
	})
	if err := errors.Join(standby.Stop(), primary.Stop()); err != nil {
		t.Error(err)
	}
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}

// unsure is I1: a post that the standby has not got is not taken, also where somebody cancels
// the wait for it.
func unsure(t *testing.T, primary, standby *server.Server) {
	o := newOutage(t, primary)
	defer func() {
		_ = o.j.Leave(context.Background())
		_ = o.j.Close()
		o.network.Close()
	}()
	o.accept(o.j, o.segment, audience.Add, "1")
	if err := standby.Halt(); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), primary.AdminURL())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	_, done := put(o.j, o.segment, audience.Add, "2")
	for answered := false; !answered; {
		if _, err := conn.Exec(t.Context(), `SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'`); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-done:
			if answered = true; err == nil {
				t.Errorf("%v", err)
			}
		case <-time.After(10 * time.Millisecond):
		}
	}
	if err := standby.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	o.until("posts are taken again", func() bool {
		_, err := accept(o.j, o.segment, audience.Add, "3")
		return err == nil
	})
}

// TestCloseWhileAway: it does not wait for the database, and answers all that was handed in.
func TestCloseWhileAway(t *testing.T) {
	for name, fault := range map[string]func(*server.Proxy){
		"cut":    func(p *server.Proxy) { p.Cut() },
		"silent": func(p *server.Proxy) { p.Silence(true, true) },
	} {
		t.Run(name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			o := newOutage(t, shared)
			page := o.numbered(20)
			fault(o.network)
			asked := o.ask(page)
			beat, beating := make(chan struct{}), placement.Beat{Lease: 3 * time.Second}
			go func() {
				defer close(beat)
				_, _ = o.j.Beat(context.Background(), beating)
			}()
			posts := make(chan error, 10)
			for range cap(posts) {
				o.j.Append(journal.Append{Tenant: o.segment.Tenant, Done: func(err error) { posts <- err },
					Changes: []journal.Change{{Segment: o.segment, Verb: audience.Add, Keys: audience.KeysOf(keys("77")...)}}})
			}
			time.Sleep(300 * time.Millisecond)
			began := time.Now()
			if err := o.j.Close(); err != nil {
				t.Error(err)
			}
			if took := time.Since(began); took > 2500*time.Millisecond {
				t.Errorf("it took %v", took)
			}
			<-beat
			for range cap(posts) {
				select {
				case err := <-posts:
					if err == nil {
						t.Error("a post was taken")
					}
				default:
					t.Fatal("a post is not answered")
				}
			}
			for n := range asked.answers {
				equal(t, fmt.Sprint("answers to ", n), asked.answers[n].Load(), 1)
			}
			if err := o.network.Mend(); err != nil {
				t.Error(err)
			}
			o.close(before)
		})
	}
}
