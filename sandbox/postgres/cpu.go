package postgres

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// CPU is the processor time that the server has used, with all its children, those that have
// ended too, to a hundredth of a second for each.
func (s *Server) CPU() (total time.Duration, err error) {
	running := s.process.Load()
	if running == nil {
		return 0, errors.New("read processor time: the server does not run")
	}
	parent := running.PID()
	children, err := childrenOf(parent)
	if err != nil {
		return 0, err
	}
	const tick = time.Second / 100 // of proc(5), on every Linux that Go runs on
	for _, pid := range append(children, parent) {
		text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
		if err != nil {
			continue // it has ended, and the parent counts it
		}
		_, after, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(after)
		counted := 13 // its own
		if pid == parent {
			counted = 15 // and those of children that have ended
		}
		if len(fields) < counted {
			return 0, fmt.Errorf("read processor time: %d fields", len(fields))
		}
		for _, field := range fields[11:counted] {
			ticks, err := strconv.Atoi(field)
			if err != nil {
				return 0, fmt.Errorf("read processor time: %w", err)
			}
			total += time.Duration(ticks) * tick
		}
	}
	return total, nil
}
