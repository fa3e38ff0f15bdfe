package damage

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/cockroachdb/pebble/v2"
)

// The MANIFEST says which tables make up the store. Pebble takes the first bad
// record in it for the end of the file, which is right after a power loss, where
// the last record is torn and was never relied upon. A flipped byte looks the
// same, but then the tables and logs that the rest of the file speaks of are
// dropped without a word: thousands of keys. So Open looks at the file first.
//
// The format is LevelDB's log format: blocks of 32 KiB with chunks of checksum (4
// bytes, CRC-32C, masked), length (2), type (1) and payload.
const (
	manifestBlock  = 32 << 10
	chunkHeader    = 7
	chunkFull      = 1 // a record of its own
	chunkFirst     = 2 // the first part of a record
	chunkLast      = 4
	longestToMend  = 2 << 10 // bytes of a last record up to which mendable tries; most have about 100
	crcMask        = 0xa282ead8
	crcMaskShift   = 15
	checksumLength = 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// CheckManifest tells damage from the torn end that a power loss leaves.
func CheckManifest(content []byte) error {
	at := 0
	for at < len(content) {
		size := chunkAt(content, at)
		if size == 0 {
			break
		}
		if at += size; manifestBlock-at%manifestBlock < chunkHeader {
			at += manifestBlock - at%manifestBlock // what is left of a block holds no header
		}
	}
	if at >= len(content) {
		return nil
	}
	damaged := fmt.Errorf("manifest is damaged at byte %d: %w", at, pebble.ErrCorruption)
	// Each record is synced before the next is begun: one that begins behind a bad
	// one proves that the bad one was good.
	for next := at + 1; next < len(content); next++ {
		if chunkAt(content, next) > 0 && content[next+chunkHeader-1] <= chunkFirst {
			return damaged
		}
	}
	if mendable(content, at) {
		return damaged
	}
	return nil
}

// chunkAt is the length of the sound chunk at a place, 0 where there is none.
func chunkAt(content []byte, at int) int {
	room := min(len(content)-at, manifestBlock-at%manifestBlock)
	if room < chunkHeader {
		return 0
	}
	chunk := content[at:]
	size := chunkHeader + int(binary.LittleEndian.Uint16(chunk[checksumLength:]))
	if kind := chunk[chunkHeader-1]; kind < chunkFull || kind > chunkLast || size > room {
		return 0
	}
	if !checksumFits(chunk[:size]) {
		return 0
	}
	return size
}

// checksumFits takes a whole chunk.
func checksumFits(chunk []byte) bool {
	sum := crc32.Checksum(chunk[chunkHeader-1:], castagnoli)
	return binary.LittleEndian.Uint32(chunk) == (sum>>crcMaskShift|sum<<(32-crcMaskShift))+crcMask
}

// mendable reports whether the last chunk is whole but for one byte: no torn
// write leaves that.
func mendable(content []byte, at int) bool {
	if len(content)-at > longestToMend {
		return false
	}
	start := at - at%manifestBlock // chunkAt needs to know the place in the block
	block := append([]byte(nil), content[start:]...)
	at -= start
	for i := at; i < len(block); i++ {
		was := block[i]
		for range 255 {
			block[i]++
			if size := chunkAt(block, at); size > 0 && at+size == len(block) {
				return true
			}
		}
		block[i] = was
	}
	return false
}
