package status

import (
	"fmt"
	"strings"
	"time"
)

// Call is one call to Split, as it is kept for an operator. It has no key and no token,
// and of Split's answer only what names none.
type Call struct {
	Number      uint64    `json:"number"` // as receipts have it
	At          time.Time `json:"at"`     // when it was sent
	Millis      int64     `json:"ms"`     // until the answer, or until it was clear that there is none
	Verb        string    `json:"verb"`   // add or delete
	Keys        int       `json:"keys"`
	Attempt     int       `json:"attempt"`               // 1 for the first one with these keys
	Status      int       `json:"status,omitempty"`      // of HTTP; 0: there was no answer
	Reason      string    `json:"reason"`                // as in docs/metrics.md
	Transaction string    `json:"transaction,omitempty"` // Split's own id of the call, for its support

	Organisation Limit `json:"organisation"`
	Address      Limit `json:"address"`
}

// Planned is what the keys of one verb make: so many calls, once they are due and nothing
// keeps them.
type Planned struct {
	Verb  string   `json:"verb"` // add or delete
	Keys  int      `json:"keys"`
	Calls int      `json:"calls"`
	Some  []string `json:"some"` // a few of the keys, masked
}

// PlannedSentence says it in words: "add 2 keys in 1 call, such as 1***3 4***9".
func PlannedSentence(p Planned) string {
	said := fmt.Sprintf("%s %s in %s", p.Verb, Count(p.Keys, "key"), Count(p.Calls, "call"))
	if len(p.Some) > 0 {
		said += ", such as " + strings.Join(p.Some, " ")
	}
	return said
}

// Limit is what an answer's headers said of one rate limit.
type Limit struct {
	Known     bool      `json:"known"`
	Remaining float64   `json:"remaining"` // calls left until the reset
	Reset     time.Time `json:"reset,omitzero"`
}

// Budget is how much of a rate limit is left, and who waits for it: of the address, or of
// the organisation of one tenant.
type Budget struct {
	Tenant  string    `json:"tenant,omitempty"` // the fingerprint; "": the address, which all tenants share
	Limit             // as the latest answer told
	Blocked time.Time `json:"blocked,omitzero"` // no call before; zero: now
	Waiting int       `json:"waiting"`          // segments that have asked for a call; for the address: tenants
	Name    string    `json:"name,omitempty"`   // of the tenant, see tenantNames; "": nothing
}
