package cli

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"audiences/actors"
	"audiences/api/admin"
	"audiences/audience"
	shared "audiences/cluster"
	"audiences/journal/postgres"
	"audiences/journal/vault"
	"audiences/logging"
	"audiences/placement"
)

// cluster is this node's place among the others that share its journal. Of a relay that
// is alone it is nil, and its methods say so.
type cluster struct {
	*service
	database *postgres.Journal
	node     *placement.Node
	stall    *placement.Stall
	relay    *actors.Relay // from begin on
	shown    *shared.Relay // to operators, from begin on
	run      context.Context
	end      context.CancelFunc
	ended    chan struct{} // closed when run has ended
}

// exitStood is the exit code of a node that has to begin anew: others have declared it
// dead, or it stood still. Whoever supervises the process starts it again.
const exitStood = 75

// openDatabase opens the journal that several nodes share.
func (s *service) openDatabase(ctx context.Context, registry *prometheus.Registry) error {
	key, err := sharedKey(s.cfg.JournalKeyFile)
	if err != nil {
		return err
	}
	c := &cluster{service: s, stall: placement.NewStall(s.cfg.LeaseTime), ended: make(chan struct{})}
	c.run, c.end = context.WithCancel(context.Background())
	c.database, err = postgres.Open(ctx, postgres.Options{
		URL: s.cfg.JournalURL().Reveal(), Vault: key, Name: s.cfg.NodeName, Egress: s.cfg.EgressGroup, Version: s.process.build.version,
		Lease: s.cfg.LeaseTime, ReceiptsMaxAge: s.cfg.ReceiptsMaxAge, Reasons: reasons(), Refuse: c.stall.Refuse, Logger: s.logger, Registerer: registry,
		Hinted: func(h postgres.Hint) { c.relay.Hint(h.Tenant, h.Segment) }, // of slots alone that were claimed, after begin
	})
	if err != nil {
		return err
	}
	c.node = placement.NewNode(placement.Options{
		Table: c.database, Self: c.database.Self(), Lease: s.cfg.LeaseTime, Stall: c.stall, Fatal: c.fatal, Logger: s.logger, Registerer: registry,
		Claimed: func(slots audience.Slots) { c.relay.Claim(slots) },
		Release: func(slots audience.Slots, done func()) { c.relay.Release(slots, done) },
		Demand:  func() (float64, time.Time) { return c.relay.Demand() },
		Egress:  func(share float64, blocked time.Time) { c.relay.Egress(share, blocked) },
	})
	s.journal, s.cluster = c.database, c
	return nil
}

// sharedKey reads the key that all nodes seal tokens with.
func sharedKey(path string) (vault.Vault, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return vault.Vault{}, fmt.Errorf("read journalKeyFile: %w", err)
	}
	key, err := vault.Parse(content)
	if err != nil {
		return vault.Vault{}, fmt.Errorf("read journalKeyFile: %s: %w", path, err)
	}
	return key, nil
}

// fatal ends the process: another node may own its tenants by now.
func (c *cluster) fatal(err error) {
	c.logger.Error().Err(err).Msg("this node has to begin anew: ending at once; what was answered is in the journal")
	c.process.stderr.Flush(logging.LastWords)
	os.Exit(exitStood)
}

// sharing is what the relay has to know.
func (c *cluster) sharing() *actors.Sharing {
	if c == nil {
		return nil
	}
	return &actors.Sharing{Lease: c.node.Lease().Held, Within: c.node.Lease().Context, Peers: peers{c}}
}

// mayCall is asked before bytes go to Split; nil: nobody has to be asked.
func (c *cluster) mayCall() func() error {
	if c == nil {
		return nil
	}
	return c.node.Lease().Held
}

// begin takes part: from now on the relay is given tenants to deliver for.
func (c *cluster) begin(relay *actors.Relay) {
	if c == nil {
		return
	}
	c.relay = relay
	c.shown = shared.New(shared.Options{Local: relay, Post: c.database, Node: c.node, Self: c.database.Self(),
		Away: func() error { return cmp.Or(c.database.Away(), c.node.Lease().Held()) }})
	go c.database.Serve(c.run, c.shown.Answer)
	go func() {
		defer close(c.ended)
		c.node.Run(c.run)
	}()
}

// peers are the other nodes, for the relay, which is made before what asks them.
type peers struct{ *cluster }

func (p peers) Surrender(ctx context.Context, tenant audience.TenantID, only []audience.Segment) error {
	return p.shown.Surrender(ctx, tenant, only)
}

func (p peers) Regain(ctx context.Context, tenant audience.TenantID) error {
	return p.shown.Regain(ctx, tenant)
}

// operators is the relay that answers operators: for all nodes, where there are several.
func (s *service) operators() admin.Relay {
	if s.cluster == nil {
		return s.relay
	}
	return s.cluster.shown
}

// noticed is how long a node that leaves takes changes at least: until those who spread
// them have seen that it is not ready.
const noticed = 2 * time.Second

// leave hands this node's tenants over to others, if there are any. Changes are taken
// meanwhile.
func (c *cluster) leave(within time.Duration) {
	if c == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	if !c.node.HasOthers() {
		return
	}
	c.logger.Info().Msg("leaving: other nodes take over the tenants")
	until := time.After(noticed)
	c.node.Leave(ctx)
	select {
	case <-until:
	case <-ctx.Done():
	}
}

// bye takes the node out of the table; after that nothing is written any more.
func (c *cluster) bye() error {
	if c == nil {
		return nil
	}
	c.end()
	<-c.ended
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := c.node.Bye(ctx); err != nil {
		c.logger.Warn().Err(err).Msg("this node is still in the journal's table; the others take over when its lease is over")
	}
	return nil
}
