package cli

import (
	"context"
	"os"
	"syscall"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"audiences/config"
	"audiences/logging"
)

func serveCommand(p process) *cobra.Command {
	return &cobra.Command{
		Use:   "serve CONFIG",
		Short: "run the relay; `audiences CONFIG` does the same",
		Long: `Runs the relay with a configuration file until SIGTERM or SIGINT. It then takes no
more changes, delivers what is pending for up to drainTimeout, and leaves the rest
in the journal for the next start; a second signal ends it at once. The log goes
to standard error. SIGHUP has the configuration read again.

All keys of the file, and the environment variables that beat them, are in
docs/configuration.md; authToken and keyFile are required.

  audiences serve audiences.config
  AUDIENCES_LOG_LEVEL=debug audiences serve /etc/audiences/audiences.config

Exit codes: 0 stopped as asked; 1 something failed; 2 the configuration or the
command line is wrong, or the program crashed; 128 and a signal's number: ended by
that signal.
`,
		Args: configuration,
		RunE: func(cmd *cobra.Command, args []string) error { return serve(cmd.Context(), args[0], p) },
	}
}

// serve runs the relay until ctx ends or a signal comes, and then drains it.
func serve(ctx context.Context, path string, p process) error {
	ctx = untilTold(ctx, p.stderr, os.Interrupt, syscall.SIGTERM)
	logStrays, reload := catchStrays(), catchReload()
	environ := os.Environ()
	cfg, err := config.LoadToServe(path, environ)
	if err != nil {
		return err
	}
	logger := newLogger(cfg, p).Level(zerolog.TraceLevel)
	logging.SetLevel(cfg.LogLevel)
	logStrays(logger)
	for _, warning := range cfg.Warnings {
		logger.Warn().Msg(warning)
	}
	s, err := start(ctx, cfg, logger, p, newReloader(path, environ, cfg, reload, logger))
	if err != nil {
		return err
	}
	return s.run(ctx)
}

func newLogger(cfg config.Config, p process) zerolog.Logger {
	return logging.New(logging.Options{Level: cfg.LogLevel, Format: cfg.LogFormat}, p.stderr)
}
