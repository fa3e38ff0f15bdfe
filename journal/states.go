package journal

import "time"

// SegmentState is what is kept of a segment beside its keys. The zero value (not
// paused, not parked) takes no record.
type SegmentState struct {
	Paused      bool      `json:"paused,omitempty"`
	PausedUntil time.Time `json:"pausedUntil,omitzero"` // zero: until somebody resumes it
	Parked      *Refusal  `json:"parked,omitempty"`     // the whole segment is refused; nil: it is not
	PausedBy    string    `json:"pausedBy,omitempty"`   // the operator; "": not known, as in records of earlier programs
	PausedSince time.Time `json:"pausedSince,omitzero"` // zero: not known
}

// TenantState is what is kept of a tenant beside its token. The zero value takes
// no record.
type TenantState struct {
	Paused      bool      `json:"paused,omitempty"`
	PausedUntil time.Time `json:"pausedUntil,omitzero"` // zero: until somebody resumes it
	PausedBy    string    `json:"pausedBy,omitempty"`   // as in SegmentState
	PausedSince time.Time `json:"pausedSince,omitzero"` // as in SegmentState
}

// PausedAt reports whether the pause is on at that time. The record of one that has ended
// by itself stays until the segment looks at it again.
func (s SegmentState) PausedAt(now time.Time) bool { return pausedAt(s.Paused, s.PausedUntil, now) }

// PausedAt is the same of a tenant, whose record stays until it is seen that it has ended.
func (s TenantState) PausedAt(now time.Time) bool { return pausedAt(s.Paused, s.PausedUntil, now) }

func pausedAt(paused bool, until, now time.Time) bool {
	return paused && (until.IsZero() || until.After(now))
}

// Refusal is why Split refused for good. Message is Split's own words and may
// name a key, so it belongs in no log (I7).
type Refusal struct {
	Reason  string    `json:"reason"`
	Message string    `json:"message,omitempty"`
	At      time.Time `json:"at"`

	// Status is that of HTTP, and Transaction Split's own id of the call. 0 and "": there
	// was no answer, or the record is of an earlier program.
	Status      int    `json:"status,omitempty"`
	Transaction string `json:"transaction,omitempty"`
	// Shown is Message as it may be shown, without keys and token. It is kept of a whole
	// segment alone: of one key it can be made from Message.
	Shown string `json:"shown,omitempty"`
}
