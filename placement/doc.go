// Package placement says which tenants this node delivers, where several nodes share one
// journal. Every node accepts, whatever the tenant; delivery needs one owner, so that
// calls of one tenant are in order and its organisation's pace is kept in one place.
//
// The tenants are divided into slots (audience.Slot). A table that all nodes share, in
// the journal's database, has a row for each node and one for each slot:
//
//	node.go    the loop: beats, claims slots that are free, releases those that another node is to have
//	lease.go   how long this node may call Split, without having heard from the table
//	assign.go  which slots are whose
//	budget.go  who may use how much of an address's budget
//	stall.go   whether the process stood still
//	table.go   what the table is asked for, in one round trip
//	metrics.go what a node shows of itself
//
// A node says that it is there by a beat, six times in the time of a lease, and the
// table's clock alone says when its lease is over. A lease that is over is renewed by
// the next beat, unless somebody has declared the node dead meanwhile: then its slots
// are free, and its process must end (F4). Only a node that has held its own lease for
// as long as a lease takes declares others dead. Otherwise the first one that is back
// after an outage of the database would declare all others dead.
//
// All nodes compute the same assignment from the same rows. A claim is one conditional
// update, so that no slot ever has two owners in the table. That no former owner calls
// Split any more is what the lease is for (F3): its end on the owner's clock comes before
// its end in the table, and nobody claims before that.
//
// A process that is alone needs none of this: it has all slots, and no lease.
package placement
