//go:build e2e

// Package cluster tests several relays on one PostgreSQL: as processes, which are killed,
// stopped and cut off under load. In the end every key must be where its last accepted
// verb says.
package cluster

import (
	"context"
	"encoding/hex"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"audiences/sandbox"
	"audiences/sandbox/postgres"
	"audiences/test/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// leaseTime is that of all nodes: longer than in production, as a busy machine may leave
// processes without a processor for seconds.
var leaseTime = flag.Duration("cluster.lease", 5*time.Second, "leaseTime of the nodes")

// site is several relays that share a database and deliver to one look-alike.
type site struct {
	*harness.Site
	database *postgres.Server
	ledger   *harness.Ledger
	begun    int

	mu    sync.Mutex
	nodes []*node
}

// node is one relay, which reaches the database through a network of its own.
type node struct {
	name    string
	way     *postgres.Proxy
	process *harness.Process
	ready   atomic.Bool // as the balancer in front saw it last
}

// newSite makes a site without nodes.
func newSite(t *testing.T, settings map[string]any, change ...func(*sandbox.Options)) *site {
	t.Helper()
	ledger := harness.NewLedger()
	database, err := postgres.Start(t.Context(), postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := database.Stop(); err != nil {
			t.Error(err)
		}
	})
	s := &site{database: database, ledger: ledger}
	look := sandbox.Options{Allowed: ledger.Allowed, MaxMembers: 10_000_000}
	for _, f := range change {
		f(&look)
	}
	s.Site = harness.NewSite(t, look, nil)
	key := filepath.Join(s.Dir, "journal.key")
	if err := os.WriteFile(key, []byte(hex.EncodeToString(make([]byte, 32))), 0o600); err != nil {
		t.Fatal(err)
	}
	all := map[string]any{"journalDir": nil, "journalKeyFile": key, "leaseTime": leaseTime.Seconds(), "segmentsFlushRateInSeconds": 0.5, "logLevel": "info"}
	for name, value := range settings {
		all[name] = value
	}
	s.Configure(all)
	return s
}

// three is a site with three nodes.
func three(t *testing.T) *site {
	t.Helper()
	s := newSite(t, nil)
	for range 3 {
		s.begin()
	}
	return s
}

// threeUnderLoad is a site with three nodes, to which eight callers post until [load.finish].
func threeUnderLoad(t *testing.T) (*site, *load) {
	t.Helper()
	s := three(t)
	return s, s.load(8, 40*time.Millisecond)
}

// begin starts one more node, and waits until it is ready. One that ends with code 75 is
// started anew, as by whoever supervises it: a busy machine may have left it standing still.
func (s *site) begin() *node {
	s.T.Helper()
	way, err := postgres.NewProxy(s.database.Addr())
	if err != nil {
		s.T.Fatal(err)
	}
	s.T.Cleanup(way.Close)
	s.begun++
	n := &node{name: fmt.Sprint("node", s.begun), way: way}
	launch := func() {
		n.process = s.LaunchWith([]string{"AUDIENCES_JOURNAL=" + way.URL(s.database.URL()), "AUDIENCES_NODE_NAME=" + n.name})
	}
	launch()
	harness.Eventually(s.T, 2*harness.Patience, "the node is ready", func() bool {
		if n.hasEnded() {
			if code := n.process.ExitCode(); code != standingStill {
				s.T.Fatalf("%s ends with code %d", n.name, code)
			}
			launch()
		}
		return n.isReady()
	})
	n.ready.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nodes = append(s.nodes, n)
	return n
}

// standingStill is the exit code of a node that has to begin anew.
const standingStill = 75

// isReady reports whether the node listens and is ready.
func (n *node) isReady() bool {
	select {
	case <-n.process.Listens:
		return n.process.IsReady()
	default:
		return false
	}
}

func (n *node) hasEnded() bool {
	select {
	case <-n.process.Ended:
		return true
	default:
		return false
	}
}

// forget takes a node off the balancer's list.
func (s *site) forget(n *node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, other := range s.nodes {
		if other == n {
			s.nodes = append(s.nodes[:i:i], s.nodes[i+1:]...)
			return
		}
	}
}

func (s *site) all() []*node {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*node(nil), s.nodes...)
}

// signal sends a signal to a node's process.
func (s *site) signal(n *node, sig syscall.Signal) {
	s.T.Helper()
	if err := syscall.Kill(n.process.PID(), sig); err != nil {
		s.T.Fatal(err)
	}
}

