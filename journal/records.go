package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"audiences/audience"
)

// SegmentState is what is kept of a segment beside its keys. The zero value (not
// paused, not parked) takes no record.
type SegmentState struct {
	Paused      bool      `json:"paused,omitempty"`
	PausedUntil time.Time `json:"pausedUntil,omitzero"` // zero: until somebody resumes it
	Parked      *Refusal  `json:"parked,omitempty"`     // the whole segment is refused; nil: it is not
}

// TenantState is what is kept of a tenant beside its token. The zero value takes
// no record.
type TenantState struct {
	Paused      bool      `json:"paused,omitempty"`
	PausedUntil time.Time `json:"pausedUntil,omitzero"` // zero: until somebody resumes it
}

// Refusal is why Split refused for good. Message is Split's own words and may
// name a key, so it belongs in no log (I7).
type Refusal struct {
	Reason  string    `json:"reason"`
	Message string    `json:"message,omitempty"`
	At      time.Time `json:"at"`
}

// ParkedEntry is one parked key.
type ParkedEntry struct {
	audience.Hidden[ParkedEntry]

	Key     audience.Key
	Verb    audience.Verb
	Refusal Refusal
}

// parkedRecord is the value of a 'p' record.
type parkedRecord struct {
	Verb audience.Verb `json:"verb"`
	Refusal
}

var errBadRecord = errors.New("record is damaged")

// encodeJSON is for the types above, which cannot fail to marshal once their
// times are in UTC: a year outside 0..9999 or a zone with seconds is the only
// thing that json refuses in them.
func encodeJSON(record any) []byte {
	out, err := json.Marshal(record)
	if err != nil {
		panic(fmt.Sprintf("journal: encode %T: %v", record, err))
	}
	return out
}

// decodeJSON does not wrap the cause: it could quote a parked message (I7).
func decodeJSON(value []byte, into any) error {
	if json.Unmarshal(value, into) != nil {
		return errBadRecord
	}
	return nil
}

func decodeVerb(value []byte) (audience.Verb, error) {
	if len(value) == 1 {
		if verb := audience.Verb(value[0]); verb == audience.Add || verb == audience.Delete {
			return verb, nil
		}
	}
	return 0, errBadKey
}

func decodeParked(value []byte) (parkedRecord, error) {
	var record parkedRecord
	if err := decodeJSON(value, &record); err != nil {
		return parkedRecord{}, err
	}
	if record.Verb == 0 {
		return parkedRecord{}, errBadRecord
	}
	return record, nil
}
