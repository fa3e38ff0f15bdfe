package ordered

import (
	"encoding/binary"
	"errors"
	"hash/fnv"
	"math/bits"

	"audiences/audience"
)

// ErrBadPacked is the error of what is not packed keys.
var ErrBadPacked = errors.New("packed keys are damaged")

// Packed keys are the keys of one receipt block, in order: a uvarint that tells how many
// numbers there are; the first one (8 bytes), the shift (1 byte) and the differences of
// the others as Rice codes, padded to a byte; then each text as two uvarints, which are
// how many bytes it shares with the one before and how many follow, and those bytes.
//
// A Rice code is the difference without its lowest bits (shift of them), in unary, and
// then these bits. For random numbers that is within a few hundredths of a bit of the
// least possible, and never more than three bits a key above the logarithm of the mean.

// Pack packs the keys.
func (o Keys) Pack() []byte {
	out := binary.AppendUvarint(make([]byte, 0, 16+8*len(o.numbers)), uint64(len(o.numbers)))
	if len(o.numbers) > 0 {
		out = packNumbers(out, o.numbers)
	}
	return packTexts(out, o.texts)
}

func packNumbers(out []byte, numbers []int64) []byte {
	first, last := numbers[0], numbers[len(numbers)-1]
	shift := riceShift(uint64(last)-uint64(first), len(numbers)-1)
	out = append(binary.BigEndian.AppendUint64(out, uint64(first)), byte(shift))
	w := bitWriter{out: out}
	for i, n := range numbers[1:] {
		w.rice(uint64(n)-uint64(numbers[i]), shift)
	}
	return w.end()
}

// riceShift is about the logarithm of the mean difference, times the natural logarithm
// of two, where codes are shortest.
func riceShift(sum uint64, n int) int {
	if n == 0 {
		return 0
	}
	mean := sum / uint64(n)
	return max(bits.Len64(mean-mean/4)-1, 0)
}

func packTexts(out []byte, texts []audience.Key) []byte {
	before := ""
	for _, key := range texts {
		text := key.Text()
		shared := sharedPrefix(before, text)
		out = binary.AppendUvarint(out, uint64(shared))
		out = binary.AppendUvarint(out, uint64(len(text)-shared))
		out = append(out, text[shared:]...)
		before = text
	}
	return out
}

