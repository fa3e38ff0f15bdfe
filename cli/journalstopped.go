package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/rs/zerolog"

	"audiences/config"
	"audiences/journal/embedded"
	"audiences/journal/mover"
	"audiences/journal/postgres"
	"audiences/logging"
)

// stoppedJournal is the journal of a relay that is stopped, of either kind.
type stoppedJournal interface {
	mover.Journal
	io.Closer
}

// openStopped opens the journal of a configuration for a command alone. There must be one
// already where it says so.
func openStopped(ctx context.Context, p process, cfg config.Config, mustExist bool) (stoppedJournal, error) {
	logger := newLogger(cfg, p).Level(zerolog.WarnLevel)
	if cfg.JournalInDatabase() {
		return openStoppedDatabase(ctx, cfg, logger, p, mustExist)
	}
	options := embedded.Options{Dir: cfg.JournalDir, KeyFile: cfg.JournalKeyFile, MinFreeBytes: cfg.MinFreeDiskBytes, Logger: logger,
		ReceiptsMaxBytes: cfg.ReceiptsMaxBytes, ReceiptsMaxAge: cfg.ReceiptsMaxAge, Moving: true,
		Fatal: func(err error) {
			logger.Error().Err(err).Msg("the journal cannot be written: ending at once")
			p.stderr.Flush(logging.LastWords)
			os.Exit(exitFailed)
		}}
	if err := inspectStopped(options, mustExist); err != nil {
		return nil, err
	}
	opened, err := embedded.Open(options)
	if err != nil {
		return nil, err
	}
	return opened, nil
}

// inspectStopped refuses what an open would answer with a change of the directory.
func inspectStopped(options embedded.Options, mustExist bool) error {
	found := embedded.Inspect(options)
	switch {
	case found.Holder != 0:
		return fmt.Errorf("open journal: %s is in use by another process%s: stop the relay first", options.Dir, named(found.Holder))
	case len(found.Faults) > 0:
		return errors.Join(found.Faults...)
	case found.Damage != nil:
		return fmt.Errorf("open journal in %s: its store is damaged: %w", options.Dir, found.Damage)
	case found.New && mustExist:
		return fmt.Errorf("open journal: there is none in %s", options.Dir)
	}
	return nil
}

func openStoppedDatabase(ctx context.Context, cfg config.Config, logger zerolog.Logger, p process, mustExist bool) (stoppedJournal, error) {
	key, err := sharedKey(cfg.JournalKeyFile)
	if err != nil {
		return nil, err
	}
	opened, err := postgres.Open(ctx, postgres.Options{URL: cfg.JournalURL().Reveal(), Vault: key, Name: cfg.NodeName + " (audiences journal)",
		Egress: cfg.EgressGroup, Version: p.build.version, ReceiptsMaxAge: cfg.ReceiptsMaxAge, Moving: true, Logger: logger})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.JournalName(), err)
	}
	if mustExist && opened.Self() == 1 { // the first life of a node in it is this command
		return nil, errors.Join(fmt.Errorf("open journal: no relay has ever used %s", cfg.JournalName()), opened.Close())
	}
	return opened, nil
}
