package journal

import "fmt"

// Mark is kept by a journal that takes part in a move of all that one journal holds to
// another one. No relay starts on a journal that has one: so of two journals that hold the
// same change one alone can ever be delivered from.
type Mark struct {
	Moved bool   `json:"moved,omitempty"` // what it holds was moved to the other one; false: it takes in what the other one holds, and may have part of it
	Other string `json:"other"`           // what the other one's ID returns
	Place string `json:"place"`           // where that one is, for people
}

// Refusal is why a relay does not start on a journal with this mark; nil without one.
func (m *Mark) Refusal() error {
	switch {
	case m == nil:
		return nil
	case m.Moved:
		return fmt.Errorf("what it holds was moved to %s: use that one (`audiences journal reopen` is for when nothing will ever be delivered from there)", m.Place)
	}
	return fmt.Errorf("what is in %s is being moved to it, and that has not ended: carry out the same `audiences journal move` again", m.Place)
}
