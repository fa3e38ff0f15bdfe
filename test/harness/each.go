package harness

import (
	"errors"
	"sync"
)

// Each has so many workers do the things from 0 to n-1: a worker those whose number
// is its own, its own plus workers, and so on. A worker ends when one of its things
// fails.
func Each(workers, n int, do func(worker, i int) error) error {
	failed := make([]error, workers)
	var working sync.WaitGroup
	for worker := range workers {
		working.Go(func() {
			for i := worker; i < n && failed[worker] == nil; i += workers {
				failed[worker] = do(worker, i)
			}
		})
	}
	working.Wait()
	return errors.Join(failed...)
}
