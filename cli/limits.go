package cli

import (
	"github.com/rs/zerolog"

	"audiences/config"
	"audiences/memory"
)

// withinMemory is the configuration as the memory limit allows it, if there is one. It
// logs what has become of it.
func withinMemory(configured config.Config, room memory.Allowance, logger zerolog.Logger) config.Config {
	if room.Limit == 0 {
		return configured
	}
	cfg := bounded(configured, room.Budget)
	logger.Info().Int64("limit", room.Limit).Str("setBy", room.Source).
		Int64("maxBytesInFlight", cfg.MaxBytesInFlight).Int("maxRequestsInFlight", cfg.MaxRequestsInFlight).
		Int("maxConcurrentCalls", cfg.MaxConcurrentCalls).Int("keysInMemory", room.Budget.KeysInMemory).
		Msg("memory is limited: this is what is held at most")
	if cfg.MaxBodyBytes < configured.MaxBodyBytes || cfg.MaxKeysPerPost < configured.MaxKeysPerPost {
		logger.Warn().Int64("maxBodyBytes", cfg.MaxBodyBytes).Int("maxKeysPerPost", cfg.MaxKeysPerPost).
			Msg("the memory limit does not allow larger posts than these: beyond them 413")
	}
	return cfg
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
