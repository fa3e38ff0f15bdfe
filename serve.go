package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"

	"audiences/actors"
	"audiences/api"
	"audiences/api/admin"
	"audiences/api/keyfile"
	"audiences/config"
	"audiences/journal"
	"audiences/splitclient"
)

// serve runs the relay until ctx ends, and then drains it.
func serve(ctx context.Context, args []string, _, stderr io.Writer) error {
	path, err := oneArgument("serve", args)
	if err != nil {
		return err
	}
	cfg, err := config.Load(path, os.LookupEnv)
	if err != nil {
		return err
	}
	logger := newLogger(cfg, stderr)
	for _, warning := range cfg.Warnings {
		logger.Warn().Msg(warning)
	}
	s, err := start(cfg, logger)
	if err != nil {
		return err
	}
	return s.run(ctx)
}

// service is a running relay: its parts in the order of the way of a key.
type service struct {
	cfg     config.Config
	logger  zerolog.Logger
	api     *api.Server
	admin   *admin.Server
	relay   *actors.Relay
	split   *splitclient.Client
	journal *journal.Journal
	disk    *watermark
	files   descriptors

	listener, adminListener net.Listener // the second is nil when the admin side is off
	failed                  chan error   // a part cannot go on; the first reason counts
}

// start checks and opens everything before the first connection is taken. What
// it opened is closed again if it fails.
func start(cfg config.Config, logger zerolog.Logger) (_ *service, err error) {
	s := &service{cfg: cfg, logger: logger, failed: make(chan error, 4)}
	defer func() {
		if err != nil {
			s.closeOpened()
		}
	}()
	if s.files, err = divideFiles(cfg, logger); err != nil {
		return nil, err
	}
	certificate, err := keyfile.Load(cfg.KeyFile, keyfile.Options{
		Password: cfg.KeyPassword.Reveal(), KeyPassword: cfg.KeyEntryPassword.Reveal()})
	if err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	s.split, err = splitclient.New(splitclient.Options{
		BaseURL: cfg.SplitAPIURL, Timeout: cfg.SplitTimeout, MaxConnections: s.files.calls, Registerer: registry})
	if err != nil {
		return nil, err
	}
	s.journal, err = journal.Open(journal.Options{Dir: cfg.JournalDir, KeyFile: cfg.JournalKeyFile,
		OpenTables: s.files.tables, Logger: logger, Registerer: registry, Fatal: s.exit})
	if err != nil {
		return nil, err
	}
	if s.listener, err = net.Listen("tcp", net.JoinHostPort("", strconv.Itoa(cfg.Port))); err != nil {
		return nil, fmt.Errorf("open port: %w", err)
	}
	if cfg.AdminAddress != "" {
		if s.adminListener, err = net.Listen("tcp", cfg.AdminAddress); err != nil {
			return nil, fmt.Errorf("open admin address: %w", err)
		}
	}
	s.startParts(certificate, registry)
	return s, nil
}

// startParts starts what cannot fail any more.
func (s *service) startParts(certificate tls.Certificate, registry *prometheus.Registry) {
	cfg := s.cfg
	s.disk = newWatermark(s.journal.Free, cfg.MinFreeDiskBytes, s.logger, registry)
	s.relay = actors.Start(actors.Options{
		Journal:                    s.journal,
		Deliver:                    s.split.Do,
		FlushInterval:              cfg.SegmentsFlushRate,
		IdleTimeout:                cfg.IdleTimeout,
		MaxConcurrentCalls:         min(cfg.MaxConcurrentCalls, s.files.calls),
		MaxCallsPerSecond:          cfg.MaxCallsPerSecond,
		MaxCallsPerSecondPerTenant: cfg.MaxCallsPerSecondPerTenant,
		Logger:                     s.logger,
		Registerer:                 registry,
	})
	s.api = api.New(api.Options{
		AuthToken:           cfg.AuthToken.Reveal(),
		Certificate:         certificate,
		Accept:              s.relay.Accept,
		Segments:            s.relay.Segments,
		MaxBodyBytes:        cfg.MaxBodyBytes,
		MaxRequestsInFlight: cfg.MaxRequestsInFlight,
		MaxBytesInFlight:    cfg.MaxBytesInFlight,
		Refuse:              s.disk.refuse,
		Logger:              s.logger,
		Registerer:          registry,

		MaxConnections:           s.files.connections,
		MaxConnectionsPerAddress: cfg.MaxConnectionsPerAddress,
	})
	go s.serving("https port", func() error { return s.api.Serve(s.listener) })
	event := s.logger.Info().Str("https", s.listener.Addr().String())
	if s.adminListener != nil {
		s.admin = admin.New(admin.Options{Ready: s.ready, Gatherer: registry, MaxConnections: s.files.admin, Logger: s.logger, Registerer: registry})
		go s.serving("admin address", func() error { return s.admin.Serve(s.adminListener) })
		event = event.Str("admin", s.adminListener.Addr().String())
	}
	event.Str("journal", cfg.JournalDir).Str("split", cfg.SplitAPIURL).Msg("the relay takes changes")
}

// ready is nil while changes are taken and all that was pending is back.
func (s *service) ready() error {
	if err := s.disk.refuse(); err != nil {
		return err
	}
	return s.relay.Ready()
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

// exit ends the process: the journal cannot be written any more, so nothing can
// be made durable and there is nothing to drain. The store must not go on after
// it has reported that, hence not by way of run.
func (s *service) exit(err error) {
	s.logger.Error().Err(err).Msg("the journal cannot be written: ending at once; what was answered is in it")
	os.Exit(exitFailed)
}

// run waits for the end of ctx, which drains the relay, or for a failure.
func (s *service) run(ctx context.Context) error {
	watching, unwatch := context.WithCancel(ctx)
	defer unwatch()
	go s.disk.watch(watching)
	select {
	case <-ctx.Done():
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
	s.logger.Info().Dur("within", s.cfg.DrainTimeout).Msg("stopping: taking no more changes, flushing what is pending")
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
	err := s.journal.Close()
	s.logger.Info().Dur("took", time.Since(began)).Msg("stopped")
	return err
}

// closeOpened is for a start that failed half way.
func (s *service) closeOpened() {
	if s.listener != nil {
		_ = s.listener.Close()
	}
	if s.adminListener != nil {
		_ = s.adminListener.Close()
	}
	if s.journal != nil {
		_ = s.journal.Close()
	}
	if s.split != nil {
		s.split.Close()
	}
}
