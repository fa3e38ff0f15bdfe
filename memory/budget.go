package memory

import "fmt"

// Least is the least limit, in bytes, that the relay can run in: with half of it the
// store alone leaves nothing to take posts with.
const Least = 48 << 20

// Budget is what may be taken under a limit. Its zero value bounds nothing; with a
// limit every field is set.
type Budget struct {
	Go      int64 // bytes that the Go runtime may take, for GOMEMLIMIT
	Garbage int64 // bytes that may lie about before they are collected

	BytesInFlight    int64 // that posts hold
	BodyBytes        int64 // of one post
	KeysPerPost      int
	RequestsInFlight int
	Connections      int // open at once, also those without a request

	Calls        int // to Split, at once
	KeysInMemory int // of all segments together, those of pages that are read included
	Pages        int // read at once at the start

	Cache    int64 // bytes of the store's block cache
	MemTable int64 // bytes of one of the store's memtables
}

// What the things take that a budget counts, in bytes. Measured with the relay in
// groups of 64 to 256 MiB, rounded up.
const (
	atRest       = 14 << 20 // the process, before anything comes
	ofRequest    = 64 << 10 // a connection with its buffers and a post of one key
	ofConnection = 32 << 10 // an idle one
	ofCall       = 1 << 20  // body and answer of a call with 10,000 keys, and its connection
	ofKey        = 64       // in a set, or as an entry of a page and then in a set
	ofPage       = 640 << 10
	ofNewKey     = 128 // a decoded key until it is durable
	ofBodyByte   = 4   // a byte of body, and what it is decoded into
	memTables    = 4   // there are at most, before writes wait
)

// What the relay takes when there is no limit; more memory does not make it more.
// Of the other things the configuration says how much is wanted.
const (
	usualGarbage      = 64 << 20
	usualKeysInMemory = 1_000_000
	usualPages        = 256
	usualCache        = 8 << 20
	usualMemTable     = 16 << 20
)

// For divides a limit of so many bytes. Three quarters of what is left beside the
// process itself are given away; the rest is what a collector needs to keep up.
func For(limit int64) (Budget, error) {
	if limit < Least {
		return Budget{}, fmt.Errorf("the memory limit is %d bytes, and the relay needs at least %d (%d MiB)", limit, Least, Least>>20)
	}
	b := Budget{Go: limit - max(limit/10, 6<<20)} // the kernel's part: sockets, page tables
	b.Garbage = min(b.Go/8, usualGarbage)
	percent := (b.Go - atRest) / 100

	b.BytesInFlight = 20 * percent
	largest := b.BytesInFlight / 4 * 3 // the part of those with much, see package api
	b.BodyBytes = largest / ofBodyByte
	b.KeysPerPost = int(largest / ofNewKey)
	b.RequestsInFlight = int(8 * percent / ofRequest)
	b.Connections = int(8 * percent / ofConnection)

	b.Calls = max(2, int(8*percent/ofCall))
	b.KeysInMemory = min(int(10*percent/ofKey), usualKeysInMemory)
	b.Pages = min(max(2, int(5*percent/ofPage)), usualPages)

	b.Cache = min(3*percent, usualCache)
	b.MemTable = min(15*percent/memTables, usualMemTable)
	return b, nil
}
