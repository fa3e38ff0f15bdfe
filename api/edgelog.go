package api

import (
	"bytes"
	"net"
	"time"

	"github.com/rs/zerolog"

	"audiences/api/connections"
	"audiences/logging"
)

// edgeLog tells of those who do not get as far as a request: handshakes that fail,
// connections that are let go or cannot be accepted, and what the http.Server says.
// Each of these can keep a post out, and any stranger can cause them in numbers, so
// that each kind is gathered.
type edgeLog struct {
	handshakes map[connections.Failure]*logging.Gathered[handshake]
	closings   map[connections.Closing]*logging.Gathered[net.Addr]
	accepts    *logging.Gathered[error]
	server     *logging.Gathered[string]
	panics     *logging.Gathered[struct{}]
}

// handshake is one that failed.
type handshake struct {
	from net.Addr
	err  error
}

const maxLogLine = 300 // bytes; callers choose a part of some lines

// silentFor is the period for connections on which nothing comes: the probes of some
// load balancers only connect, and do so every few seconds for ever.
const silentFor = 10 * time.Minute

// handshakeWords are the log's words for each failure. A warning is for what somebody
// can mend; the others are caused by any port scanner too.
var handshakeWords = map[connections.Failure]struct {
	level zerolog.Level
	words string
}{
	connections.DottedName: {zerolog.WarnLevel, "callers cannot connect: their TLS asks for a host name that ends in a dot, which TLS forbids: remove the dot behind the host name in their URL"},
	connections.OldVersion: {zerolog.WarnLevel, "callers cannot connect: they speak TLS 1.1 or older only, and must learn TLS 1.2 or newer"},
	connections.PlainHTTP:  {zerolog.WarnLevel, "callers cannot connect: they speak HTTP without TLS; their URL must begin with https://"},
	connections.Refused:    {zerolog.WarnLevel, "callers cannot connect: they do not accept the relay's TLS, as a rule its certificate"},
	connections.NoClient:   {zerolog.WarnLevel, "callers cannot connect: they show no certificate, and clientCaFile wants one"},
	connections.BadClient:  {zerolog.WarnLevel, "callers cannot connect: their certificate is not one of an authority in clientCaFile, or has ended, or is not for clients"},
	connections.TooSlow:    {zerolog.InfoLevel, "TLS handshakes failed: they took more than 5 s"},
	connections.HungUp:     {zerolog.InfoLevel, "TLS handshakes failed: the clients hung up"},
	connections.NotTLS:     {zerolog.InfoLevel, "TLS handshakes failed: what came was not TLS"},
	connections.Silent:     {zerolog.InfoLevel, "TLS handshakes failed: clients connected and sent nothing, as some probes do"},
	connections.Other:      {zerolog.InfoLevel, "TLS handshakes failed"},
}

// closingWords are the log's words for each reason to let a connection go.
var closingWords = map[connections.Closing]string{
	connections.ForFull:        "connections are let go for others: as many are open as there may be",
	connections.ForAddress:     "connections are let go for others of the same address: it has as many as maxConnectionsPerAddress allows",
	connections.ForDescriptors: "connections are let go: the process has no file descriptor left",
	connections.ForBusy:        "new connections are refused: all that there may be have a request under way",
	connections.ForTurn:        "requests were not read: their connections waited 3 s for a turn on a processor, in vain",
}

func newEdgeLog(logger zerolog.Logger) *edgeLog {
	e := &edgeLog{
		handshakes: map[connections.Failure]*logging.Gathered[handshake]{},
		closings:   map[connections.Closing]*logging.Gathered[net.Addr]{},
	}
	for why, told := range handshakeWords {
		period := logging.GatherFor
		if why == connections.Silent {
			period = silentFor
		}
		e.handshakes[why] = logging.Gather(period, nil, func(count int, latest handshake) {
			cause := latest.err.Error()
			logger.WithLevel(told.level).Str("reason", string(why)).Int("count", count).Str("from", ipOf(latest.from)).
				Str("error", cause[:min(len(cause), maxLogLine)]).Msg(told.words)
		})
	}
	for why, words := range closingWords {
		e.closings[why] = logging.Gather(logging.GatherFor, nil, func(count int, latest net.Addr) {
			logger.Warn().Str("reason", string(why)).Int("count", count).Str("from", ipOf(latest)).Msg(words)
		})
	}
	e.accepts = logging.Gather(logging.GatherFor, nil, func(count int, latest error) {
		logger.Warn().Int("count", count).Err(latest).Msg("connections cannot be accepted")
	})
	e.server = logging.Gather(logging.GatherFor, nil, func(count int, latest string) {
		logger.Warn().Int("count", count).Msg(latest)
	})
	e.panics = logging.Gather(logging.GatherFor, nil, func(count int, _ struct{}) {
		logger.Error().Int("count", count).Msg("BUG: panics outside of any handler")
	})
	return e
}

func (e *edgeLog) handshakeFailed(remote net.Addr, why connections.Failure, err error) {
	e.handshakes[why].Note(handshake{remote, err})
}

func (e *edgeLog) letGo(remote net.Addr, why connections.Closing) { e.closings[why].Note(remote) }

func (e *edgeLog) acceptFailed(err error) { e.accepts.Note(err) }

func (e *edgeLog) flush() {
	for _, lines := range e.handshakes {
		lines.Flush()
	}
	for _, lines := range e.closings {
		lines.Flush()
	}
	e.accepts.Flush()
	e.server.Flush()
	e.panics.Flush()
}

// ipOf is an address without its port.
func ipOf(remote net.Addr) string {
	if tcp, ok := remote.(*net.TCPAddr); ok {
		return tcp.IP.String()
	}
	return remote.String()
}

// serverLog takes the http.Server's own log lines.
type serverLog struct {
	edge    *edgeLog
	metrics *metrics
}

// Write takes one line. It never fails: nobody could do anything about it.
func (l serverLog) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte("panic serving")) { // the line holds the panic's value (I7)
		l.metrics.panics.Inc()
		l.edge.panics.Note(struct{}{})
		return len(line), nil
	}
	l.edge.server.Note(string(bytes.TrimSpace(line[:min(len(line), maxLogLine)])))
	return len(line), nil
}
