package cli

import (
	"context"
	"crypto/sha256"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"audiences/api"
	"audiences/config"
)

// reloader has a relay take over what may change while it runs: the tokens of its callers.
// It reads the configuration again at a signal, and when a file that a variable of the
// environment names is another one. A configuration with a fault changes nothing.
type reloader struct {
	path    string
	environ []string
	signals <-chan os.Signal
	tokens  func([]api.Token)
	logger  zerolog.Logger

	current config.Config // what the relay goes by; watch alone touches this and what follows
	before  []api.Token   // authTokens that were replaced, until nobody may show them any more
	seen    [sha256.Size]byte
	tried   [sha256.Size]byte
}

const (
	// secretsEvery is how often the files are looked at. What differs is read when two looks
	// in a row have found the same, so that a file half written is not.
	secretsEvery = 2 * time.Second
	// tokenOverlap is how long callers may show an authToken that was replaced: not all of
	// them learn of the new one at the same moment.
	tokenOverlap = 10 * time.Minute
)

func newReloader(path string, environ []string, cfg config.Config, signals <-chan os.Signal, logger zerolog.Logger) *reloader {
	r := &reloader{path: path, environ: environ, signals: signals, logger: logger, current: cfg, seen: config.SecretFiles(environ)}
	r.tried = r.seen
	return r
}

// watch goes on until ctx ends.
func (r *reloader) watch(ctx context.Context) {
	ticker := time.NewTicker(secretsEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.signals:
			r.reload()
		case <-ticker.C:
			r.look()
		}
	}
}

// look reads the configuration again if a secret has changed and its file has settled.
func (r *reloader) look() {
	sum := config.SecretFiles(r.environ)
	settled := sum == r.seen
	r.seen = sum
	if settled && sum != r.tried {
		r.tried = sum
		r.reload()
	}
}

func (r *reloader) reload() {
	cfg, err := config.Load(r.path, r.environ)
	if err != nil {
		r.logger.Warn().Err(err).Msg("the configuration was read again and has a fault: all stays as it was")
		return
	}
	for _, warning := range cfg.Warnings {
		if !slices.Contains(r.current.Warnings, warning) {
			r.logger.Warn().Msg(warning)
		}
	}
	var taken, later []string
	for _, name := range config.Changed(r.current, cfg) {
		if strings.HasPrefix(name, config.SingleToken) {
			taken = append(taken, name)
		} else {
			later = append(later, name)
		}
	}
	r.take(cfg, time.Now())
	event := r.logger.Info().Strs("taken", taken)
	if len(later) > 0 {
		event = event.Strs("needRestart", later)
	}
	event.Msg("the configuration was read again")
}

// take has the tokens replaced. What needs a restart is named again the next time.
func (r *reloader) take(cfg config.Config, now time.Time) {
	tokens := tokensOf(cfg)
	if was := r.current.AuthToken; was != cfg.AuthToken && was.Reveal() != "" {
		old := tokensOf(config.Config{AuthToken: was})[0]
		old.Name, old.Until = old.Name+" before", now.Add(tokenOverlap)
		r.before = append(r.before, old)
	}
	r.before = slices.DeleteFunc(r.before, func(old api.Token) bool {
		again := slices.ContainsFunc(tokens, func(t api.Token) bool { return t.Hash == old.Hash })
		return again || !now.Before(old.Until)
	})
	r.current.AuthToken, r.current.AuthTokens, r.current.Warnings = cfg.AuthToken, cfg.AuthTokens, cfg.Warnings
	r.tokens(append(tokens, r.before...))
}
