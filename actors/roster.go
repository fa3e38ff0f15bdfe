package actors

import (
	"strconv"
	"unique"

	"audiences/actors/pace"
	"audiences/audience"

	"github.com/asynkron/protoactor-go/actor"
)

// roster is a parent's list of its children, and the parent's half of the
// passivation handshake.
//
// A message that is queued behind a Poison vanishes without a trace, so a child
// may only be let go when nothing can be on its way to it. Hence: only the
// parent sends to the child, and counts what it sent (tell); the child counts
// what it has seen. An idle child tells its parent both its generation and its
// count, and the parent lets it go only if the count is its own (release).
// Otherwise something is on its way, and the child lives on.
//
// The generation is the child's name: the name of one that is still ending cannot
// be taken again.
//
// A parent may have a million children and let all but a few of them go, so none
// of them may cost anything afterwards: hence a table, not a map.
type roster[K comparable] struct {
	children pace.Table[K, *child]
	spawned  uint64

	props   *actor.Props // of all children
	newborn actor.Actor
}

// newRoster makes an empty list of children that have these properties. The actor
// library keeps a child's properties for as long as it lives; they are the same
// for all. It asks them for the actor once, while it is spawned, since no child is
// ever restarted.
func newRoster[K comparable](properties ...actor.PropsOption) *roster[K] {
	r := &roster[K]{}
	r.props = actor.PropsFromProducer(func() actor.Actor { return r.newborn }, properties...)
	return r
}

type child struct {
	pid        *actor.PID
	generation uint64
	sent       uint64
	sentBefore uint64    // sent at the last sweep
	survivor   *survivor // of a segment; nil for a tenant
	described  bool      // of a segment: the journal knows its name
}

// len is the number of children.
func (r *roster[K]) len() int { return r.children.Len() }

// find returns the child of that key, or nil.
func (r *roster[K]) find(key K) *child { return r.children.Get(key) }

// adopt spawns a child under a name of its own and puts it on the list.
func (r *roster[K]) adopt(ctx actor.Context, key K, create func(generation uint64) actor.Actor) *child {
	r.spawned++
	r.newborn = create(r.spawned)
	pid, err := ctx.SpawnNamed(r.props, strconv.FormatUint(r.spawned, 10))
	if err != nil {
		panic(err) // the generation makes the name unique, and nothing else can fail here
	}
	r.newborn = nil
	c := &child{pid: pid, generation: r.spawned}
	r.children.Put(key, c)
	return c
}

// tell sends a message to a child and counts it.
func (r *roster[K]) tell(ctx actor.Context, c *child, message fromParent) {
	c.sent++
	ctx.Send(c.pid, message)
}

// release lets an idle child go, if nothing is on its way to it.
func (r *roster[K]) release(ctx actor.Context, key K, generation, seen uint64) bool {
	c := r.children.Get(key)
	if c == nil || c.generation != generation || c.sent != seen {
		return false
	}
	r.children.Delete(key)
	ctx.Poison(c.pid)
	return true
}

// ended is told that a child has ended. The actor library's own list of children
// is shorter by one then, but still holds, behind its end, the child that was last
// on it: with its mailbox and all that it ever knew.
func (r *roster[K]) ended(ctx actor.Context) {
	children := ctx.Children()
	if n := len(children); n < cap(children) {
		children[:n+1][n] = nil
	}
}

// endIfAlone ends the actor itself, if it has no children any more.
func endIfAlone(ctx actor.Context) {
	if len(ctx.Children()) == 0 {
		ctx.Stop(ctx.Self())
	}
}

// sweep asks every child that got no message since the last sweep whether it
// may be let go. A counter instead of a clock: nothing is read or stored on
// the way of a message.
func (r *roster[K]) sweep(ctx actor.Context) {
	for _, c := range r.children.All() {
		if c.sent == c.sentBefore {
			r.tell(ctx, c, &rest{})
		}
		c.sentBefore = c.sent
	}
}

// localName is the name of a segment within its tenant, and a cheap map key. Each
// change brings strings of its own; those that thousands of segments have in
// common are kept once.
type localName struct {
	where unique.Handle[whereabouts]
	name  string
}

type whereabouts struct{ workspace, environment, trafficType string }

func localNameOf(s audience.Segment) localName {
	return localName{unique.Make(whereabouts{s.Workspace, s.Environment, s.TrafficType}), s.Name}
}

// of is the whole name, with the tenant.
func (n localName) of(tenant audience.TenantID) audience.Segment {
	w := n.where.Value()
	return audience.Segment{Tenant: tenant, Workspace: w.workspace, Environment: w.environment, TrafficType: w.trafficType, Name: n.name}
}
