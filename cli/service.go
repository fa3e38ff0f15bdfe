package cli

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"

	"audiences/actors"
	"audiences/api"
	"audiences/api/admin"
	"audiences/api/admin/access"
	"audiences/api/keyfile"
	"audiences/audience"
	"audiences/config"
	"audiences/journal"
	"audiences/journal/postgres"
	"audiences/logging"
	"audiences/memory"
	"audiences/placement"
	"audiences/splitclient"
	"audiences/telemetry"
)

// service is a running relay: its parts in the order of the way of a key.
type service struct {
	cfg     config.Config
	logger  zerolog.Logger
	process process // logger writes to its standard error
	api     *api.Server
	admin   *admin.Server
	relay   *actors.Relay
	split   *splitclient.Client
	journal keptJournal
	cluster *cluster // the place among other nodes; nil: there are none
	memory  *memory.Pressure
	sent    *telemetry.Telemetry
	files   descriptors
	room    memory.Allowance

	certificates keyfile.Sources
	authorities  *keyfile.Authorities              // of callers
	names        atomic.Pointer[map[string]string] // what people call tenants, by their fingerprints
	reloader     *reloader                         // nil: what it runs by stays

	listener, adminListener net.Listener // the second is nil when the admin side is off
	failed                  chan error   // a part cannot go on; the first reason counts
}

// start checks and opens everything before the first connection is taken. What
// it opened is closed again if it fails. Without a reloader (nil) it never reads its
// configuration again.
func start(ctx context.Context, cfg config.Config, logger zerolog.Logger, p process, r *reloader) (_ *service, err error) {
	s := &service{cfg: cfg, logger: logger, process: p, failed: make(chan error, 4), reloader: r}
	if r != nil {
		r.service = s
	}
	defer func() {
		if err != nil {
			s.closeOpened()
		}
	}()
	room, err := memory.Find("/", logger)
	if err != nil {
		return nil, err
	}
	room.Apply(logger)
	cfg = withinMemory(cfg, room, logger)
	s.cfg, s.room = cfg, room
	s.names.Store(&cfg.TenantNames)
	if s.files, err = divideFiles(cfg, logger); err != nil {
		return nil, err
	}
	lower(&s.files.connections, room.Budget.Connections)
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	logging.RegisterDropped(p.stderr, registry)
	p.build.register(registry)
	s.certificates, err = keyfile.OpenSources(keyfile.SourceOptions{Path: cfg.KeyFile, Options: keyOptions(cfg),
		Record: servedRecord(cfg), Logger: logger, Registerer: registry}, cfg.MoreKeyFiles)
	if err != nil {
		return nil, err
	}
	s.authorities, err = keyfile.OpenAuthorities(keyfile.AuthoritiesOptions{Path: cfg.ClientCAFile, Logger: logger, Registerer: registry})
	if err != nil {
		return nil, err
	}
	if cfg.JournalInDatabase() {
		err = s.openDatabase(ctx, registry)
	} else {
		err = s.openDirectory(room, registry)
	}
	if err != nil {
		return nil, err
	}
	s.sent = telemetry.Start(telemetry.Options{Gatherer: registry, Registerer: registry,
		Version: p.build.version, Instance: instanceOf(cfg), SplitURL: cfg.SplitAPIURL, Logger: logger})
	s.split, err = splitclient.New(splitclient.Options{BaseURL: cfg.SplitAPIURL, Timeout: cfg.SplitTimeout,
		MaxConnections: s.files.calls, Registerer: registry, MayWrite: s.cluster.mayCall(), Called: s.sent.Called()})
	if err != nil {
		return nil, err
	}
	if s.listener, err = net.Listen("tcp", portAddress(cfg)); err != nil {
		return nil, fmt.Errorf("open port: %w", err)
	}
	if cfg.AdminAddress != "" {
		if s.adminListener, err = net.Listen("tcp", cfg.AdminAddress); err != nil {
			return nil, fmt.Errorf("open admin address: %w", err)
		}
	}
	s.startParts(room, registry)
	return s, nil
}

