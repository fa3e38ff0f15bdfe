package splitclient

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http/httptrace"
	"sync/atomic"
)

// failure is why there is no answer.
type failure uint8

const (
	answered    failure = iota
	badCall             // a fault of ours, nothing was sent
	cancelled           // the caller's context ended
	timedOut            // the call's time was up
	unresolved          // the host's name
	unreachable         // no connection
	untrusted           // no TLS
	lost                // a connection that broke
	barred              // a proxy wants a login
)

// noAnswer is what came back when nothing did.
func noAnswer(f failure, unsent bool) *answer {
	return &answer{failure: f, unsent: unsent, limits: noLimits}
}

// progress is how far a call got. The transport writes it from goroutines of
// its own, some of which outlive the call.
type progress struct {
	asked     atomic.Bool // the transport reports progress: a foreign one may not
	connected atomic.Bool // the call has a connection: from here on it may have been sent
	tlsFailed atomic.Bool
}

func trace(ctx context.Context) (context.Context, *progress) {
	p := new(progress)
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { p.asked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { p.connected.Store(true) },
		TLSHandshakeDone: func(_ tls.ConnectionState, err error) {
			if err != nil {
				p.tlsFailed.Store(true)
			}
		},
	}), p
}

// unsent holds where the call certainly never left. Doubt counts as sent.
func (p *progress) unsent() bool { return p.asked.Load() && !p.connected.Load() }

// diagnose tells why a call has no answer. The two contexts come before the
// error, which is whatever the end of the context made of it.
func diagnose(err error, caller, call context.Context, p *progress) *answer {
	unsent := p.unsent()
	switch {
	case caller.Err() != nil:
		return noAnswer(cancelled, unsent)
	case call.Err() != nil:
		return noAnswer(timedOut, unsent)
	}
	f := lost
	switch {
	case errors.Is(err, errProxyLogin):
		f = barred
	case isDNS(err):
		f = unresolved
	case isTLS(err) || unsent && p.tlsFailed.Load():
		f = untrusted
	case isDial(err) || unsent:
		f = unreachable
	}
	a := noAnswer(f, f != lost)
	if a.unsent {
		// Before anything is sent there is nothing that an error could echo, so its
		// text is safe (I7). Later errors quote what the other side wrote.
		a.cause = cut(clean(err.Error(), ""))
	}
	return a
}

func isDNS(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns)
}

func isDial(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect")
}

// isTLS knows the one fault with a type of its own, a certificate that we do not
// accept; every other end of a handshake is told by the trace.
func isTLS(err error) bool {
	var certificate *tls.CertificateVerificationError
	return errors.As(err, &certificate)
}
