package placement

import (
	"context"
	"time"

	"audiences/audience"
)

// NodeID is the number of one life of a node; no other life, of any node, ever has it. 0
// is no node.
type NodeID uint32

// Table is what the nodes share.
type Table interface {
	// Beat renews this node's lease and does what the Beat asks for, in one round trip and
	// one transaction. Nothing of it is done where the node was declared dead, or where it
	// comes after a newer Beat of the node, having been given up before.
	Beat(context.Context, Beat) (View, error)
	// Leave takes this node's row away, and frees what it owns.
	Leave(context.Context) error
}

// Beat is what a node tells the table and asks of it.
type Beat struct {
	Lease   time.Duration  // from now, by the table's clock
	Leaving bool           // the node wants no slots any more
	Demand  float64        // calls a second that it would make, were there no limit of its address
	Blocked time.Time      // until when Split has barred its address, by the table's clock; zero: it has not
	Bury    Burial         // of nodes whose lease is over
	Release audience.Slots // of its own: they are free from now on
	Claim   audience.Slots // to be its own, those of them that are free or whose owner is dead
}

// Burial declares nodes dead. Nobody is buried where the node's own lease is over by the
// table's clock, or where that clock shows more than is foreseen: it was set ahead, and the
// others' leases may last.
type Burial struct {
	Foreseen time.Time     // the latest time that the table's clock may show; zero: nobody is declared dead
	Late     time.Duration // how long a lease has to be over
}

// View is what the table holds after a Beat.
type View struct {
	Now     time.Time                  // the table's clock
	Dead    bool                       // this node was declared dead; nothing else is told
	Members []Member                   // the nodes that are not dead, this one among them
	Owners  [audience.SlotCount]NodeID // of each slot; 0: it is free
}

// Member is one node.
type Member struct {
	ID      NodeID
	Name    string // what operators call it
	Egress  string // the nodes of one group leave through one address
	Version string // of its program
	Leaving bool
	Expires time.Time // by the table's clock
	Demand  float64
	Blocked time.Time // by the table's clock
}

// member is a node's row; the zero Member where it has none.
func (v *View) member(id NodeID) Member {
	for _, m := range v.Members {
		if m.ID == id {
			return m
		}
	}
	return Member{}
}

// Of is the slots that a node owns.
func (v *View) Of(id NodeID) (owned audience.Slots) {
	for slot, owner := range v.Owners {
		if owner == id {
			owned.Add(audience.Slot(slot))
		}
	}
	return owned
}

// free is the slots without an owner, or with one that is dead.
func (v *View) free() (free audience.Slots) {
	alive := map[NodeID]bool{}
	for _, m := range v.Members {
		alive[m.ID] = true
	}
	for slot, owner := range v.Owners {
		if !alive[owner] {
			free.Add(audience.Slot(slot))
		}
	}
	return free
}
