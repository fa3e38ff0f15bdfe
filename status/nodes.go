package status

import (
	"errors"
	"time"
)

// ErrNoAnswer is why nothing is known of a tenant: the node that delivers for it does not
// answer.
var ErrNoAnswer = errors.New("the node that delivers for this tenant does not answer")

// ErrPartial comes with a list that may lack tenants: nodes did not answer.
var ErrPartial = errors.New("not all tenants can be seen")

// NodeState is what a node is about.
type NodeState string

// The states of a node.
const (
	NodeReady   NodeState = "ready"     // it takes changes and delivers
	NodeLeaving NodeState = "leaving"   // it hands its tenants over
	NodeLate    NodeState = "late"      // its lease is over: another node takes over, unless it is heard of at once
	NodeSilent  NodeState = "no_answer" // its lease lasts, but it did not answer this question
)

// Node is one of the nodes that share a journal.
type Node struct {
	Name    string    `json:"name"`
	Number  uint32    `json:"number"` // of this life of the node
	Version string    `json:"version"`
	Egress  string    `json:"egress"` // nodes of one group share Split's limit of their address
	State   NodeState `json:"state"`
	Slots   int       `json:"slots"`   // of 256, that it delivers for
	Expires time.Time `json:"expires"` // end of its lease, by this node's clock
	Demand  float64   `json:"demand"`  // calls a second that it would make
	Self    bool      `json:"self"`    // it is the one that answers
}
