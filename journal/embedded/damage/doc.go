// Package damage tells damage to the store's files from the torn end that a power
// loss leaves. Its checks are pure: they take bytes and read no file.
//
//	manifest.go  the MANIFEST, which says which tables make up the store
//	log.go       the write-ahead log, judged by its marks
//	mark.go      the mark that each write to the log begins with
//	chunks.go    how records lie in a log file
package damage
