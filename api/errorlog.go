package api

import (
	"bytes"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/time/rate"

	"audiences/api/connections"
)

// limited lets a few lines through and counts those it holds back, so that what
// strangers can cause cannot fill the log.
type limited struct {
	limiter *rate.Limiter
	event   func() *zerolog.Event
	held    atomic.Int64
}

const maxLogLine = 300 // bytes; callers choose a part of some lines

func limit(event func() *zerolog.Event, every time.Duration, burst int) *limited {
	return &limited{limiter: rate.NewLimiter(rate.Every(every), burst), event: event}
}

// next is the event of a line that may be written, nil for one that is held back.
func (l *limited) next() *zerolog.Event {
	if !l.limiter.Allow() {
		l.held.Add(1)
		return nil // whose methods do nothing
	}
	return l.event().Int64("heldBack", l.held.Swap(0))
}

// errorLog takes the http.Server's own log lines.
type errorLog struct{ lines *limited }

func newErrorLog(logger zerolog.Logger) *errorLog {
	return &errorLog{limit(logger.Warn, 10*time.Second, 5)}
}

// Write logs one line. It never fails: nobody could do anything about it.
func (e *errorLog) Write(line []byte) (int, error) {
	text := string(bytes.TrimSpace(line[:min(len(line), maxLogLine)]))
	if strings.Contains(text, "panic serving") {
		text = "panic outside of any handler" // the line holds the panic's value (I7)
	}
	e.lines.next().Msg(text)
	return len(line), nil
}

func (e *errorLog) accept(err error) { e.lines.next().Err(err).Msg("cannot accept a connection") }

// handshakeLog tells of failed handshakes. Any port scanner causes them, so they
// go to debug, but for those that a caller's owner can mend: each of these has its
// own limit and says what to change.
type handshakeLog struct {
	noise   *limited
	mending map[connections.Failure]*advice
}

type advice struct {
	lines *limited
	text  string
}

func newHandshakeLog(logger zerolog.Logger) *handshakeLog {
	advise := func(text string) *advice { return &advice{limit(logger.Warn, time.Hour, 1), text} }
	return &handshakeLog{
		noise: limit(logger.Debug, 10*time.Second, 5),
		mending: map[connections.Failure]*advice{
			connections.DottedName: advise("a client's TLS asks for a host name that ends in a dot, which TLS forbids: remove the dot behind the host name in the client's URL"),
			connections.OldVersion: advise("a client speaks TLS 1.1 or older only: it must learn TLS 1.2 or newer"),
			connections.PlainHTTP:  advise("a client speaks HTTP without TLS: its URL must begin with https://"),
		},
	}
}

func (h *handshakeLog) failed(remote net.Addr, why connections.Failure, err error) {
	if a := h.mending[why]; a != nil {
		a.lines.next().Stringer("from", remote).Str("reason", string(why)).Msg(a.text)
		return
	}
	cause := err.Error()
	h.noise.next().Stringer("from", remote).Str("reason", string(why)).
		Str("cause", cause[:min(len(cause), maxLogLine)]).Msg("TLS handshake failed")
}