// instanceOf tells relays apart that send telemetry under the same name.
func instanceOf(cfg config.Config) string {
	name := cfg.NodeName
	if name == "" {
		name, _ = os.Hostname()
	}
	return fmt.Sprintf("%s:%d", name, cfg.Port)
}

func keyOptions(cfg config.Config) keyfile.Options {
	return keyfile.Options{Password: cfg.KeyPassword.Reveal(), KeyPassword: cfg.KeyEntryPassword.Reveal()}
}

// servedRecord is where the relay keeps for health checks what it serves. It is
// there while the journal is, with the same rights. With the journal in a database there
// is none ("").
func servedRecord(cfg config.Config) string {
	if cfg.JournalInDatabase() {
		return ""
	}
	return filepath.Join(cfg.JournalDir, "certificates")
}

// startParts starts what cannot fail any more.
func (s *service) startParts(room memory.Allowance, registry *prometheus.Registry) {
	cfg := s.cfg
	s.memory = memory.NewPressure(room, s.logger, registry)
	pace := s.pace(cfg)
	s.relay = actors.Start(actors.Options{
		Journal:                    s.journal,
		Sharing:                    s.cluster.sharing(),
		Deliver:                    s.deliver(),
		FlushInterval:              pace.FlushInterval,
		IdleTimeout:                cfg.IdleTimeout,
		MaxConcurrentCalls:         pace.MaxConcurrentCalls,
		MaxCallsPerSecond:          pace.MaxCallsPerSecond,
		MaxCallsPerSecondPerTenant: pace.MaxCallsPerSecondPerTenant,
		MaxKeysInMemory:            room.Budget.KeysInMemory,
		MaxActivating:              room.Budget.Pages,
		Name:                       func(id audience.TenantID) string { return (*s.names.Load())[id.String()] },
		Logger:                     s.logger,
		Registerer:                 registry,
	})
	s.api = api.New(api.Options{
		Tokens:              tokensOf(cfg),
		GetCertificate:      s.certificates.GetCertificate,
		ClientCAs:           s.authorities.Pool,
		MinTLS:              minTLS(cfg),
		Classical:           cfg.TLSKeyExchange == "classical",
		Accept:              s.relay.Accept,
		Admit:               s.journal.Admit,
		Segments:            s.relay.Segments,
		MaxBodyBytes:        cfg.MaxBodyBytes,
		MaxKeysPerPost:      cfg.MaxKeysPerPost,
		MaxRequestsInFlight: cfg.MaxRequestsInFlight,
		MaxBytesInFlight:    cfg.MaxBytesInFlight,
		Refuse:              s.refuse,
		CauseOf:             causeOf,
		Answered:            s.sent.Answered(),
		Logger:              s.logger,
		Registerer:          registry,

		MaxConnections:           s.files.connections,
		MaxConnectionsPerAddress: cfg.MaxConnectionsPerAddress,
	})
	s.cluster.begin(s.relay)
	go s.serving("https port", func() error { return s.api.Serve(s.listener) })
	event := s.logger.Info().EmbedObject(s.process.build).Str("https", s.listener.Addr().String())
	if s.adminListener != nil {
		s.admin = admin.New(s.adminOptions(registry))
		go s.serving("admin address", func() error { return s.admin.Serve(s.adminListener) })
		event = event.Str("admin", s.adminListener.Addr().String())
	}
	event.Str("journal", cfg.JournalName()).Str("split", cfg.SplitAPIURL).EmbedObject(egressOf(cfg)).
		EmbedObject(shownPace(pace)).
		Msg("the relay takes changes")
}

// pace is that of the configuration, as far as the limits of memory and open files allow it.
func (s *service) pace(cfg config.Config) actors.Tuning {
	return actors.Tuning{
		FlushInterval:              cfg.SegmentsFlushRate,
		MaxConcurrentCalls:         min(bounded(cfg, s.room.Budget).MaxConcurrentCalls, s.files.calls),
		MaxCallsPerSecond:          cfg.MaxCallsPerSecond,
		MaxCallsPerSecondPerTenant: cfg.MaxCallsPerSecondPerTenant,
	}
}

