package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"slices"

	"github.com/rs/zerolog"

	"audiences/config"
	"audiences/memory"
)

// allowance is how much memory the process may take, and what that is divided into.
type allowance struct {
	limit  int64  // bytes; 0: none
	source string // who set it
	budget memory.Budget
	used   func() (int64, error) // bytes that count against the limit
}

// goPart is what the Go runtime may take of a limit, when the operator has set its
// part and no limit is known.
const goPart = 0.9

// findAllowance looks for the limit: that of the process's control groups, or what
// GOMEMLIMIT implies, whichever is less. One that is too low to run in is an error,
// one that cannot be read is not: the relay then runs as without.
func findAllowance(root string, logger zerolog.Logger) (allowance, error) {
	a := allowance{used: runtimeUsed}
	group, limited, err := memory.Tightest(root)
	if err != nil {
		logger.Warn().Err(err).Msg("whether there is a memory limit cannot be told; set GOMEMLIMIT if there is one")
	}
	if limited {
		a.limit, a.source, a.used = group.Limit, "control group", group.Used
	}
	if set := debug.SetMemoryLimit(-1); set != math.MaxInt64 && os.Getenv("GOMEMLIMIT") != "" {
		// The greatest values would imply more than there are numbers for.
		if implied := int64(min(float64(set)/goPart, math.MaxInt64/2)); !limited || implied < a.limit {
			a.limit, a.source, a.used = implied, "GOMEMLIMIT", runtimeUsed
		}
	}
	if a.source == "" {
		return a, nil
	}
	a.budget, err = memory.For(a.limit)
	return a, err
}

// take makes the runtime keep the limit, unless the operator told it another one,
// and says what has become of the configuration.
func (a allowance) take(configured config.Config, logger zerolog.Logger) config.Config {
	if os.Getenv("GOGC") == "" {
		tuneGC(leastGarbage(a.budget))
	}
	if a.limit == 0 {
		return configured
	}
	if builtWithC() {
		logger.Warn().Msg("this program was built with cgo: the store takes memory that the Go runtime does not know of, which may pass the limit; build it with CGO_ENABLED=0")
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(a.budget.Go)
	}
	cfg := bounded(configured, a.budget)
	logger.Info().Int64("limit", a.limit).Str("setBy", a.source).
		Int64("maxBytesInFlight", cfg.MaxBytesInFlight).Int("maxRequestsInFlight", cfg.MaxRequestsInFlight).
		Int("maxConcurrentCalls", cfg.MaxConcurrentCalls).Int("keysInMemory", a.budget.KeysInMemory).
		Msg("memory is limited: this is what is held at most")
	if cfg.MaxBodyBytes < configured.MaxBodyBytes || cfg.MaxKeysPerPost < configured.MaxKeysPerPost {
		logger.Warn().Int64("maxBodyBytes", cfg.MaxBodyBytes).Int("maxKeysPerPost", cfg.MaxKeysPerPost).
			Msg("the memory limit does not allow larger posts than these: beyond them 413")
	}
	return cfg
}

// builtWithC reports whether the store allocates with malloc.
func builtWithC() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.ContainsFunc(info.Settings, func(s debug.BuildSetting) bool { return s.Key == "CGO_ENABLED" && s.Value == "1" })
}

// bounded lowers what the budget does not allow.
func bounded(cfg config.Config, b memory.Budget) config.Config {
	lower(&cfg.MaxBytesInFlight, b.BytesInFlight)
	lower(&cfg.MaxBodyBytes, b.BodyBytes)
	lower(&cfg.MaxKeysPerPost, b.KeysPerPost)
	lower(&cfg.MaxRequestsInFlight, b.RequestsInFlight)
	lower(&cfg.MaxConcurrentCalls, b.Calls)
	return cfg
}

// lower lowers the value to the bound; 0 bounds nothing.
func lower[T int | int64](value *T, bound T) {
	if bound > 0 {
		*value = min(*value, bound)
	}
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
