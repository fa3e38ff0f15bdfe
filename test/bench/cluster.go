package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"audiences/sandbox/postgres"
)

// nodeServer is so many nodes on one PostgreSQL, as a server of turns.
func nodeServer(nodes int) string { return fmt.Sprintf("%d on PostgreSQL", nodes) }

const embeddedServer = "relay with a journal of its own"

// measureCluster: posts of one key to one, two and three nodes that share a PostgreSQL, beside
// a relay with its own journal. All share the machine, PostgreSQL included: what more
// machines would bring, the processor time of each post tells.
func measureCluster(ctx context.Context, h *house, r *report) error {
	server, err := postgres.Start(ctx, postgres.Options{Durable: true})
	if err != nil {
		return err
	}
	defer func() { _ = server.Stop() }()
	t := &turns{}
	var sites []*site
	add := func(name string, nodes int) error {
		var targets []target
		database, err := server.NewDatabase(ctx, "")
		if err != nil {
			return err
		}
		for n := range max(nodes, 1) {
			s, err := h.newSite(h.ecdsa, unlimited)
			if err != nil {
				return err
			}
			s.settings["segmentsFlushRateInSeconds"] = 3600 // what is accepted is not delivered meanwhile
			if nodes > 0 {
				if err := onDatabase(s, database, n); err != nil {
					return err
				}
			}
			if err := s.start(nil); err != nil {
				return err
			}
			sites = append(sites, s)
			targets = append(targets, s.target(newLedger(fmt.Sprintf("n%d_%d", nodes, n), 100)))
		}
		t.add(name, func() (outcome, error) { return together(ctx, server, targets, h.each) })
		return nil
	}
	if err := add(embeddedServer, 0); err != nil {
		return err
	}
	for nodes := 1; nodes <= 3; nodes++ {
		if err := add(nodeServer(nodes), nodes); err != nil {
			return err
		}
	}
	if err := t.measure(h.rounds, 1); err != nil {
		return err
	}
	what := fmt.Sprintf("%d kept connections to each node, 100 segments", keptConnections)
	for nodes := 1; nodes <= 3; nodes++ {
		database := t.spread(nodeServer(nodes), databaseInMicros)
		r.check(fmt.Sprintf("%s, %d nodes: PostgreSQL's CPU a post", what, nodes), "20 us", database.text("%.0f")+" us", database.median <= 20, true)
		ratio := t.compare(nodeServer(nodes), embeddedServer, costInMicros)
		r.check(fmt.Sprintf("%s, %d nodes: relays' CPU a post", what, nodes), "1.15 of a single one's", ratio.text("%.2f"), ratio.median <= 1.15, true)
	}
	r.table("cluster", t.rows(what, slices.Concat(loadFigures, []figure{{"PostgreSQL's CPU a post, us", databaseInMicros, "%.0f"}})))
	var stopped error
	for _, s := range slices.Backward(sites) {
		stopped = errors.Join(stopped, s.stop())
	}
	return stopped
}

func databaseInMicros(o outcome) float64 {
	return o.database.Seconds() * 1e6 / float64(max(1, o.posts))
}

// onDatabase makes a site the node of that number of those that share a database.
func onDatabase(s *site, database string, n int) error {
	key := filepath.Join(s.dir, "journal.key")
	if err := os.WriteFile(key, []byte(hex.EncodeToString(make([]byte, 32))), 0o600); err != nil {
		return err
	}
	delete(s.settings, "journalDir")
	s.settings["journal"], s.settings["journalKeyFile"] = database, key
	s.settings["nodeName"] = fmt.Sprint("node", n)
	return nil
}

// together loads all nodes at once, each by as many connections as a single one has.
func together(ctx context.Context, server *postgres.Server, targets []target, lasting time.Duration) (all outcome, err error) {
	before, err := server.CPU()
	if err != nil {
		return all, err
	}
	if all, err = atOnce(ctx, targets, keptConnections, lasting); err != nil {
		return all, err
	}
	after, err := server.CPU()
	all.database = after - before
	return all, err
}

// atOnce is closedLoop of several targets, each with so many connections.
func atOnce(ctx context.Context, targets []target, connections int, lasting time.Duration) (all outcome, err error) {
	outcomes, failures := make([]outcome, len(targets)), make([]error, len(targets))
	var loading sync.WaitGroup
	for i, t := range targets {
		loading.Go(func() { outcomes[i], failures[i] = t.closedLoop(ctx, connections, lasting) })
	}
	loading.Wait()
	for _, o := range outcomes {
		all.posts += o.posts
		all.server += o.server
		all.took = max(all.took, o.took)
		all.client = o.client // of this process, for all of them
		all.latencies = append(all.latencies, o.latencies...)
	}
	slices.Sort(all.latencies)
	return all, errors.Join(failures...)
}
