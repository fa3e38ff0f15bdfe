package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"audiences/api/admin"
	"audiences/api/keyfile"
	"audiences/journal/vault"
	"audiences/sandbox"
	"audiences/sandbox/postgres"
	"audiences/status"
)

// fleet is several relays on one PostgreSQL, behind a balancer. Its fields are touched by
// one goroutine at a time: of start, then run, then stop.
type fleet struct {
	trial
	config   string // the nodes' configuration
	database *postgres.Server
	balancer *balancer
	shown    io.Writer
	log      io.Writer // of the nodes

	begun  int
	nodes  []*node        // one at each place
	turn   int            // whose place is next to be killed
	gone   []gone         // whom nobody has taken over from yet
	shares map[string]int // slots by the names of nodes, at the last look
}

const (
	fleetLooks  = 250 * time.Millisecond
	fleetStarts = time.Minute      // until all nodes are ready, also on a busy machine
	fleetLease  = 3 * time.Second  // so that a take-over is seen soon
	takesOver   = 4 * fleetLease   // until the last take-over, at the end
	fleetAnswer = 10 * time.Second // of the database, to one question
)

// several runs the relays, until it is told to end; left is how many keys they had not
// delivered then.
func (t trial) several(ctx context.Context, p process, shown io.Writer, split *sandbox.Server, traffic *sandbox.Traffic) (left int, err error) {
	if err := t.installed(); err != nil {
		return 0, fmt.Errorf("--nodes runs a PostgreSQL of its own, which is not installed: apt-get install postgresql (%w)", err)
	}
	dir, err := os.MkdirTemp("", "audiences-sandbox-")
	if err != nil {
		return 0, fmt.Errorf("make sandbox directory: %w", err)
	}
	defer os.RemoveAll(dir)
	database, err := postgres.Start(ctx, postgres.Options{})
	if err != nil {
		return 0, err
	}
	defer func() {
		if stopped := database.Stop(); err == nil {
			err = stopped
		}
	}()
	f := &fleet{trial: t, database: database, shown: shown, log: p.stderr, shares: map[string]int{}}
	if f.config, err = f.configureNodes(dir, split.URL); err != nil {
		return 0, err
	}
	entry, err := keyfile.Load(filepath.Join(dir, sandboxKey), keyfile.Options{Password: sandboxPassword})
	if err != nil {
		return 0, err
	}
	if f.balancer, err = newBalancer(t.port, entry); err != nil {
		return 0, err
	}
	defer f.balancer.close()
	watching, unwatch := context.WithCancel(ctx)
	defer unwatch()
	go f.balancer.watch(watching)
	defer f.killAll()
	if err := f.start(ctx); err != nil {
		return 0, err
	}
	url := f.balancer.url()
	fmt.Fprintf(shown, fleetText, url, f.pages(), split.URL)
	fmt.Fprintf(shown, tryText, sandboxToken, url, split.URL)
	if err = t.play(ctx, shown, url, traffic, f.events, f.run); err != nil {
		return 0, err
	}
	return f.left()
}

// configureNodes writes the configuration of all nodes, which have their ports to
// themselves.
func (f *fleet) configureNodes(dir, splitURL string) (path string, err error) {
	const key = "journal.key"
	_, content := vault.Make()
	if err := os.WriteFile(filepath.Join(dir, key), content, 0o600); err != nil {
		return "", fmt.Errorf("write sandbox journal key: %w", err)
	}
	return f.configure(dir, splitURL, map[string]any{"port": 0, "journal": f.database.URL(), "journalKeyFile": key,
		"leaseTime": fleetLease.Seconds(), "logFormat": "json"})
}

// start begins all nodes and waits until they are ready.
func (f *fleet) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, fleetStarts, fmt.Errorf("the nodes are not ready within %v", fleetStarts))
	defer cancel()
	f.nodes = make([]*node, f.count)
	for place := range f.nodes {
		if err := f.begin(place); err != nil {
			return err
		}
	}
	for {
		if err := f.look(); err != nil {
			return err
		}
		waiting := false
		for _, n := range f.nodes {
			waiting = waiting || !n.served
		}
		if !waiting {
			return nil
		}
		select {
		case <-time.After(fleetLooks):
		case <-ctx.Done():
			return fmt.Errorf("start nodes: %w", context.Cause(ctx))
		}
	}
}

// begin starts the next node at a place.
func (f *fleet) begin(place int) error {
	f.begun++
	port := f.adminPort
	if port != 0 {
		port += place
	}
	n, err := startNode(fmt.Sprint("node", f.begun), f.config, fmt.Sprintf("127.0.0.1:%d", port), f.log)
	if err != nil {
		return err
	}
	f.nodes[place] = n
	return nil
}

