package main

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"audiences/config"
)

// newLogger writes JSON lines, or text for a person when a terminal is at the
// other end. It never waits for whoever reads them.
func newLogger(cfg config.Config, lines *lineWriter) zerolog.Logger {
	level, err := zerolog.ParseLevel(cfg.LogLevel)
	if err != nil {
		level = zerolog.InfoLevel // config has checked it
	}
	var logger zerolog.Logger
	if cfg.LogFormat == "console" || cfg.LogFormat == "auto" && lines.isTerminal() {
		logger = zerolog.New(zerolog.ConsoleWriter{Out: lines, TimeFormat: "15:04:05.000"})
	} else {
		logger = zerolog.New(lines)
	}
	logger = logger.Level(level).With().Timestamp().Logger()
	lines.tellWith(func(n uint64) {
		logger.Error().Uint64("lines", n).Msg("log lines were dropped: whoever reads the log did not take them")
	})
	return logger
}

// registerDropped counts what nobody will read.
func registerDropped(lines *lineWriter, registerer prometheus.Registerer) {
	registerer.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "audiences_log_lines_dropped_total",
		Help: "Log lines that were not written: the reader of standard error stalled or has gone.",
	}, func() float64 { return float64(lines.Dropped()) }))
}
