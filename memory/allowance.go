package memory

import (
	"errors"
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"slices"

	"github.com/rs/zerolog"
)

// Allowance is how much memory the process may take, and what that is divided into.
type Allowance struct {
	Limit  int64  // bytes; 0: none
	Source string // who set the limit: "control group" or "GOMEMLIMIT"; "" without one
	Budget Budget

	used func() (int64, error) // bytes that count against the limit
}

// goPart is what the Go runtime may take of a limit, when the operator has set its
// part and no limit is known.
const goPart = 0.9

// Find looks for the limit: that of the process's control groups, or what GOMEMLIMIT
// implies, whichever is less. A limit that is too low to run in is an error. One that
// cannot be read is logged only, and the relay then runs as without. root is "/" but
// in tests.
func Find(root string, logger zerolog.Logger) (Allowance, error) {
	a := Allowance{used: runtimeUsed}
	group, limited, err := Tightest(root)
	if err != nil {
		logger.Warn().Err(err).Msg("whether there is a memory limit cannot be told; set GOMEMLIMIT if there is one")
	}
	if limited {
		a.Limit, a.Source, a.used = group.Limit, "control group", group.Used
	}
	if set := debug.SetMemoryLimit(-1); set != math.MaxInt64 && os.Getenv("GOMEMLIMIT") != "" {
		// The greatest values would imply more than there are numbers for.
		if implied := int64(min(float64(set)/goPart, math.MaxInt64/2)); !limited || implied < a.Limit {
			a.Limit, a.Source, a.used = implied, "GOMEMLIMIT", runtimeUsed
		}
	}
	if a.Source == "" {
		return a, nil
	}
	a.Budget, err = For(a.Limit)
	return a, err
}

// Apply makes the Go runtime keep the limit and collect accordingly. What the operator
// set by GOMEMLIMIT and GOGC stays as it is.
func (a Allowance) Apply(logger zerolog.Logger) {
	if os.Getenv("GOGC") == "" {
		tuneGC(leastGarbage(a.Budget))
	}
	if a.Limit == 0 {
		return
	}
	if builtWithC() {
		logger.Warn().Msg("this program was built with cgo: the store takes memory that the Go runtime does not know of, which may pass the limit; build it with CGO_ENABLED=0")
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(a.Budget.Go)
	}
}

// builtWithC reports whether the store allocates with malloc.
func builtWithC() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.ContainsFunc(info.Settings, func(s debug.BuildSetting) bool { return s.Key == "CGO_ENABLED" && s.Value == "1" })
}

// runtimeUsed is what the Go runtime has of the system and has not given back.
func runtimeUsed() (int64, error) {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	for _, s := range samples {
		if s.Value.Kind() != metrics.KindUint64 {
			return 0, fmt.Errorf("read memory usage: %w", errors.ErrUnsupported)
		}
	}
	return int64(samples[0].Value.Uint64() - samples[1].Value.Uint64()), nil
}
