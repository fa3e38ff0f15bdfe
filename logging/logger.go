package logging

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// Options say what is logged and how.
type Options struct {
	// Level is the least level that is written, by zerolog's names. "" and a name
	// that zerolog does not know mean info.
	Level string
	// Format is "console", which is text for a person, "json", or "auto": text at a
	// terminal and JSON anywhere else. "" means json.
	Format string
}

// New returns a logger that writes to lines, and so never waits for whoever reads
// them. It also has lines log how many of them were dropped.
func New(options Options, lines *LineWriter) zerolog.Logger {
	level := levelOf(options.Level)
	var logger zerolog.Logger
	if options.Format == "console" || options.Format == "auto" && lines.isTerminal() {
		logger = zerolog.New(zerolog.ConsoleWriter{Out: lines, TimeFormat: "15:04:05.000"})
	} else {
		logger = zerolog.New(lines)
	}
	logger = logger.Level(level).Hook(zerolog.HookFunc(stamp))
	lines.tellWith(func(n uint64) {
		logger.Error().Uint64("lines", n).Msg("log lines were dropped: whoever reads the log did not take them")
	})
	return logger
}

// SetLevel sets the least level that any logger of the process writes, whatever its own
// lets through; it may be called at any time.
func SetLevel(name string) { zerolog.SetGlobalLevel(levelOf(name)) }

func levelOf(name string) zerolog.Level {
	level, err := zerolog.ParseLevel(name)
	if err != nil || name == "" {
		return zerolog.InfoLevel
	}
	return level
}

// stampLayout is RFC 3339 with milliseconds: a thousand posts of one second would not
// be told apart by seconds.
const stampLayout = "2006-01-02T15:04:05.000Z07:00"

// stamp gives a line its time. zerolog's own timestamps take their layout from a
// variable of the whole process.
func stamp(e *zerolog.Event, _ zerolog.Level, _ string) {
	e.Str(zerolog.TimestampFieldName, time.Now().Format(stampLayout))
}

// RegisterDropped shows LineWriter.Dropped among the metrics.
func RegisterDropped(lines *LineWriter, registerer prometheus.Registerer) {
	registerer.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "audiences_log_lines_dropped_total",
		Help: "Log lines that were not written: the reader of standard error stalled or has gone.",
	}, func() float64 { return float64(lines.Dropped()) }))
}
