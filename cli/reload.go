package cli

import (
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"audiences/api"
	"audiences/api/keyfile"
	"audiences/config"
	"audiences/status"
)

// reloader has a relay take over what may change while it runs (config.Live). It reads the
// configuration again at a signal, when an operator asks for it, and when a file that a
// variable of the environment names is another one. All of a configuration is checked before
// anything of it is taken: one with a fault changes nothing.
type reloader struct {
	path    string
	environ []string
	signals <-chan os.Signal
	asked   chan reloadWish
	ended   chan struct{} // closed when watch has ended
	logger  zerolog.Logger
	service *service

	current config.Config // what the relay goes by; watch alone touches this and what follows
	before  []api.Token   // authTokens that were replaced, until nobody may show them any more
	seen    [sha256.Size]byte
	tried   [sha256.Size]byte
	owed    bool   // a file has changed, and the configuration with it had a fault: it is tried at each look
	told    string // the fault that was told last
}

// reloadWish is an operator's.
type reloadWish struct {
	who     string
	answers chan<- reloaded // has room for one
}

type reloaded struct {
	status.Reload
	err error
}

const (
	// secretsEvery is how often the files are looked at. What differs is read when two looks
	// in a row have found the same, so that a file half written is not.
	secretsEvery = 2 * time.Second
	// tokenOverlap is how long callers may show an authToken that was replaced: not all of
	// them learn of the new one at the same moment.
	tokenOverlap = 10 * time.Minute
	// eventPatience is how long a reload waits for its event to be durable: a journal that is
	// away must not hold up the next one.
	eventPatience = 5 * time.Second
	// mostFault bounds what an event tells of a fault, in bytes; the log has all of it.
	mostFault = 2000
)

// errNoReload is for operators who come late.
var errNoReload = errors.New("the relay is stopping")

func newReloader(path string, environ []string, cfg config.Config, signals <-chan os.Signal, logger zerolog.Logger) *reloader {
	r := &reloader{path: path, environ: environ, signals: signals, asked: make(chan reloadWish), ended: make(chan struct{}),
		logger: logger, current: cfg, seen: config.SecretFiles(environ)}
	r.tried = r.seen
	return r
}

// watch goes on until ctx ends.
func (r *reloader) watch(ctx context.Context) {
	defer close(r.ended)
	ticker := time.NewTicker(secretsEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.signals:
			r.told = ""
			_, _ = r.reload("") // it logs
		case wish := <-r.asked:
			r.told = ""
			what, err := r.reload(wish.who)
			wish.answers <- reloaded{what, err}
		case <-ticker.C:
			r.look()
		}
	}
}

// ask has watch read the configuration again.
func (r *reloader) ask(ctx context.Context, who string) (status.Reload, error) {
	answers := make(chan reloaded, 1)
	select {
	case r.asked <- reloadWish{who, answers}:
	case <-r.ended:
		return status.Reload{}, errNoReload
	case <-ctx.Done():
		return status.Reload{}, ctx.Err()
	}
	select {
	case answer := <-answers:
		return answer.Reload, answer.err
	case <-ctx.Done():
		return status.Reload{}, ctx.Err()
	}
}

// look reads the configuration again if a secret has changed and its file has settled, and
// then until it has no fault: the other file of a pair may come a moment later.
func (r *reloader) look() {
	sum := config.SecretFiles(r.environ)
	settled := sum == r.seen
	r.seen = sum
	if settled && (sum != r.tried || r.owed) {
		r.tried, r.owed = sum, true
		_, _ = r.reload("") // it logs
	}
}

