package api

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"audiences/actors"
	"audiences/audience"
)

// Options say what a Server serves. Zero values mean the defaults named here.
type Options struct {
	// Tokens are what callers may show in Authorization, raw or after "Bearer ";
	// SetTokens replaces them. None: nobody is let in.
	Tokens []Token
	// GetCertificate is what the TLS listener presents to a client; it is asked at
	// every handshake and must not wait. Required.
	GetCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)

	// ClientCAs are the authorities of which each client must show a certificate. It
	// is asked at every handshake. nil, or a nil pool: no client needs one.
	ClientCAs func() *x509.CertPool
	// MinTLS is the least version of TLS that is spoken. 0: TLS 1.2.
	MinTLS uint16
	// Classical leaves the post-quantum key exchanges out, which take a third more
	// processor time a handshake (ADR 13). false: all that package crypto/tls has.
	Classical bool

	// Accept hands changes of one tenant to the actors. Exactly one value arrives on
	// reply, which has room for it: nil once all of them are durable, an error when that
	// is not known. Required.
	Accept func(reply chan<- error, changes ...audience.Change)
	// AnswerTimeout is how long a caller waits for that value before it is told
	// that the outcome is unknown. 0: 10 s.
	AnswerTimeout time.Duration
	// Segments lists the segments that hold keys, for /cache. nil: none.
	Segments func(ctx context.Context) ([]actors.SegmentView, error)

	// MaxBodyBytes is the largest request body. 0: 32 MiB.
	MaxBodyBytes int64
	// MaxKeysPerPost is how many different keys one post may have. 0: 1,000,000.
	MaxKeysPerPost int
	// MaxRequestsInFlight is how many posts may be under way, counted from the
	// token check until Accept's reply. 0: 4096.
	MaxRequestsInFlight int
	// MaxBytesInFlight is how many bytes of memory these posts may hold: bodies
	// until they are decoded, then keys until they are durable. Those with more
	// than 64 KiB each leave a quarter of it to the others. 0: 256 MiB. It is
	// raised to MaxBodyBytes: otherwise the largest body could never be accepted.
	MaxBytesInFlight int64
	// MaxConnections is how many connections may be open at once. 0: 4096. Beyond
	// it those of strangers are let go first; see package connections.
	MaxConnections int
	// MaxConnectionsPerAddress is the same for one address. 0: no such limit.
	MaxConnectionsPerAddress int
	// Refuse returns an error while no change may be taken, a full disk for
	// one. Its text is sent to the caller. nil: never.
	Refuse func() error
	// CauseOf names the cause of an error of Refuse or Admit, for metrics and the log:
	// CauseDisk, CauseJournal, CauseMemory, or CauseOther. nil: always CauseOther.
	CauseOf func(error) Cause
	// Admit returns an error when there is no room for a change of these keys; it
	// is asked once for each change that Accept gets, before it. Its text is sent to
	// the caller. nil: there always is.
	Admit func(audience.Keys) error
	// Answered is told of each post whose caller has shown the token, once its answer
	// is written; it must not wait. nil: nobody is told, and it costs nothing.
	Answered func(Post)

	Logger     zerolog.Logger
	Registerer prometheus.Registerer // nil: metrics are kept and not registered
	Started    time.Time             // for /uptime; zero: when New was called
}

func (o Options) withDefaults() Options {
	if o.MinTLS == 0 {
		o.MinTLS = tls.VersionTLS12
	}
	if o.AnswerTimeout == 0 {
		o.AnswerTimeout = 10 * time.Second
	}
	if o.MaxBodyBytes == 0 {
		o.MaxBodyBytes = 32 << 20
	}
	if o.MaxKeysPerPost == 0 {
		o.MaxKeysPerPost = 1_000_000
	}
	if o.MaxRequestsInFlight == 0 {
		o.MaxRequestsInFlight = 4096
	}
	if o.MaxBytesInFlight == 0 {
		o.MaxBytesInFlight = 256 << 20
	}
	o.MaxBytesInFlight = max(o.MaxBytesInFlight, o.MaxBodyBytes)
	if o.Segments == nil {
		o.Segments = func(context.Context) ([]actors.SegmentView, error) { return nil, nil }
	}
	if o.Refuse == nil {
		o.Refuse = func() error { return nil }
	}
	if o.CauseOf == nil {
		o.CauseOf = func(error) Cause { return CauseOther }
	}
	if o.Admit == nil {
		o.Admit = func(audience.Keys) error { return nil }
	}
	if o.Started.IsZero() {
		o.Started = time.Now()
	}
	return o
}
