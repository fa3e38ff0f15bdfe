package status

import "time"

// Token is what operators are shown of a token that callers may show: never the token.
type Token struct {
	Name  string    `json:"name"`
	Until time.Time `json:"until,omitzero"`    // when it ends; not there: never
	Last  time.Time `json:"lastUsed,omitzero"` // by a post to this relay, to the second; not there: not since its start
}
