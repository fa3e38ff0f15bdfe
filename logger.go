package main

import (
	"io"
	"os"

	"github.com/rs/zerolog"

	"audiences/config"
)

// newLogger writes JSON lines, or text for a person when a terminal is at the
// other end.
func newLogger(cfg config.Config, out io.Writer) zerolog.Logger {
	console := cfg.LogFormat == "console"
	if cfg.LogFormat == "auto" {
		if file, ok := out.(*os.File); ok {
			info, err := file.Stat()
			console = err == nil && info.Mode()&os.ModeCharDevice != 0
		}
	}
	if console {
		out = zerolog.ConsoleWriter{Out: out, TimeFormat: "15:04:05.000"}
	}
	level, err := zerolog.ParseLevel(cfg.LogLevel)
	if err != nil {
		level = zerolog.InfoLevel // config has checked it
	}
	return zerolog.New(out).Level(level).With().Timestamp().Logger()
}