func sharedPrefix(a, b string) (n int) {
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// PackedHas reports whether the key is among those packed.
func PackedHas(packed []byte, key audience.Key) (bool, error) {
	count, n := binary.Uvarint(packed)
	if n <= 0 {
		return false, ErrBadPacked
	}
	texts := packed[n:]
	if number, numeric := key.Numeric(); numeric {
		if count == 0 {
			return false, nil
		}
		found, _, err := findNumber(texts, count, number)
		return found, err
	}
	if count > 0 {
		var err error
		if _, texts, err = findNumber(texts, count, 0); err != nil {
			return false, err
		}
	}
	return findText(texts, key.Text())
}

// findNumber goes through all numbers; rest is what follows them.
func findNumber(packed []byte, count uint64, number int64) (found bool, rest []byte, err error) {
	if len(packed) < 9 || packed[8] > 63 {
		return false, nil, ErrBadPacked
	}
	at, shift := binary.BigEndian.Uint64(packed), int(packed[8])
	found = at == uint64(number)
	r := bitReader{in: packed[9:]}
	for range count - 1 {
		if at += r.rice(shift); at == uint64(number) {
			found = true
		}
		if r.short {
			return false, nil, ErrBadPacked
		}
	}
	return found, r.in, nil
}

func findText(packed []byte, wanted string) (bool, error) {
	var text []byte
	for len(packed) > 0 {
		shared, n := binary.Uvarint(packed)
		if n <= 0 || shared > uint64(len(text)) {
			return false, ErrBadPacked
		}
		packed = packed[n:]
		length, n := binary.Uvarint(packed)
		if n <= 0 || length > uint64(len(packed)-n) {
			return false, ErrBadPacked
		}
		text = append(text[:shared], packed[n:n+int(length)]...)
		packed = packed[n+int(length):]
		if string(text) >= wanted {
			return string(text) == wanted, nil
		}
	}
	return false, nil
}

// bitWriter appends bits to bytes, the highest first.
type bitWriter struct {
	out  []byte
	word uint64
	n    int // bits of word that are not in out yet, 31 at most between two calls
}

// put appends the n lowest bits of v, 32 at most; v has no others.
func (w *bitWriter) put(v uint64, n int) {
	w.word, w.n = w.word<<n|v, w.n+n
	if w.n >= 32 {
		w.n -= 32
		w.out = binary.BigEndian.AppendUint32(w.out, uint32(w.word>>w.n))
	}
}

func (w *bitWriter) rice(v uint64, shift int) {
	high := v >> shift
	for ; high >= 31; high -= 31 {
		w.put(1<<31-1, 31)
	}
	w.put((1<<high-1)<<1, int(high)+1)
	if shift > 32 {
		w.put(v>>32&(1<<(shift-32)-1), shift-32)
		shift = 32
	}
	w.put(v&(1<<shift-1), shift)
}

// end pads the last byte.
func (w *bitWriter) end() []byte {
	for ; w.n > 0; w.n -= 8 {
		w.out = append(w.out, byte(w.word<<8>>w.n))
	}
	return w.out
}

// bitReader reads what a bitWriter wrote.
type bitReader struct {
	in    []byte
	word  uint64
	n     int  // bits of word that were not taken yet
	short bool // more was asked for than there is
}

func (r *bitReader) take(n int) uint64 {
	for r.n < n {
		if len(r.in) == 0 {
			r.short = true
			return 0
		}
		r.word, r.n, r.in = r.word<<8|uint64(r.in[0]), r.n+8, r.in[1:]
	}
	r.n -= n
	return r.word >> r.n & (1<<n - 1)
}

func (r *bitReader) rice(shift int) (v uint64) {
	for r.take(1) == 1 {
		v++
	}
	if shift > 32 {
		v = v<<(shift-32) | r.take(shift-32)
		shift = 32
	}
	return v<<shift | r.take(shift)
}

// A filter is a Bloom filter: ten bits a key, of which each key sets seven. It takes one
// in a hundred keys that are not there for one that may be.
const (
	filterBits   = 10
	filterProbes = 7
)

// Filter makes the filter of the keys.
func (o Keys) Filter() []byte {
	filter := make([]byte, (o.Len()*filterBits+7)/8)
	for key := range o.All() {
		for hash, step, n := startProbes(Hash(key)); n > 0; hash, n = hash+step, n-1 {
			at := probe(filter, hash)
			filter[at/8] |= 1 << (at % 8)
		}
	}
	return filter
}

// FilterMayHave is false for none of the keys that the filter was made of.
func FilterMayHave(filter []byte, hash uint64) bool {
	for hash, step, n := startProbes(hash); n > 0 && len(filter) > 0; hash, n = hash+step, n-1 {
		if at := probe(filter, hash); filter[at/8]&(1<<(at%8)) == 0 {
			return false
		}
	}
	return len(filter) > 0
}

// startProbes begins the probes of a key, which are hash and then step further each.
func startProbes(of uint64) (hash, step uint64, n int) {
	return of, bits.RotateLeft64(of, 32) | 1, filterProbes
}

// probe is the bit that a hash stands for.
func probe(filter []byte, hash uint64) uint64 {
	at, _ := bits.Mul64(hash, uint64(len(filter))*8)
	return at
}

// Hash is what a filter knows a key by. It is part of the format on disk.
func Hash(key audience.Key) uint64 {
	if n, ok := key.Numeric(); ok {
		return mix(uint64(n))
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(key.Text()))
	return mix(h.Sum64())
}

// mix makes every bit of the result depend on every bit of v: two rounds of a multiply
// and a shift, with odd constants whose bits look random.
func mix(v uint64) uint64 {
	v = (v ^ v>>32) * 0x9e3779b97f4a7c15
	v = (v ^ v>>29) * 0xd6e8feb86659fd93
	return v ^ v>>32
}
