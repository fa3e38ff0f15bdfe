package api

import (
	"bytes"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/time/rate"
)

// errorLog takes the http.Server's own log lines. Failed TLS handshakes, which
// any port scanner causes, go to debug, the rest to warn; each kind is limited
// for itself, so that noise cannot fill the log nor hide an error.
type errorLog struct {
	handshakes, others *limited
}

// limited lets a few lines through and counts those it holds back.
type limited struct {
	limiter *rate.Limiter
	event   func() *zerolog.Event
	held    atomic.Int64
}

const maxLogLine = 300 // bytes; callers choose a part of some lines

func newErrorLog(logger zerolog.Logger) *errorLog {
	limit := func(event func() *zerolog.Event) *limited {
		return &limited{limiter: rate.NewLimiter(rate.Every(10*time.Second), 5), event: event}
	}
	return &errorLog{handshakes: limit(logger.Debug), others: limit(logger.Warn)}
}

// Write logs one line. It never fails: nobody could do anything about it.
func (e *errorLog) Write(line []byte) (int, error) {
	text := string(bytes.TrimSpace(line[:min(len(line), maxLogLine)]))
	switch {
	case strings.Contains(text, "TLS handshake error"):
		e.handshakes.log(text)
	case strings.Contains(text, "panic serving"):
		e.others.log("panic outside of any handler") // the line holds the panic's value (I7)
	default:
		e.others.log(text)
	}
	return len(line), nil
}

func (l *limited) log(text string) {
	if !l.limiter.Allow() {
		l.held.Add(1)
		return
	}
	l.event().Int64("held_back", l.held.Swap(0)).Msg(text)
}