// reload reads the configuration, checks all of it, and takes what may be taken. Who asked
// for it is empty where it was not an operator.
func (r *reloader) reload(who string) (status.Reload, error) {
	cfg, err := config.LoadToServe(r.path, r.environ)
	var certificates []*keyfile.Candidate
	if err == nil {
		certificates, err = r.certificates(cfg)
	}
	if err != nil {
		r.refuse(err, who)
		return status.Reload{}, &status.ConfigurationFault{Err: err}
	}
	r.owed, r.told = false, ""
	what := r.compare(cfg)
	for _, warning := range what.Warnings {
		r.logger.Warn().Msg(warning)
	}
	if slices.Contains(what.NeedRestart, "adminUsers") {
		cfg.AdminUsers = r.current.AdminUsers
	}
	r.take(cfg, certificates, time.Now())
	r.logger.Info().Strs("taken", what.Taken).Strs("needRestart", what.NeedRestart).Msg("the configuration was read again")
	if len(what.Taken)+len(what.NeedRestart) > 0 {
		r.note(status.Event{Kind: status.EventReloaded, Who: who, Taken: what.Taken, NeedRestart: what.NeedRestart})
	}
	return what, nil
}

// certificates are those of another key file, or by other passwords; nil: both are as they
// were. moreKeyFiles are those of the start.
func (r *reloader) certificates(cfg config.Config) ([]*keyfile.Candidate, error) {
	if cfg.KeyFile == r.current.KeyFile && cfg.KeyPassword == r.current.KeyPassword && cfg.KeyEntryPassword == r.current.KeyEntryPassword {
		return nil, nil
	}
	return keyfile.TryAll(append([]string{cfg.KeyFile}, r.current.MoreKeyFiles...), keyOptions(cfg))
}

// refuse tells of a fault, and of the same one once.
func (r *reloader) refuse(err error, who string) {
	if err.Error() == r.told {
		return
	}
	r.told = err.Error()
	r.logger.Warn().Err(err).Msg("the configuration was read again and has a fault: all stays as it was")
	r.note(status.Event{Kind: status.EventNotReloaded, Who: who, Fault: err.Error()})
}

// compare says what differs. Users wait for a restart together with the address that they
// come in on: on the one that there is, their passwords might cross the network in clear.
func (r *reloader) compare(cfg config.Config) status.Reload {
	what := status.Reload{Taken: []string{}, NeedRestart: []string{}, Warnings: []string{}}
	changed := config.Changed(r.current, cfg)
	elsewhere := slices.Contains(changed, "adminAddress") || slices.Contains(changed, "adminTls")
	for _, name := range changed {
		if config.Live(name) && (name != "adminUsers" || !elsewhere) {
			what.Taken = append(what.Taken, name)
		} else {
			what.NeedRestart = append(what.NeedRestart, name)
		}
	}
	known := slices.Concat(r.current.Warnings, r.service.files.warnings(r.current))
	for _, warning := range slices.Concat(cfg.Warnings, r.service.files.warnings(cfg)) {
		if !slices.Contains(known, warning) {
			what.Warnings = append(what.Warnings, warning)
		}
	}
	return what
}

// take has the relay go by another configuration. What needs a restart is named again the
// next time.
func (r *reloader) take(cfg config.Config, certificates []*keyfile.Candidate, now time.Time) {
	tokens := r.tokens(cfg, now)
	r.current.TakeLive(cfg)
	r.service.take(r.current, certificates, tokens)
}

// tokens are those of the configuration, and each authToken that was replaced a while ago.
func (r *reloader) tokens(cfg config.Config, now time.Time) []api.Token {
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
	return append(tokens, r.before...)
}

func (r *reloader) note(event status.Event) {
	event.At = time.Now().UTC()
	if r.current.JournalInDatabase() {
		event.Node = r.current.NodeName
	}
	event.Fault = strings.ReplaceAll(event.Fault, "\n", "; ")
	if len(event.Fault) > mostFault {
		event.Fault = strings.ToValidUTF8(event.Fault[:mostFault], "") + "..."
	}
	ctx, cancel := context.WithTimeout(context.Background(), eventPatience)
	defer cancel()
	if err := r.service.relay.Note(ctx, event); err != nil {
		r.logger.Warn().Err(err).Msg("the event of a reload may not be kept")
	}
}
