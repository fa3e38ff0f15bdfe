// Package disk is the disk as the journal's store sees it: its files, what is left of
// its room and who may have that, and where the files have to be found.
//
//	files.go       the file system, and writing a file whole or not at all
//	storefiles.go  the same as the store sees it: each file tells what it writes
//	readonly.go    the same for a look that changes nothing
//	room.go        what is left of the disk, and who may have it
//	ballast.go     a file that holds room for a start and for settling
//	home.go        where the files have to be found
//
// It starts no goroutine. All that it writes itself is the ballast and what MakeDir and
// Replace are asked for.
package disk
