package telemetry

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"google.golang.org/protobuf/proto"

	"audiences/logging"
)

// How often and how long is tried, where the collector says nothing else.
const (
	firstWait = time.Second
	maxWait   = 30 * time.Second
	giveUp    = time.Minute     // after the first attempt; the next batch has a better chance
	longest   = 5 * time.Minute // wait that a collector may ask for
)

// exporter sends the requests of one signal, one after the other.
type exporter struct {
	ctx       context.Context // its end cuts off a request
	to        destination
	transport http.RoundTripper
	stopping  <-chan struct{} // closed: no attempt is repeated
	signal    string
	failed    prometheus.Counter
	failures  *logging.Gathered[failure]
}

// newTransport has few connections and the environment's proxy.
func newTransport() http.RoundTripper {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxConnsPerHost = 2
	return t
}

// send reports whether the collector took the message. It repeats what may be repeated
// (OTLP specification: failures), and waits as long as the collector asks for.
func (e *exporter) send(message proto.Message) bool {
	body, err := proto.Marshal(message)
	if err != nil {
		return e.gaveUp(fmt.Errorf("encode: %w", err))
	}
	if e.to.gzip {
		body = compress(body)
	}
	began := time.Now()
	for wait := firstWait; ; wait = min(2*wait, maxWait) {
		err := e.try(body)
		if err == nil {
			return true
		}
		again, ok := errors.AsType[*repeatable](err)
		if !ok || e.ctx.Err() != nil {
			return e.gaveUp(err)
		}
		jittered := wait/2 + rand.N(wait/2)
		timer := time.NewTimer(min(max(jittered, again.after), longest))
		select {
		case <-timer.C:
		case <-e.stopping:
			timer.Stop()
			return e.gaveUp(err)
		}
		if time.Since(began) >= giveUp {
			return e.gaveUp(err)
		}
	}
}

func compress(body []byte) []byte {
	var small bytes.Buffer
	w := gzip.NewWriter(&small)
	_, _ = w.Write(body) // a bytes.Buffer takes all
	_ = w.Close()
	return small.Bytes()
}

// gaveUp counts and logs what was not sent.
func (e *exporter) gaveUp(err error) bool {
	e.failed.Inc()
	e.failures.Note(failure{e.signal, e.to.host, err})
	return false
}

// repeatable is an error after which the same request may be sent again.
type repeatable struct {
	error
	after time.Duration // the least wait
}

func (r *repeatable) Unwrap() error { return r.error }

// try sends once. There is no http.Client around the transport: it would carry the
// headers along where a redirect leads to.
func (e *exporter) try(body []byte) error {
	ctx, cancel := context.WithTimeout(e.ctx, e.to.timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, e.to.url, bytes.NewReader(body))
	if err != nil {
		return errors.New("make request: the endpoint is not a URL") // the error would show it
	}
	request.Header = e.to.header.Clone()
	request.Header.Set("Content-Type", "application/x-protobuf")
	request.Header.Set("User-Agent", "audiences")
	if e.to.gzip {
		request.Header.Set("Content-Encoding", "gzip")
	}
	response, err := e.transport.RoundTrip(request)
	if err != nil {
		return &repeatable{fmt.Errorf("send: %w", err), 0}
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.CopyN(io.Discard, response.Body, 64<<10) // so that the connection is kept
	if response.StatusCode/100 == 2 {
		return nil
	}
	err = fmt.Errorf("send: the collector answered %d", response.StatusCode)
	if slices.Contains([]int{429, 502, 503, 504}, response.StatusCode) {
		return &repeatable{err, retryAfter(response.Header.Get("Retry-After"))}
	}
	return err
}

// retryAfter reads both forms of the header (RFC 9110, section 10.2.3); 0: it says nothing.
func retryAfter(value string) time.Duration {
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return time.Until(at)
	}
	return 0
}

// failure is a request that was given up.
type failure struct {
	signal, host string
	err          error
}

// gatherFailures has one line for all failures of a period.
func gatherFailures(logger zerolog.Logger) *logging.Gathered[failure] {
	return logging.Gather(logging.GatherFor, nil, func(count int, latest failure) {
		logger.Warn().Int("count", count).Str("signal", latest.signal).Str("collector", latest.host).Err(latest.err).
			Msg("telemetry could not be sent")
	})
}