// shownPace is the pace in the log.
type shownPace actors.Tuning

// MarshalZerologObject adds its fields.
func (p shownPace) MarshalZerologObject(e *zerolog.Event) {
	e.Int64("flushIntervalMs", p.FlushInterval.Milliseconds()).Float64("maxCallsPerSecond", p.MaxCallsPerSecond).
		Float64("maxCallsPerSecondPerTenant", p.MaxCallsPerSecondPerTenant).Int("maxConcurrentCalls", p.MaxConcurrentCalls)
}

// take goes by what of another configuration may change while the relay runs; the
// certificates are nil where they stay.
func (s *service) take(cfg config.Config, certificates []*keyfile.Candidate, tokens []api.Token) {
	s.api.SetTokens(tokens)
	s.certificates.Take(certificates)
	s.names.Store(&cfg.TenantNames)
	logging.SetLevel(cfg.LogLevel)
	s.relay.Tune(s.pace(cfg))
	if s.admin != nil {
		s.admin.Take(changing(cfg))
	}
}

// changing is what the admin side goes by.
func changing(cfg config.Config) admin.Changing {
	return admin.Changing{Names: cfg.TenantNames, FlushInterval: cfg.SegmentsFlushRate, Users: usersOf(cfg)}
}

// deliver makes calls to Split; nil: none is made, whoever wants one.
func (s *service) deliver() func(context.Context, splitclient.Call) splitclient.Outcome {
	if !s.cfg.Deliver {
		return nil
	}
	return s.split.Do
}

func (s *service) adminOptions(registry *prometheus.Registry) admin.Options {
	options := admin.Options{
		Checks: []admin.Check{
			{Name: "journal takes changes", Refuse: s.journal.Refuse},
			{Name: "memory is left", Refuse: s.memory.Refuse},
			{Name: "relay is at work", Refuse: s.relay.Ready},
		},
		Gatherer:       registry,
		Relay:          s.operators(),
		Tokens:         s.api.Tokens,
		Troubles:       s.certificates.Troubles,
		Names:          s.cfg.TenantNames,
		SplitURL:       s.cfg.SplitAPIURL,
		Access:         access.Options{Local: isLoopback(s.adminListener.Addr()), Users: usersOf(s.cfg)},
		ClosedMetrics:  !s.cfg.AdminOpenMetrics,
		FlushInterval:  s.cfg.SegmentsFlushRate,
		Version:        s.process.build.version,
		Profiles:       s.cfg.AdminPprof,
		MinTLS:         minTLS(s.cfg),
		MaxConnections: s.files.admin,
		Logger:         s.logger,
		Registerer:     registry,
	}
	if s.cluster != nil {
		options.Own, options.Nodes = s.relay, s.cluster.shown.Nodes
		options.Checks = append(options.Checks, admin.Check{Name: "node has its lease", Refuse: s.cluster.node.Ready})
	}
	if s.reloader != nil {
		options.Reload = s.reloader.ask
	}
	if s.cfg.AdminTLS {
		options.GetCertificate = s.certificates.GetCertificate
	}
	return options
}

func minTLS(cfg config.Config) uint16 {
	if cfg.TLSMinVersion == "1.3" {
		return tls.VersionTLS13
	}
	return tls.VersionTLS12
}

