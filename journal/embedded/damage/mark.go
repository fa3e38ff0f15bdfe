package damage

import (
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/batchrepr"
)

// Mark is what each write to the WAL begins with, so that Open can tell damage from
// the torn end of a power loss: see LogCheck. The store keeps it in the WAL only.
type Mark struct {
	Group   uint64 // counts the writes of one process from 1
	Durable uint64 // the newest group that was on disk for certain when this one was written; 0: none
}

const (
	markLength = 8 + 8
	// markedHead is how many bytes of a WAL record are needed to read its mark: the
	// header of the batch, then kind and length of the mark.
	markedHead = batchrepr.HeaderLen + 2 + markLength
)

// Stamp adds the mark to a batch that is empty. The batch is then not Empty, but its
// Count is 0: that leaves marks out.
func (m Mark) Stamp(batch *pebble.Batch) {
	text := binary.BigEndian.AppendUint64(make([]byte, 0, markLength), m.Group)
	_ = batch.LogData(binary.BigEndian.AppendUint64(text, m.Durable), nil)
}

// readMark takes the first markedHead bytes of a WAL record, or more. Records
// without a mark are those of Open itself.
func readMark(head []byte) (m Mark, ok bool) {
	if len(head) < markedHead {
		return Mark{}, false
	}
	operations := batchrepr.Read(head[:markedHead])
	kind, text, _, ok, err := operations.Next()
	if !ok || err != nil || kind != pebble.InternalKeyKindLogData || len(text) != markLength {
		return Mark{}, false
	}
	return Mark{Group: binary.BigEndian.Uint64(text), Durable: binary.BigEndian.Uint64(text[8:])}, true
}
