package test

import "strconv"

// numbers are n MPIDs in a row.
func numbers(from, n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = strconv.Itoa(8_735_621_876_000_000_000 + from + i)
	}
	return keys
}
