// Package journal keeps on disk what was accepted and is not settled yet. It is
// the relay's promise: a 200 is answered when the journal says so (I1), and a
// key leaves it only when Split took it or into the parked list (I3).
//
// Callers are actors, so nothing here makes a caller wait: every write and every
// read is put into a queue without bound (back-pressure is applied before the
// mailboxes, not here) and is answered through a channel or a function.
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
//	counter    one. Carries out one Count at a time, on such a snapshot, while no read
//	           waits for a reader. Its first work is to count what was parked before.
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
// looked up again, see home.
//
// # Room
//
// Deleting takes room before it gives any. So changes are refused while there is still
// room to settle and compact what is there, settles wait while a compaction needs what
// is left, and compactions leave the log its room: see room. Each file of the store tells
// what it writes and whether that failed, see storeFiles.
//
// # Damage
//
// Pebble checksums every block. At Open a flipped byte is reported and the store set
// aside (I8). Two of its files end, after a power loss, in a torn record that looks
// like damage, and Pebble takes much damage for such an end: so Open looks at them
// itself. One is the MANIFEST, see checkManifest. The other is the WAL: each write
// carries its number and the number of the newest one known to be durable, and a
// bad record is damage when one behind it says that it was durable, see logCheck.
//
// What cannot be told from a torn end is damage that takes the end of the log with it:
// a flipped byte in the last group before a kill, after which nothing was written, or a
// file cut short behind a sound record. The groups that it took are lost in silence.
// After Close a flipped byte is always seen, a cut is not.
//
// Blocks of tables are checked when they are read: a bad one is an error of the
// pages and listings that need it, and everything else goes on.
//
// The package alone imports Pebble; no type of it shows in the API.
package journal
