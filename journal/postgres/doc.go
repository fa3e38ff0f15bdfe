// Package postgres is the journal that several nodes share: a PostgreSQL database. It has
// both roles of the journal's door, and the table of package placement. It is the only
// package that knows the PostgreSQL driver.
//
//	open.go      Open and Close, what has to fit together before anything else
//	schema.go    the tables, and how they came to be
//	mark.go      a database that is moved to another journal, or the other way
//	line.go      a connection: seven of them, each used by one goroutine
//	accept.go    Append: groups of changes, each one fenced statement
//	group.go     what a group is made of
//	versions.go  which change is which, and when it came
//	clock.go     the database's clock
//	lanes.go     everything else: what concerns one segment is done in its order
//	remove.go    Settle and Park, by version
//	handover.go  keys become pending again, there or elsewhere
//	unpark.go    Unpark
//	move.go      MoveTenant
//	states.go    states, tenants that are proven, events
//	load.go      pages and counts
//	find.go      the search for a key
//	receipts.go  what was delivered
//	lists.go     tenants, segments
//	hints.go     which segments have keys that their owner does not know of
//	beat.go      the table of package placement
//	tidy.go      what is of no more use
//	health.go    what of the database an operator should know
//	stuck.go     what waits for an operator, for the metrics
//	snapshot.go  the oldest snapshot, which keeps dead rows from being cleared away
//	examine.go   the questions that a check asks, which change nothing
//	findings.go  what the answers mean
//	records.go   what each table holds
//
// A post is committed by the node that it came to, whoever owns the tenant: one statement
// carries all that came while the one before was under way. F1 is part of it: a node that
// was declared dead writes nothing, and nothing is written that a caller has waited for
// too long. A key's row has the version of its last change, and whoever settles or parks a
// key names the version that Split got (F2).
//
// Where the order of two changes matters, PostgreSQL keeps it: the row of a key is locked
// by the change that is being committed. All statements lock the rows of a segment in the
// order of its keys, so that none waits for one that waits for it.
package postgres
