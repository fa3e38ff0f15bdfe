package sandbox

import (
	"cmp"
	"time"

	"audiences/audience"
)

// Split's documented limits (Split docs: segments).
const (
	DefaultMaxKeys    = 10_000  // keys per call
	DefaultMaxMembers = 100_000 // members per segment
)

// Options of a sandbox; the zero value is a patient Split that knows every
// token, has every segment and limits no rates.
type Options struct {
	// Strict makes calls for a segment that was not created and activated
	// answer 404, as Split does.
	Strict bool
	// RequireComments makes every change without title and comment answer 400
	// with an empty body, as workspaces with that setting do.
	RequireComments bool

	MaxKeys    int // keys per call; 0: DefaultMaxKeys
	MaxMembers int // members per segment; 0: DefaultMaxMembers
	MaxBody    int // bytes per call, 413 above; 0: 32 MiB

	// Organisations names the organisation of each token given here. Any other
	// token is its own organisation, named by its fingerprint.
	Organisations map[string]string
	Limits        Limits
	Faults        []Rule

	// Allowed is asked for every key of every change; false is a violation:
	// a key that was never accepted. It is called by several goroutines at once.
	Allowed func(t Target, verb audience.Verb, key string) bool
	// OnCall is told of every call just before its answer is sent, by the
	// goroutine that serves it: several may call at once.
	OnCall func(Call)
	// History keeps every applied verb per key; see Split.History.
	History bool
	// CallLog is how many calls are remembered; 0: 10,000.
	CallLog int
	// Grace tolerates what a well-behaved caller cannot know yet: a call that
	// starts this soon after a 429 was written or before a vanished client was
	// noticed. 0: 250 ms; negative: none, right for virtual time.
	Grace time.Duration
	// Address is where Start listens; empty: a free port of 127.0.0.1.
	Address string
}

func (o Options) withDefaults() Options {
	o.MaxKeys = cmp.Or(o.MaxKeys, DefaultMaxKeys)
	o.MaxMembers = cmp.Or(o.MaxMembers, DefaultMaxMembers)
	o.MaxBody = cmp.Or(o.MaxBody, 32<<20)
	o.CallLog = cmp.Or(o.CallLog, 10_000)
	o.Grace = max(0, cmp.Or(o.Grace, 250*time.Millisecond))
	o.Address = cmp.Or(o.Address, "127.0.0.1:0")
	return o
}
