package actors

import (
	"maps"
	"strconv"

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
// of them may cost anything afterwards. Maps keep the room that they once needed;
// the roster moves to a smaller one.
type roster[K comparable] struct {
	children map[K]*child
	most     int // children since the map was made
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
}

// find returns the child of that key, or nil.
func (r *roster[K]) find(key K) *child { return r.children[key] }

// adopt spawns a child under a name of its own and puts it on the list.
func (r *roster[K]) adopt(ctx actor.Context, key K, create func(generation uint64) actor.Actor) *child {
	r.spawned++
	r.newborn = create(r.spawned)
	pid, err := ctx.SpawnNamed(r.props, strconv.FormatUint(r.spawned, 10))
	if err != nil {
		panic(err) // the generation makes the name unique, and nothing else can fail here
	}
	r.newborn = nil
	if r.children == nil {
		r.children = make(map[K]*child)
	}
	c := &child{pid: pid, generation: r.spawned}
	r.children[key] = c
	r.most = max(r.most, len(r.children))
	return c
}

// tell sends a message to a child and counts it.
func (r *roster[K]) tell(ctx actor.Context, c *child, message fromParent) {
	c.sent++
	ctx.Send(c.pid, message)
}

// release lets an idle child go, if nothing is on its way to it.
func (r *roster[K]) release(ctx actor.Context, key K, generation, seen uint64) bool {
	c := r.children[key]
	if c == nil || c.generation != generation || c.sent != seen {
		return false
	}
	delete(r.children, key)
	r.children = fitted(r.children, &r.most)
	ctx.Poison(c.pid)
	return true
}

// ended takes in that a child has ended. The actor library's own list of children
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

// fitted is the map, or a copy of it in place of one with room for far more than
// is left in it; most is the number of its entries at most since it was made.
func fitted[K comparable, V any](m map[K]V, most *int) map[K]V {
	const small = 64 // not worth it
	if *most < small || len(m) > *most/8 {
		return m
	}
	*most = len(m)
	smaller := make(map[K]V, len(m))
	maps.Copy(smaller, m)
	return smaller
}

// sweep asks every child that got no message since the last sweep whether it
// may be let go. A counter instead of a clock: nothing is read or stored on
// the way of a message.
func (r *roster[K]) sweep(ctx actor.Context) {
	for _, c := range r.children {
		if c.sent == c.sentBefore {
			r.tell(ctx, c, &rest{})
		}
		c.sentBefore = c.sent
	}
}
