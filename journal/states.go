package journal

import "time"

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
