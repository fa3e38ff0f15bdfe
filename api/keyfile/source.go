package keyfile

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

const (
	// lookEvery is how often the file is looked at. What differs is taken when two
	// looks in a row have found the same, so that a file half written is not: a
	// renewal is served within twice this.
	lookEvery = 2 * time.Second
)

// SourceOptions say which file a Source serves.
type SourceOptions struct {
	Path    string
	Options Options // Now is ignored: it is the clock
	// Record is the file that is to hold the fingerprints of what is served, see
	// [WasServed]; "": none.
	Record string

	Logger     zerolog.Logger
	Registerer prometheus.Registerer // nil: metrics are kept and not registered
}

// Source is the certificate of a key file that may be renewed while the server
// runs. A new file that cannot be loaded changes nothing but the log and a metric:
// what was loaded last is served until one comes that can.
//
// The file is read each time and compared by its content: times and inodes do not
// tell a copy that keeps them, nor the links that Kubernetes swaps.
type Source struct {
	options SourceOptions
	current atomic.Pointer[Entry]
	refused atomic.Bool // the file on disk cannot be loaded

	mu      sync.Mutex        // for what follows, and Path and Options above: Watch and Take touch them
	seen    [sha256.Size]byte // at the last look
	tried   [sha256.Size]byte // what was loaded or refused last
	urgency int               // of the certificate's end, when it was last warned of
}

// Open loads the file, which must be good at the start.
func Open(o SourceOptions) (*Source, error) {
	good, err := Try(o.Path, o.Options)
	if err != nil {
		return nil, err
	}
	s := &Source{options: o, seen: good.sum, tried: good.sum}
	s.options.Options = good.options
	s.current.Store(&good.entry)
	Sources{s}.register(o.Registerer)
	return s, nil
}

func (s *Source) path() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.options.Path
}

// Entry is what is served now.
func (s *Source) Entry() Entry { return *s.current.Load() }

// LeafAlone is the server name of a client that wants our own certificate without
// the chain above it, as the health check does: it compares that one alone, and
// crypto/tls ends a client's handshake at a chain in which anything cannot be
// parsed. The name is nobody's (RFC 6761).
const LeafAlone = "leaf-alone.invalid"

// GetCertificate is for a tls.Config. It never waits.
func (s *Source) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	served := &s.current.Load().Certificate
	if hello == nil || hello.ServerName != LeafAlone {
		return served, nil
	}
	leaf := *served
	leaf.Certificate = served.Certificate[:1:1]
	return &leaf, nil
}

// Candidate is another file, or the same with other passwords, that is good.
type Candidate struct {
	path    string
	options Options
	entry   Entry
	sum     [sha256.Size]byte
}

// Try loads a file without serving it. It may take a second.
func Try(path string, o Options) (*Candidate, error) {
	o.Now = nil
	data, err := read(path)
	if err != nil {
		return nil, faultOf(path, err)
	}
	entry, err := Parse(data, o)
	if err != nil {
		return nil, faultOf(path, err)
	}
	return &Candidate{path, o, entry, sha256.Sum256(data)}, nil
}

// Take serves the candidate from now on, and looks after its file in place of the one before.
func (s *Source) Take(c *Candidate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.options.Path, s.options.Options = c.path, c.options
	s.seen, s.tried = c.sum, c.sum
	s.refused.Store(false)
	s.swap(c.entry)
}

// Watch logs what is served and what is wrong with it, and looks after the file
// until ctx ends.
func (s *Source) Watch(ctx context.Context) {
	s.begin()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.look(time.Now())
		}
	}
}

func (s *Source) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	entry := s.Entry()
	s.record(entry.Certificate.Leaf.Raw)
	s.options.Logger.Info().Str("file", s.options.Path).Str("certificate", Summary(entry, time.Now())).Msg("key file loaded")
	s.warn()
}

// look takes the file if it has settled and is another than the one tried last,
// or if the time has come for another of its entries.
func (s *Source) look(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if urgency(s.Entry(), now) > s.urgency {
		s.warn()
	}
	data, err := read(s.options.Path)
	sum := sha256.Sum256(data)
	if err != nil {
		sum = sha256.Sum256([]byte(err.Error()))
	}
	settled := sum == s.seen
	s.seen = sum
	until := s.Entry().Until
	due := !until.IsZero() && !now.Before(until) && !s.refused.Load()
	if !settled || sum == s.tried && !due {
		return
	}
	s.tried = sum
	var entry Entry
	if err == nil {
		entry, err = Parse(data, s.options.Options)
	}
	s.refused.Store(err != nil)
	if err != nil {
		s.options.Logger.Warn().Err(faultOf(s.options.Path, err)).Msg("the key file was changed and cannot be loaded; the certificate before it is served on")
		return
	}
	s.swap(entry)
}

func (s *Source) swap(entry Entry) {
	before := s.Entry().Certificate
	if slices.EqualFunc(before.Certificate, entry.Certificate.Certificate, slices.Equal) {
		s.current.Store(&entry)
		s.options.Logger.Info().Str("file", s.options.Path).Msg("key file loaded again: the certificate is the same")
		return
	}
	// A probe may meet either of them while it reads the record.
	s.record(entry.Certificate.Leaf.Raw, before.Leaf.Raw)
	s.current.Store(&entry)
	s.options.Logger.Info().Str("file", s.options.Path).Str("certificate", Summary(entry, time.Now())).Msg("key file loaded: the certificate was renewed")
	s.warn()
}

// warn logs what makes clients refuse the certificate, now or soon.
func (s *Source) warn() {
	now := time.Now()
	s.urgency = urgency(s.Entry(), now)
	for _, warning := range Check(s.Entry(), now) {
		s.options.Logger.Warn().Str("file", s.options.Path).Msg(warning)
	}
}

func (s *Source) record(certificates ...[]byte) {
	if s.options.Record == "" {
		return
	}
	if err := writeRecord(s.options.Record, s.options.Path, certificates); err != nil {
		s.options.Logger.Warn().Err(err).Msg("health checks go by the key file alone")
	}
}
