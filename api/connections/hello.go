package connections

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/crypto/cryptobyte"
)

// Failure says why a handshake failed. It is a metric's label.
type Failure string

// The failures.
const (
	Silent     Failure = "silent"                 // not one byte came
	TooSlow    Failure = "too_slow"               // it took longer than the handshake's timeout
	HungUp     Failure = "hung_up"                // the client went away in the middle of it
	PlainHTTP  Failure = "plain_http"             // HTTP without TLS
	NotTLS     Failure = "not_tls"                // something else without TLS
	OldVersion Failure = "old_version"            // TLS 1.1 or older, and nothing newer
	DottedName Failure = "dotted_name"            // a server name that ends in a dot, which RFC 6066 forbids
	Refused    Failure = "refused"                // the client did not accept us, our certificate as a rule
	NoClient   Failure = "no_client_certificate"  // the client has none, and must have one
	BadClient  Failure = "bad_client_certificate" // the client's is expired, or of another authority, or not for clients
	Other      Failure = "other"                  // anything else that is not as TLS wants it
)

var failures = []Failure{Silent, TooSlow, HungUp, PlainHTTP, NotTLS, OldVersion, DottedName, Refused, NoClient, BadClient, Other}

// Failures lists all reasons for which a handshake fails.
func Failures() []Failure { return slices.Clone(failures) }

// hello is what is known of a client before its handshake is over.
type hello struct {
	bytes    []byte // its first record, or the beginning of it
	versions []uint16
}

// mostHello is enough for the hellos that there are, post-quantum key shares included.
const mostHello = 4 << 10

func (h *hello) add(p []byte) {
	h.bytes = append(h.bytes, p[:min(len(p), mostHello-len(h.bytes))]...)
}

// noteHello notes the versions that a client offers, and then asks next.
func noteHello(next func(*tls.ClientHelloInfo) (*tls.Config, error)) func(*tls.ClientHelloInfo) (*tls.Config, error) {
	return func(info *tls.ClientHelloInfo) (*tls.Config, error) {
		if c, ok := info.Conn.(*Conn); ok && c.hello != nil {
			c.hello.versions = info.SupportedVersions
		}
		return next(info)
	}
}

// noteFailure counts and reports why the handshake of c failed. One that failed
// because c was let go is counted there.
func (g *Gate) noteFailure(c *Conn, err error) {
	select {
	case <-c.closed:
		return
	default:
	}
	why := c.hello.failure(err)
	g.metrics.failed.WithLabelValues(string(why)).Inc()
	if why == PlainHTTP {
		_, _ = c.Conn.Write([]byte(wantsTLS)) // fails only when the caller has gone
	}
	g.options.Failed(c.RemoteAddr(), why, err)
}

// wantsTLS is the answer to a request that came without TLS.
var wantsTLS = func() string {
	const body = `{"message":"this port speaks HTTPS: begin the URL with https://"}`
	return "HTTP/1.1 " + strconv.Itoa(http.StatusBadRequest) + " Bad Request\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: " +
		strconv.Itoa(len(body)) + "\r\n\r\n" + body
}()

func (h *hello) failure(err error) Failure {
	record, notTLS := errors.AsType[tls.RecordHeaderError](err)
	operation, _ := errors.AsType[*net.OpError](err)
	switch {
	case len(h.bytes) == 0:
		return Silent
	case notTLS && likeHTTP(record.RecordHeader):
		return PlainHTTP
	case notTLS:
		return NotTLS
	case errors.Is(err, os.ErrDeadlineExceeded):
		return TooSlow
	case operation != nil && operation.Op == "remote error": // an alert of the client's
		return Refused
	case strings.HasSuffix(err.Error(), "client didn't provide a certificate"): // crypto/tls has no value for it
		return NoClient
	case badClient(err):
		return BadClient
	case strings.HasSuffix(serverName(h.bytes), "."):
		return DottedName
	case h.versions != nil && !anyAtLeast(h.versions, tls.VersionTLS12):
		return OldVersion
	case gone(err):
		return HungUp
	}
	return Other
}

func badClient(err error) bool {
	_, bad := errors.AsType[*tls.CertificateVerificationError](err)
	return bad
}

func anyAtLeast(versions []uint16, least uint16) bool {
	for _, v := range versions {
		// GREASE values (RFC 8701) are no versions, though they are greater.
		if v >= least && v&0x0f0f != 0x0a0a {
			return true
		}
	}
	return false
}

// likeHTTP reports whether these would be the first bytes of a request.
func likeHTTP(header [5]byte) bool {
	for _, method := range []string{"GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "DELET", "PATCH", "TRACE", "CONNE", "PRI *"} {
		if string(header[:]) == method {
			return true
		}
	}
	return false
}

func gone(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// serverName is the name that a hello asks for, "" when it has none or is not
// whole. crypto/tls tells nobody what it has against a hello; this is for telling
// the operator, and decides nothing.
func serverName(record []byte) string {
	var fragment, message, session, suites, methods, extensions cryptobyte.String
	input := cryptobyte.String(record)
	var kind uint8
	if !input.Skip(3) || !input.ReadUint16LengthPrefixed(&fragment) ||
		!fragment.ReadUint8(&kind) || kind != 1 || !fragment.ReadUint24LengthPrefixed(&message) ||
		!message.Skip(2+32) || !message.ReadUint8LengthPrefixed(&session) ||
		!message.ReadUint16LengthPrefixed(&suites) || !message.ReadUint8LengthPrefixed(&methods) ||
		!message.ReadUint16LengthPrefixed(&extensions) {
		return ""
	}
	for !extensions.Empty() {
		var extension uint16
		var data, names, name cryptobyte.String
		if !extensions.ReadUint16(&extension) || !extensions.ReadUint16LengthPrefixed(&data) {
			return ""
		}
		if extension == 0 && data.ReadUint16LengthPrefixed(&names) && names.Skip(1) && names.ReadUint16LengthPrefixed(&name) {
			return string(name)
		}
	}
	return ""
}
