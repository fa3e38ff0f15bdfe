package cluster

import (
	"context"
	"fmt"
	"sort"
	"sync"
	"time"

	"audiences/actors"
	"audiences/audience"
	"audiences/placement"
	"audiences/status"
)

// Post carries questions to other nodes, and their answers back.
type Post interface {
	Ask(ctx context.Context, node placement.NodeID, question []byte) (answer []byte, err error)
}

// Options are what a Relay works with. All are required.
type Options struct {
	Local *actors.Relay
	Post  Post
	Node  *placement.Node
	Self  placement.NodeID
	// Away is why the shared journal cannot be asked now; nil: it can.
	Away func() error
}

// Relay answers for all nodes what actors.Relay answers for one.
type Relay struct {
	*actors.Relay // what it answers by itself
	o             Options
}

// New makes one.
func New(o Options) *Relay { return &Relay{Relay: o.Local, o: o} }

// patience is how long another node may take to say how it is. One that stands still is
// missed before its lease is over.
const patience = 3 * time.Second

// Status is every tenant of every node. The tenants of a node that does not answer are left
// out, and while the journal is away those of all other nodes: then status.ErrPartial comes
// with the list.
func (r *Relay) Status(ctx context.Context) ([]status.Tenant, error) {
	local, err := r.Listing(ctx)
	if err != nil {
		return nil, err
	}
	local.Node = r.name(r.o.Self)
	listings := []actors.Listing{local}
	if err := r.o.Away(); err != nil {
		return actors.Status(local), fmt.Errorf("%w: %w", status.ErrPartial, err)
	}
	var partial error
	for _, answered := range r.askAll(ctx, question{Kind: askListing}) {
		if answered.err != nil {
			partial = fmt.Errorf("%w: %s does not answer", status.ErrPartial, answered.from.Name)
			continue
		}
		answered.Listing.Node = answered.from.Name
		listings = append(listings, answered.Listing)
	}
	return actors.Status(listings...), partial
}

// Budgets are those of this node's address, and of the tenants of all nodes.
func (r *Relay) Budgets(ctx context.Context) ([]status.Budget, error) {
	all, err := r.Relay.Budgets(ctx)
	if err != nil || r.o.Away() != nil {
		return all, err
	}
	for _, answered := range r.askAll(ctx, question{Kind: askBudgets}) {
		for _, b := range answered.Budgets {
			if b.Tenant != "" {
				all = append(all, b)
			}
		}
	}
	ofTenants := all[1:]
	sort.Slice(ofTenants, func(i, j int) bool { return ofTenants[i].Tenant < ofTenants[j].Tenant })
	return all, nil
}

// Segment is asked of the owner. It, and all else that the journal is needed for, is refused
// at once while that is away.
func (r *Relay) Segment(ctx context.Context, segment audience.Segment) (status.Detail, error) {
	if err := r.o.Away(); err != nil {
		return status.Detail{}, err
	}
	owner, local := r.owner(segment.Tenant)
	if local {
		return r.Relay.Segment(ctx, segment)
	}
	got, err := r.ask(ctx, owner, question{Kind: askSegment, Segment: segment})
	return got.Detail, err
}

// Remedy is carried out by the owner.
func (r *Relay) Remedy(ctx context.Context, wish status.Wish) (status.Effect, error) {
	if err := r.o.Away(); err != nil {
		return status.Effect{}, err
	}
	owner, local := r.owner(wish.Segment.Tenant)
	if local {
		return r.Relay.Remedy(ctx, wish)
	}
	got, err := r.ask(ctx, owner, question{Kind: askRemedy, Wish: wish})
	return got.Effect, err
}

// Where is asked of the owner of the tenant. Without one, this node tells what the journal
// has of all tenants, and only of its own whether a key is in flight.
func (r *Relay) Where(ctx context.Context, in audience.Segment, key audience.Key, after string) (status.Whereabouts, error) {
	if err := r.o.Away(); err != nil {
		return status.Whereabouts{}, err
	}
	owner, local := r.owner(in.Tenant)
	if local || in.Tenant == (audience.TenantID{}) {
		return r.Relay.Where(ctx, in, key, after)
	}
	got, err := r.ask(ctx, owner, question{Kind: askWhere, Segment: in, Key: key.Text(), After: after})
	return got.Where, err
}

// Parked is what the journal tells any node.
func (r *Relay) Parked(ctx context.Context, in audience.Segment, after string, limit int) (status.ParkedPage, error) {
	if err := r.o.Away(); err != nil {
		return status.ParkedPage{}, err
	}
	return r.Relay.Parked(ctx, in, after, limit)
}

