package cli

import (
	"context"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/rs/zerolog"
)

// Where systemd has started the process with Type=notify it is told how that is: that changes
// are taken, that a stop has begun, and, where the unit has a WatchdogSec, that the process
// lives (sd_notify(3)). Nobody else names a socket for it in the environment.

// tellSystemd tells it a state, if it listens.
func tellSystemd(state string, logger zerolog.Logger) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		logger.Warn().Err(err).Msg("systemd could not be told how the relay is")
	}
}

// watchdog tells systemd that the process lives, twice in the time after which it would end
// it, until ctx ends.
func watchdog(ctx context.Context, logger zerolog.Logger) {
	within, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		logger.Warn().Err(err).Msg("systemd's watchdog cannot be served: its variables are odd")
	}
	if err != nil || within <= 0 {
		return
	}
	ticker := time.NewTicker(within / 2)
	defer ticker.Stop()
	for {
		tellSystemd(daemon.SdNotifyWatchdog, logger)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
