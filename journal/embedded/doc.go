// Package embedded is the journal on this machine's disk: the roles of package journal
// over a store of records (Pebble), with one writer, the committer.
//
//	journal.go    the Journal, its options, its end; the disk or memory that it lies on
//	open.go       what Open does, and the file FORMAT
//	setaside.go   opening the store, and setting a damaged one aside (I8)
//	inspect.go    what an Open would find
//	mark.go       a journal that is moved to another one, or another one to it
//	pebble.go     the store's options, events and log, and when it compacts
//	keeper.go     looks at disk and directory, and makes room
//	metrics.go    the series, and what the log says of parked keys at the start
//
//	keyspace.go   the records and their order
//	queue.go      where operations wait, and how long for others to share an fsync with
//	committer.go  writes them in groups, one fsync each
//	intake.go     what is accepted: Append; PutTenant, Prove
//	settle.go     Settle, Park, states, Forget; which segments may have parked keys
//	remove.go     what a Settle and a Park take out of the pending keys, by version
//	versions.go   gives versions and knows their times
//	steps.go      Unpark, MoveTenant: operations in many steps
//	reads.go      Load, Parked, Count
//	lists.go      Segments, SegmentsOf, Tenants, Proven
//	iterate.go    ways through the records
//	receipts.go   what is kept of deliveries; packedkeys.go how
//	find.go       Find: where is a key
//	events.go     what happened: the last events
//	tally.go      how much is parked and paused, also from before the start
//
// Below it are packages that know nothing of the records: disk (the files, the room for
// them, where they have to be found), vault (encrypts apiTokens) and damage (tells it from
// a torn end).
//
// # Goroutines
//
//	committer  one. Takes operations from the queue in the order handed in, merges
//	           what waits into one batch of the store, makes one fsync and then answers
//	           every operation of the batch. While it waits for the disk the next group
//	           gathers, and for a moment more where several callers share an fsync (pace);
//	           a lone caller is never delayed. It is the only writer.
//	readers    four. Each carries out one Load or Parked at a time, on a snapshot that
//	           the committer took at that read's place in the queue.
//	counter    one. Carries out one Count or Find at a time, on such a snapshot, while no
//	           read waits for a reader. Its first work is to count what was parked before.
//	keeper     one. Looks at the disk and the directory once a second, and when a settle
//	           waits for room; moves the mark, makes the ballast.
//	tidy       none or one, begun by the keeper: has the store compact all that it has.
//	Pebble's   flushes, compactions, WAL syncs; all end at Close.
//
// A long operation (Unpark, MoveTenant) is carried out in steps of at most 10,000
// keys between the groups, so that one tenant's million parked keys do not hold
// up another's accept (I6); meanwhile only operations on the same tenants wait.
//
// # Durability
//
// Append, Park and the states are answered after their fsync. Settle and PutTenant
// ask for none: the write-ahead log keeps its order, so what a power loss takes
// is always the newest end of the history. A lost settle only repeats an
// idempotent call, and a change newer than it cannot survive without it.
//
// A read never shows what is not durable: its snapshot is taken at its place in
// the queue, but it is read after the fsync of the group that it arrived with.
//
// What an fsync has made durable must also be found: before the answers the paths are
// looked up again, see disk.Home.
//
// # Room
//
// Deleting takes room before it gives any. So changes are refused while there is still
// room to settle and compact what is there, settles wait while a compaction needs what
// is left, and compactions leave the log its room: see disk.Room. Each file of the store tells
// what it writes and whether that failed, see disk.StoreFiles.
//
// Receipts are given up before anything else: while the disk is nearly full they are
// deleted and none are written, so that what settles has their room.
//
// # Damage
//
// Pebble checksums every block. At Open a flipped byte is reported and the store set
// aside (I8). Two of its files end, after a power loss, in a torn record that looks
// like damage, and Pebble takes much damage for such an end: so Open looks at them
// itself. One is the MANIFEST, see damage.CheckManifest. The other is the WAL: each write
// carries its number and the number of the newest one known to be durable, and a
// bad record is damage when one behind it says that it was durable, see damage.LogCheck.
//
// Damage at the very end of the log looks like a torn write and is not detected: a
// flipped byte in the last group before a kill, after which nothing was written, or a
// file cut short behind a sound record. The groups that it took are lost in silence.
// After Close a flipped byte is always seen, a cut is not.
//
// Blocks of tables are checked when they are read: a bad one is an error of the
// pages and listings that need it, and everything else goes on.
//
// This package, disk and damage alone import Pebble; no type of it shows in their users' API.
package embedded