// load is callers as the lambda: each has keys of its own, changes them one after the other,
// and repeats a change that was not answered with 200, at another node.
type load struct {
	*site
	enough context.CancelFunc
	done   sync.WaitGroup

	failed atomic.Int64 // posts that were not answered with 200
	mu     sync.Mutex
	last   time.Time     // of a 200
	gap    time.Duration // the longest without one
}

const (
	loadTenants  = 6
	loadSegments = 4
	callerKeys   = 40
	lambdaWaits  = 3 * time.Second
)

// load has so many callers post, twice in the time of pace each. What a caller missed in the
// last second because a post took long it makes up for.
func (s *site) load(callers int, pace time.Duration) *load {
	l := &load{site: s, last: time.Now()}
	ctx, enough := context.WithCancel(s.T.Context())
	l.enough = enough
	for caller := range callers {
		random := rand.New(rand.NewPCG(1, uint64(caller)))
		l.done.Go(func() {
			for due := time.Now(); ctx.Err() == nil; {
				l.write(l.next(random, caller), random)
				due = due.Add(time.Duration(random.Int64N(int64(pace))))
				if late := time.Now().Add(-time.Second); due.Before(late) {
					due = late
				}
				time.Sleep(time.Until(due))
			}
		})
	}
	l.done.Go(func() {
		for ctx.Err() == nil {
			l.look()
			time.Sleep(100 * time.Millisecond)
		}
	})
	return l
}

// look is the balancer's look at which nodes are ready.
func (l *load) look() {
	for _, n := range l.all() {
		asked := make(chan bool, 1)
		go func() { asked <- n.process.IsReady() }()
		select {
		case ready := <-asked:
			n.ready.Store(ready)
		case <-time.After(time.Second):
			n.ready.Store(false)
		}
	}
}

func (l *load) next(random *rand.Rand, caller int) harness.Change {
	c := harness.Change{Token: fmt.Sprint("token-", random.IntN(loadTenants)), Segment: fmt.Sprint("s", random.IntN(loadSegments)), Verb: "add"}
	if random.IntN(5) < 2 {
		c.Verb = "delete"
	}
	for range 1 + random.IntN(3) {
		c.Keys = append(c.Keys, strconv.Itoa((caller+1)*1_000+random.IntN(callerKeys)))
	}
	return c
}

// write posts a change until it is answered with 200, for a minute at most beside the time
// that the database may be away.
func (l *load) write(c harness.Change, random *rand.Rand) {
	l.ledger.Try(c)
	for deadline := time.Now().Add(time.Minute + *away); time.Now().Before(deadline); {
		var ready []*node
		for _, n := range l.all() {
			if n.ready.Load() {
				ready = append(ready, n)
			}
		}
		if len(ready) == 0 {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		n := ready[random.IntN(len(ready))]
		ctx, cancel := context.WithTimeout(context.Background(), lambdaWaits)
		err := n.process.PostBy(ctx, harness.Kept, c)
		cancel()
		if err == nil {
			l.ledger.Accept(c)
			l.answered()
			return
		}
		l.failed.Add(1)
		time.Sleep(10 * time.Millisecond)
	}
	l.ledger.Doubt(c)
	l.T.Errorf("a post was not answered with 200 for %v", time.Minute+*away)
}

func (l *load) answered() {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.gap, l.last = max(l.gap, now.Sub(l.last)), now
}

// longestGap is the longest time without any 200 since it was last asked for.
func (l *load) longestGap() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	gap := max(l.gap, now.Sub(l.last))
	l.gap, l.last = 0, now
	return gap
}

// finish ends the load and compares: nothing that was answered is lost, nothing is wrong, and
// the relays broke no promise to Split.
func (l *load) finish() {
	l.T.Helper()
	l.enough()
	l.done.Wait()
	harness.Eventually(l.T, 2*harness.Patience, "Split has what was accepted: "+l.ledger.Difference(l.Split), func() bool { return l.ledger.Difference(l.Split) == "" })
	time.Sleep(2 * time.Second) // what is wrong may come yet
	if difference := l.ledger.Difference(l.Split); difference != "" {
		l.T.Errorf("in the end: %s", difference)
	}
	l.T.Logf("%d posts accepted, %d attempts failed, %d calls to Split", l.ledger.Accepted(), l.failed.Load(), l.Split.Counts().Calls)
}
