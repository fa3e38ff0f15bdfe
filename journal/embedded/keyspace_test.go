package embedded

import (
	"bytes"
	"testing"
	"time"

	"audiences/audience"
	"audiences/journal"
)

// TestSegmentsDoNotShareAnID: fields run together must not make another segment.
func TestSegmentsDoNotShareAnID(t *testing.T) {
	seen := map[segmentID]audience.Segment{}
	for _, who := range []audience.Tenant{tenant("a"), tenant("b")} {
		for _, names := range [][4]string{{"a", "b", "c", "d"}, {"ab", "", "c", "d"}, {"", "ab", "c", "d"}, {"a", "bc", "", "d"}, {"a", "b", "", "cd"}} {
			seg := audience.Segment{Tenant: who.ID, Workspace: names[0], Environment: names[1], TrafficType: names[2], Name: names[3]}
			if other, taken := seen[idOf(seg)]; taken {
				t.Errorf("%v and %v share an id", seg, other)
			}
			seen[idOf(seg)] = seg
		}
	}
}

func FuzzDecodeDescriptor(f *testing.F) {
	f.Add(encodeDescriptor(segment(tenant("a"), "s")))
	f.Add(encodeDescriptor(audience.Segment{}))
	f.Add(bytes.Repeat([]byte{0xff}, 40))
	f.Fuzz(func(t *testing.T, value []byte) {
		seg, err := decodeDescriptor(hashDescriptor(value), value)
		if err == nil && idOf(seg) != hashDescriptor(encodeDescriptor(seg)) {
			t.Error("a descriptor does not come back")
		}
		if _, err := decodeDescriptor(segmentID{}, value); err == nil {
			t.Error("a descriptor passes for another segment's")
		}
	})
}

func FuzzDecodeRecords(f *testing.F) {
	f.Add(encodeJSON(parkedRecord{Verb: audience.Add, Refusal: journal.Refusal{Reason: "r"}}))
	f.Add([]byte(`{"verb":"no"}`))
	f.Add([]byte{2})
	f.Fuzz(func(t *testing.T, value []byte) {
		if record, err := decodeParked(value); err == nil && record.Verb != audience.Add && record.Verb != audience.Delete {
			t.Error("a parked record without a verb")
		}
		if verb, _, err := decodePending(value); err == nil && verb != audience.Add && verb != audience.Delete {
			t.Error("no verb")
		}
	})
}

// TestParkedRecordsOfEarlierPrograms have neither a status nor a transaction.
func TestParkedRecordsOfEarlierPrograms(t *testing.T) {
	at := time.Date(2026, 3, 14, 14, 2, 0, 0, time.UTC)
	record, err := decodeParked([]byte(`{"verb":"delete","reason":"forbidden","message":"no","at":"2026-03-14T14:02:00Z"}`))
	if want := (journal.Refusal{Reason: "forbidden", Message: "no", At: at}); err != nil || record.Verb != audience.Delete || record.Refusal != want {
		t.Errorf("%+v, %v", record, err)
	}
}
