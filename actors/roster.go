package actors

import (
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
// The generation is part of the child's name: the name of one that is still
// ending cannot be taken again.
type roster[K comparable] struct {
	children map[K]*child
	spawned  uint64
}

type child struct {
	pid        *actor.PID
	generation uint64
	sent       uint64
	sentBefore uint64 // sent at the last sweep
	share      *share // of a segment; nil for a tenant
}

// find returns the child of that key, or nil.
func (r *roster[K]) find(key K) *child { return r.children[key] }

// adopt spawns a child under a name of its own and puts it on the list.
func (r *roster[K]) adopt(ctx actor.Context, key K, name string, props func(generation uint64) *actor.Props) *child {
	r.spawned++
	pid, err := ctx.SpawnNamed(props(r.spawned), name+"#"+strconv.FormatUint(r.spawned, 10))
	if err != nil {
		panic(err) // the generation makes the name unique, and nothing else can fail here
	}
	if r.children == nil {
		r.children = make(map[K]*child)
	}
	c := &child{pid: pid, generation: r.spawned}
	r.children[key] = c
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
	ctx.Poison(c.pid)
	return true
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
