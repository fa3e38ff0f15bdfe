package audience

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"iter"
	"log/slog"
)

// Keys is a list of distinct keys that takes little memory: about what the keys
// took as text, where a slice of Key takes 24 bytes for each. It does not change
// once it is made, and its zero value is empty.
//
// A numeric key is the byte 0 and the integer as a varint; any other key is the
// length of its text as a uvarint, which is never 0, and the text. So a key never
// takes more than its JSON did, comma included.
type Keys struct {
	chunks [][]byte
	n      int
}

// The first chunk holds the one key of a usual post; each one after it is twice
// as large as the one before, up to largestChunk. Chunks are never copied to make
// room, so that a long list takes no more than itself at any moment.
const (
	firstChunk   = 32
	largestChunk = 1 << chunkBits
	chunkBits    = 16
)

// KeysOf is the list of the given keys without repeats.
func KeysOf(keys ...Key) Keys {
	var p Packer
	for _, key := range keys {
		p.Put(key)
	}
	return p.Keys()
}

// Len is the number of keys.
func (k Keys) Len() int { return k.n }

// Bytes is how many bytes of memory the list takes.
func (k Keys) Bytes() (n int) {
	for _, chunk := range k.chunks {
		n += cap(chunk)
	}
	return n
}

// All yields each key once, in the order in which they came. A key that is no
// number is copied out for it.
func (k Keys) All() iter.Seq[Key] {
	return func(yield func(Key) bool) {
		for _, chunk := range k.chunks {
			for len(chunk) > 0 {
				size := entrySize(chunk)
				if !yield(entryKey(chunk[:size])) {
					return
				}
				chunk = chunk[size:]
			}
		}
	}
}

// entrySize is the length of the entry that chunk begins with.
func entrySize(chunk []byte) int {
	length, n := binary.Uvarint(chunk)
	if length == 0 {
		_, digits := binary.Varint(chunk[n:])
		return n + digits
	}
	return n + int(length)
}

func entryKey(entry []byte) Key {
	length, n := binary.Uvarint(entry)
	if length == 0 {
		num, _ := binary.Varint(entry[n:])
		return Key{num: num}
	}
	return Key{str: string(entry[n:])}
}

// String shows the number of keys only (I7).
func (k Keys) String() string { return fmt.Sprintf("[%d keys]", k.n) }

// GoString shows the number of keys only (I7).
func (k Keys) GoString() string { return k.String() }

// LogValue shows the number of keys only (I7).
func (k Keys) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText shows the number of keys only (I7).
func (k Keys) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Packer makes a list of keys in which each key stands once. Its zero value is
// ready to use.
//
// Beside the list it has a hash table of where the entries are, 4 bytes a slot and
// at most three in four of them taken. The hash has a random seed: whoever chooses
// the keys cannot choose where they collide. The table lies in pieces, to which as
// many are added when it grows, so that it leaves no garbage.
type Packer struct {
	keys  Keys
	seed  maphash.Seed
	table [][]uint32 // 0: free; otherwise 1 + the number of the chunk << chunkBits + the place in it
	size  int        // slots in all pieces, a power of two
	entry []byte     // the one that is being put
}

const (
	firstSlots = 16
	pieceBits  = 12
	pieceSlots = 1 << pieceBits
)

// Add puts the key with this text, as [ParseKey] reads it, and refuses what
// ParseKey refuses. It keeps nothing of text.
func (p *Packer) Add(text []byte) error {
	if n, ok := canonicalInt(text); ok {
		p.putNumber(n)
		return nil
	}
	if err := checkText(text); err != nil {
		return err
	}
	p.entry = append(binary.AppendUvarint(p.entry[:0], uint64(len(text))), text...)
	p.put()
	return nil
}

// Put puts a key.
func (p *Packer) Put(key Key) {
	if key.str == "" {
		p.putNumber(key.num)
		return
	}
	p.entry = append(binary.AppendUvarint(p.entry[:0], uint64(len(key.str))), key.str...)
	p.put()
}

// Len is the number of keys so far.
func (p *Packer) Len() int { return p.keys.n }

// Keys is the list; the packer is empty afterwards.
func (p *Packer) Keys() Keys {
	keys := p.keys
	*p = Packer{}
	return keys
}

func (p *Packer) putNumber(n int64) {
	p.entry = binary.AppendVarint(append(p.entry[:0], 0), n)
	p.put()
}

// put adds p.entry to the list unless it is there. An entry begins with its
// length, or says where it ends, so none is the beginning of another.
func (p *Packer) put() {
	if 4*p.keys.n >= 3*p.size {
		p.grow()
	}
	slot := p.find(p.entry)
	if *slot == 0 {
		*slot = p.append()
	}
}

// append puts p.entry behind the others and returns where it is, as the table has it.
func (p *Packer) append() uint32 {
	chunks := p.keys.chunks
	last := len(chunks) - 1
	if last < 0 || len(chunks[last])+len(p.entry) > cap(chunks[last]) {
		size := firstChunk
		if last >= 0 {
			size = min(2*cap(chunks[last]), largestChunk)
		}
		chunks = append(chunks, make([]byte, 0, max(size, len(p.entry))))
		last++
	}
	place := place(last, len(chunks[last]))
	chunks[last] = append(chunks[last], p.entry...)
	p.keys.chunks = chunks
	p.keys.n++
	return place
}

// grow doubles the table and fills it anew from the list.
func (p *Packer) grow() {
	switch {
	case p.size == 0:
		p.seed = maphash.MakeSeed()
		p.size = firstSlots
		p.table = [][]uint32{make([]uint32, firstSlots)}
	case p.size < pieceSlots:
		p.size *= 2
		p.table[0] = make([]uint32, p.size)
	default:
		for _, piece := range p.table {
			clear(piece)
			p.table = append(p.table, make([]uint32, pieceSlots))
		}
		p.size *= 2
	}
	for number, chunk := range p.keys.chunks {
		for at := 0; at < len(chunk); {
			entry := chunk[at : at+entrySize(chunk[at:])]
			*p.find(entry) = place(number, at)
			at += len(entry)
		}
	}
}

// find returns the slot that has the place of an entry like this one, or else the
// free one that should get it.
func (p *Packer) find(entry []byte) *uint32 {
	for n := int(maphash.Bytes(p.seed, entry)); ; n++ {
		n &= p.size - 1
		slot := &p.table[n>>pieceBits][n&(pieceSlots-1)]
		if *slot == 0 || bytes.HasPrefix(p.at(*slot), entry) {
			return slot
		}
	}
}

func place(chunk, at int) uint32 { return uint32(chunk<<chunkBits|at) + 1 }

func (p *Packer) at(place uint32) []byte {
	place--
	return p.keys.chunks[place>>chunkBits][place&(1<<chunkBits-1):]
}
