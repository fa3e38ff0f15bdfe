package damage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"testing"

	"github.com/cockroachdb/pebble/v2"
)

// chunk is a record of a log with nothing but a mark.
func (m Mark) chunk(log uint32) []byte {
	batch := new(pebble.Batch)
	m.Stamp(batch)
	raw := binary.LittleEndian.AppendUint16(make([]byte, checksumLength), uint16(markedHead))
	raw = append(binary.LittleEndian.AppendUint32(append(raw, shortFull), log), batch.Repr()[:markedHead]...)
	sum := crc32.Checksum(raw[chunkHeader-1:], castagnoli)
	binary.LittleEndian.PutUint32(raw, (sum>>crcMaskShift|sum<<(32-crcMaskShift))+crcMask)
	return raw
}

// TestProofs: what proves a bad record to have been durable, and what does not, where
// the groups in front of it are in another log, or there is no more of it.
func TestProofs(t *testing.T) {
	bad := bytes.Repeat([]byte{0xee}, 40)
	for name, c := range map[string]struct {
		log     [][]byte
		before  LogCheck // what the log before it left
		damaged bool
	}{
		"sound, in the middle":           {log: [][]byte{Mark{501, 500}.chunk(9), Mark{502, 501}.chunk(9)}},
		"first torn, its past durable":   {log: [][]byte{bad, Mark{502, 500}.chunk(9), Mark{503, 500}.chunk(9)}},
		"first bad, durable at once":     {log: [][]byte{bad, Mark{502, 501}.chunk(9)}, damaged: true},
		"first bad, durable later":       {log: [][]byte{bad, Mark{502, 500}.chunk(9), Mark{503, 502}.chunk(9)}, damaged: true},
		"own record of Open torn":        {log: [][]byte{bad, Mark{1, 0}.chunk(9)}},
		"own record of Open bad":         {log: [][]byte{bad, Mark{1, 0}.chunk(9), Mark{2, 1}.chunk(9)}, damaged: true},
		"torn, two unsynced behind":      {log: [][]byte{Mark{7, 6}.chunk(9), bad, Mark{9, 7}.chunk(9), Mark{10, 7}.chunk(9)}},
		"bad, synced with what followed": {log: [][]byte{Mark{7, 6}.chunk(9), bad, Mark{9, 7}.chunk(9), Mark{10, 9}.chunk(9)}, damaged: true},
		"over an older log":              {log: [][]byte{Mark{7, 6}.chunk(9), Mark{900, 899}.chunk(5), Mark{901, 900}.chunk(5)}},
		"torn, over an older log":        {log: [][]byte{Mark{7, 6}.chunk(9), bad, Mark{901, 900}.chunk(5)}},
		"follows the log before":         {log: [][]byte{Mark{7, 6}.chunk(9)}, before: LogCheck{seen: true, last: 6}},
		"end of the log before is gone":  {log: [][]byte{Mark{7, 4}.chunk(9)}, before: LogCheck{seen: true, last: 5}, damaged: true},
		"same, and this one begins bad":  {log: [][]byte{bad, Mark{8, 6}.chunk(9)}, before: LogCheck{seen: true, last: 5}, damaged: true},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.before.Check(Log{Number: 9, Content: bytes.Join(c.log, nil)})
			if errors.Is(err, pebble.ErrCorruption) != c.damaged {
				t.Error(err)
			}
		})
	}
}

// BenchmarkCheckLog is what the look at a log of 16 MiB adds to Open.
func BenchmarkCheckLog(b *testing.B) {
	f := Log{Number: 9}
	for n := uint64(1); len(f.Content) < 16<<20; n++ {
		one := Mark{n, n - 1}.chunk(9)
		f.Content = append(f.Content, one...)
		if room := manifestBlock - len(f.Content)%manifestBlock; room < len(one) { // and than a header
			f.Content = append(f.Content, make([]byte, room)...)
		}
	}
	b.SetBytes(int64(len(f.Content)))
	for b.Loop() {
		if err := new(LogCheck).Check(f); err != nil {
			b.Fatal(err)
		}
	}
}