// Events are those of all nodes, which the journal has.
func (r *Relay) Events(ctx context.Context, before uint64, limit int) ([]status.Event, error) {
	if err := r.o.Away(); err != nil {
		return nil, err
	}
	return r.Relay.Events(ctx, before, limit)
}

// Note keeps an event in the journal.
func (r *Relay) Note(ctx context.Context, event status.Event) error {
	if err := r.o.Away(); err != nil {
		return err
	}
	return r.Relay.Note(ctx, event)
}

// Surrender has segments of another node's tenant give up their keys for a move, and
// Regain look at the journal again, see actors.Peers.
func (r *Relay) Surrender(ctx context.Context, tenant audience.TenantID, only []audience.Segment) error {
	return r.ofOwner(ctx, question{Kind: askSurrender, Segment: audience.Segment{Tenant: tenant}, Segments: only})
}

// Regain is the end of Surrender.
func (r *Relay) Regain(ctx context.Context, tenant audience.TenantID) error {
	return r.ofOwner(ctx, question{Kind: askRegain, Segment: audience.Segment{Tenant: tenant}})
}

func (r *Relay) ofOwner(ctx context.Context, q question) error {
	owner, local := r.owner(q.Segment.Tenant)
	if local {
		return actors.ErrElsewhere // it has come here meanwhile: the operator is to ask again
	}
	_, err := r.ask(ctx, owner, q)
	return err
}

// Nodes are all that the table knows, by their names.
func (r *Relay) Nodes(ctx context.Context) ([]status.Node, error) {
	view, ok := r.o.Node.View()
	if !ok {
		return nil, status.ErrNoAnswer
	}
	silent := map[placement.NodeID]bool{}
	if r.o.Away() == nil {
		for _, answered := range r.askAll(ctx, question{Kind: askPresence}) {
			silent[answered.from.ID] = answered.err != nil
		}
	}
	nodes := []status.Node{}
	for _, m := range view.Members {
		n := status.Node{Name: m.Name, Number: uint32(m.ID), Version: m.Version, Egress: m.Egress, State: status.NodeReady,
			Slots: view.Of(m.ID).Len(), Expires: time.Now().Add(m.Expires.Sub(view.Now)), Demand: m.Demand, Self: m.ID == r.o.Self}
		switch {
		case !m.Expires.After(view.Now):
			n.State = status.NodeLate
		case silent[m.ID]:
			n.State = status.NodeSilent
		case m.Leaving:
			n.State = status.NodeLeaving
		}
		nodes = append(nodes, n)
	}
	sort.Slice(nodes, func(i, j int) bool {
		a, b := &nodes[i], &nodes[j]
		return a.Name < b.Name || a.Name == b.Name && a.Number < b.Number
	})
	return nodes, nil
}

// owner is who delivers for a tenant; local: this node does, or nobody knows.
func (r *Relay) owner(tenant audience.TenantID) (owner placement.NodeID, local bool) {
	view, ok := r.o.Node.View()
	owner = view.Owners[tenant.Slot()]
	return owner, !ok || owner == r.o.Self
}

func (r *Relay) name(id placement.NodeID) string {
	view, _ := r.o.Node.View()
	for _, m := range view.Members {
		if m.ID == id {
			return m.Name
		}
	}
	return fmt.Sprintf("node %d", id)
}

// ask asks one node.
func (r *Relay) ask(ctx context.Context, node placement.NodeID, q question) (answer, error) {
	if node == 0 {
		return answer{}, status.ErrNoAnswer
	}
	text, err := encode(q)
	if err != nil {
		return answer{}, err
	}
	limited, cancel := context.WithTimeout(ctx, 10*patience)
	defer cancel()
	got, err := r.o.Post.Ask(limited, node, text)
	if err != nil {
		return answer{}, fmt.Errorf("%w (%s)", status.ErrNoAnswer, r.name(node))
	}
	a, err := decode[answer](got)
	if err != nil {
		return answer{}, err
	}
	return a, a.failure()
}

// answered is what one of several nodes answered.
type answered struct {
	answer
	from placement.Member
	err  error
}

// askAll asks all other nodes at once.
func (r *Relay) askAll(ctx context.Context, q question) []answered {
	view, _ := r.o.Node.View()
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var all []answered
	for _, m := range view.Members {
		if m.ID != r.o.Self {
			all = append(all, answered{from: m})
		}
	}
	var asking sync.WaitGroup
	for i := range all {
		asking.Go(func() { all[i].answer, all[i].err = r.ask(limited, all[i].from.ID, q) })
	}
	asking.Wait()
	return all
}