// isLoopback goes by what a listener has become: a name may stand for any address.
func isLoopback(address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

func usersOf(cfg config.Config) (users []access.User) {
	for _, u := range cfg.AdminUsers {
		role := access.Viewer
		if u.Role == access.Operator.String() {
			role = access.Operator
		}
		users = append(users, access.User{Name: u.Name, Role: role, PasswordHash: u.PasswordHash.Reveal(), Token: u.Token.Reveal()})
	}
	return users
}

func tokensOf(cfg config.Config) (list []api.Token) {
	for _, t := range cfg.Tokens() {
		list = append(list, api.Token{Name: t.Name, Hash: t.Hash, Text: t.Token.Reveal(), Until: t.Until})
	}
	return list
}

// refuse is nil while changes are taken.
func (s *service) refuse() error { return cmp.Or(s.journal.Refuse(), s.memory.Refuse()) }

// causeOf says which metric and line of the log an error of refuse or of the journal's
// Admit belongs to.
func causeOf(err error) api.Cause {
	switch {
	case errors.Is(err, journal.ErrDiskFull):
		return api.CauseDisk
	case errors.Is(err, journal.ErrMoved):
		return api.CauseJournal
	case errors.Is(err, postgres.ErrAway):
		return api.CauseDatabase
	case errors.Is(err, placement.ErrStalled):
		return api.CauseStall
	case errors.Is(err, memory.ErrFull):
		return api.CauseMemory
	}
	return api.CauseOther
}

func (s *service) serving(what string, serve func() error) {
	if err := serve(); err != nil {
		s.fail(fmt.Errorf("serve %s: %w", what, err))
	}
}

// fail ends the service; later reasons follow from the first.
func (s *service) fail(err error) {
	select {
	case s.failed <- err:
	default:
	}
}

// run waits for the end of ctx, which drains the relay, or for a failure.
func (s *service) run(ctx context.Context) error {
	watching, unwatch := context.WithCancel(ctx)
	defer unwatch()
	alive, end := context.WithCancel(context.WithoutCancel(ctx)) // a stop is watched too
	defer end()
	go watchdog(alive, s.logger)
	tellSystemd(daemon.SdNotifyReady, s.logger)
	go s.memory.Watch(watching)
	go s.certificates.Watch(watching)
	go s.authorities.Watch(watching)
	if s.reloader != nil {
		go s.reloader.watch(watching)
	}
	select {
	case <-ctx.Done():
		tellSystemd(daemon.SdNotifyStopping, s.logger)
		return s.stop()
	case err := <-s.failed:
		return err
	}
}

// lastAnswers is how long the connections that are open at the end of a stop may
// take to finish; posts take milliseconds.
const lastAnswers = 2 * time.Second

// stop ends the parts in the order of the way of a key: no more changes in, then
// flush what is pending, then close the journal, which keeps the rest for the
// next start. The port stays open to the end, so that who comes late is told to
// come again and probes are answered.
func (s *service) stop() error {
	began := time.Now()
	s.logger.Info().Dur("withinMs", s.cfg.DrainTimeout).Msg("stopping: taking no more changes, flushing what is pending")
	s.cluster.leave(s.cfg.DrainTimeout)
	s.api.Drain()
	drained, cancel := context.WithTimeout(context.Background(), s.cfg.DrainTimeout)
	defer cancel()
	s.relay.Stop(drained)

	last, cancel := context.WithTimeout(context.Background(), lastAnswers)
	defer cancel()
	if err := s.api.Shutdown(last); err != nil {
		s.logger.Warn().Err(err).Msg("some requests were cut off unanswered")
	}
	if s.admin != nil {
		if err := s.admin.Shutdown(last); err != nil {
			s.logger.Debug().Err(err).Msg("some admin requests were cut off")
		}
	}
	s.split.Close()
	s.sent.Stop(context.Background()) // while the journal, of which metrics tell, is open
	err := errors.Join(s.journal.Close(), s.cluster.bye())
	s.logger.Info().Dur("tookMs", time.Since(began)).Msg("stopped")
	return err
}

// closeOpened is for a start that failed half way.
func (s *service) closeOpened() {
	s.sent.Stop(context.Background()) // first, as metrics tell of the journal
	if s.listener != nil {
		_ = s.listener.Close()
	}
	if s.adminListener != nil {
		_ = s.adminListener.Close()
	}
	if s.journal != nil {
		_ = s.journal.Close()
	}
	if s.cluster != nil {
		s.cluster.end()
	}
	if s.split != nil {
		s.split.Close()
	}
}