// run looks after the nodes until ctx ends, and then has them drain.
func (f *fleet) run(ctx context.Context) error {
	looks := time.NewTicker(fleetLooks)
	defer looks.Stop()
	var kills <-chan time.Time
	if f.killEvery > 0 {
		ticker := time.NewTicker(f.killEvery)
		defer ticker.Stop()
		kills = ticker.C
	}
	for {
		var err error
		select {
		case <-ctx.Done():
			return f.stop()
		case <-kills:
			err = f.killNext()
		case <-looks.C:
			err = f.look()
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// killNext kills one node, each in its turn. One that was never ready is spared: it has
// nothing to lose.
func (f *fleet) killNext() error {
	place := f.turn % len(f.nodes)
	n := f.nodes[place]
	if !n.served || n.HasEnded() {
		return nil
	}
	f.turn++
	n.kill()
	return f.replace(place, fmt.Sprintf("was killed (process %d)", n.PID()))
}

// replace has a new node begin in the place of one that has ended.
func (f *fleet) replace(place int, how string) error {
	old := f.nodes[place]
	if err := f.begin(place); err != nil {
		return err
	}
	ended := time.Now()
	if f.readShares(); f.shares[old.name] > 0 {
		f.gone = append(f.gone, gone{old.name, f.shares[old.name], ended})
	}
	f.tell("%s %s; %s begins in its place", old.name, how, f.nodes[place].name)
	return nil
}

// look sees which nodes have ended, have begun to serve, and have taken over from others.
func (f *fleet) look() error {
	var targets []*target
	for place, n := range f.nodes {
		switch {
		case n.HasEnded() && !n.served && n.Cmd.ProcessState.ExitCode() != exitStood:
			return fmt.Errorf("%s did not start: %s", n.name, n.end())
		case n.HasEnded():
			if err := f.replace(place, "has ended: "+n.end()); err != nil {
				return err
			}
		case !n.served && n.isReady():
			n.served = true
			if f.begun > len(f.nodes) {
				f.tell("%s is ready: http://%s/admin/dashboard", n.name, n.found.Load().admin)
			}
		}
		if found := f.nodes[place].found.Load(); found != nil {
			targets = append(targets, found)
		}
	}
	f.balancer.use(targets)
	f.tellTakeOvers()
	return nil
}

// stop waits for the take-overs that are under way, has all nodes but one hand their
// tenants over, and then the last one deliver what is pending.
func (f *fleet) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), takesOver)
	defer cancel()
	for len(f.gone) > 0 && ctx.Err() == nil {
		if err := f.look(); err != nil {
			return err
		}
		time.Sleep(fleetLooks)
	}
	last := len(f.nodes) - 1
	stopAll(f.nodes[:last])
	stopAll(f.nodes[last:])
	for _, n := range f.nodes {
		if !n.Cmd.ProcessState.Success() {
			f.tell("%s has ended otherwise than it was told: %s", n.name, n.end())
		}
	}
	return nil
}

func stopAll(nodes []*node) {
	var stopping sync.WaitGroup
	for _, n := range nodes {
		stopping.Go(n.stop)
	}
	stopping.Wait()
}

// killAll ends what still runs, where something has failed.
func (f *fleet) killAll() {
	for _, n := range f.nodes {
		if n != nil {
			n.kill()
		}
	}
}

// events are the last ones of all nodes, the newest first, which any node tells.
func (f *fleet) events(ctx context.Context) []status.Event {
	for _, t := range f.balancer.ready() {
		var list admin.EventList
		if ask(ctx, "http://"+t.admin+"/admin/api/v1/events?limit=100", &list) == nil {
			return list.Events
		}
	}
	return nil
}

func ask(ctx context.Context, url string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, balancerWaits)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	return json.NewDecoder(response.Body).Decode(into)
}

// pages are where each node shows itself.
func (f *fleet) pages() string {
	var text strings.Builder
	for _, n := range f.nodes {
		admin := n.found.Load().admin
		fmt.Fprintf(&text, "%-13s page http://%s/admin/dashboard   probes http://%s/readyz and /metrics\n", n.name, admin, admin)
	}
	return text.String()
}

// tell prints what happens to nodes.
func (f *fleet) tell(format string, args ...any) {
	fmt.Fprintf(f.shown, "%6.1fs  %s\n", time.Since(f.began).Seconds(), fmt.Sprintf(format, args...))
}
