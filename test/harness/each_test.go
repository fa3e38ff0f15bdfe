package harness

import (
	"errors"
	"sync/atomic"
	"testing"
)

// TestEach: everything is done once, and one failure is enough to be told.
func TestEach(t *testing.T) {
	var done [10]atomic.Int32
	if err := Each(3, len(done), func(_, i int) error { done[i].Add(1); return nil }); err != nil {
		t.Error(err)
	}
	for i := range done {
		if n := done[i].Load(); n != 1 {
			t.Errorf("%d was done %d times", i, n)
		}
	}
	wrong, after := errors.New("wrong"), false
	err := Each(2, 10, func(worker, i int) error {
		if worker == 1 && i > 3 {
			after = true
		}
		if i == 3 {
			return wrong
		}
		return nil
	})
	if !errors.Is(err, wrong) || after {
		t.Errorf("%v; went on after a failure: %v", err, after)
	}
}
