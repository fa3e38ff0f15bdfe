package damage

import (
	"bytes"
	"encoding/binary"
	"iter"
)

// Log is a WAL file. Its format is that of the MANIFEST, see CheckManifest, with
// the number of the log in each chunk, because the store writes over old log
// files: what lies behind the end may be sound, but belongs to another log. There
// are two kinds of chunks: the store writes the shorter ones in the first log of
// its life. In the longer ones it notes how far the log was synced.
//
// Pebble's own reader is of no use here: it ends a log in silence where the number
// of the log is damaged, and cannot be started behind a bad chunk.
type Log struct {
	Number  uint32
	Content []byte
}

const (
	numberAt        = chunkHeader     // place of the log's number in a chunk
	shortHeader     = numberAt + 4    // chunks of kind 5 to 8
	longHeader      = shortHeader + 8 // chunks of kind 9 to 12
	shortFull       = 5
	longFull        = 9
	longLast        = 12
	firstOf, lastOf = chunkFirst - chunkFull, chunkLast - chunkFull // kind less that of a full chunk
)

// Chunk is one sound chunk.
type Chunk struct {
	payload     []byte
	End         int  // where the next one begins
	first, last bool // of its record
}

// ChunkAt is the sound chunk that begins at a place; ok is false where there is none.
func (f Log) ChunkAt(at int) (c Chunk, ok bool) {
	room := min(len(f.Content)-at, manifestBlock-at%manifestBlock)
	if room < shortHeader {
		return Chunk{}, false
	}
	raw := f.Content[at : at+room]
	kind, header := int(raw[chunkHeader-1]), shortHeader
	part := kind - shortFull
	if kind >= longFull {
		part, header = kind-longFull, longHeader
	}
	size := header + int(binary.LittleEndian.Uint16(raw[checksumLength:]))
	if kind < shortFull || kind > longLast || binary.LittleEndian.Uint32(raw[numberAt:]) != f.Number || size > room || !checksumFits(raw[:size]) {
		return Chunk{}, false
	}
	return Chunk{
		payload: raw[header:size],
		End:     at + size,
		first:   part <= firstOf,
		last:    part == 0 || part == lastOf,
	}, true
}

// Next is where a chunk can begin, at this place or, where that is the unused end
// of a block, behind it.
func (f Log) Next(at int) int {
	room := manifestBlock - at%manifestBlock
	if room >= longHeader || at+room > len(f.Content) {
		return at
	}
	unused := f.Content[at : at+room]
	if room >= chunkHeader && len(bytes.Trim(unused, "\x00")) > 0 { // Pebble does not look at less
		return at
	}
	return at + room
}

// Record reads the record that begins at a place. Where there is none that is
// sound to its end, end is 0; head may still have its beginning.
func (f Log) Record(at int) (head []byte, end int) {
	for begun := false; ; begun = true {
		c, ok := f.ChunkAt(f.Next(at))
		if !ok || c.first == begun {
			return head, 0
		}
		if !begun {
			head = c.payload
		} else if len(head) < markedHead {
			head = append(bytes.Clone(head), c.payload...)
		}
		if at = c.End; c.last {
			return head, at
		}
	}
}

// marksFrom finds every Mark behind a bad record, whatever is bad in between: a
// place is taken for a chunk when number and checksum fit.
func (f Log) marksFrom(at int) iter.Seq[Mark] {
	number := binary.LittleEndian.AppendUint32(nil, f.Number)
	return func(yield func(Mark) bool) {
		for ; at+numberAt < len(f.Content); at++ {
			skip := bytes.Index(f.Content[at+numberAt:], number)
			if skip < 0 {
				return
			}
			at += skip
			head, _ := f.Record(at)
			if m, ok := readMark(head); ok && !yield(m) {
				return
			}
		}
	}
}
