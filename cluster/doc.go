// Package cluster has every node of several answer an operator for all of them. What the
// database knows any node tells by itself: parked keys, receipts, events. What only a
// tenant's owner knows, and what is to be done to its segments, is asked of the owner
// (Post), which answers through its own relay.
package cluster
