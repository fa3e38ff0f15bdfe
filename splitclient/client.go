package splitclient

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"audiences/audience"
)

// MaxKeys is the greatest number of keys in one call (Split docs: segments, for
// uploadKeys; nothing is said of removeKeys, so it gets the same).
const MaxKeys = 10_000

// DefaultTimeout bounds a call for which Options say nothing.
const DefaultTimeout = 5 * time.Second

// apiPath is where Split's Admin API begins, below the base URL.
const apiPath = "/internal/api/v2"

// Options say how to reach Split. BaseURL alone is required.
type Options struct {
	BaseURL        string                // http or https, without the API's own path: https://api.split.io
	Timeout        time.Duration         // for a whole call, from dialling to the answer's last byte; 0: DefaultTimeout
	Transport      http.RoundTripper     // nil: one of our own with keep-alive, HTTP/2 and the environment's proxy
	MaxConnections int                   // of the own transport, where HTTP/1.1 is spoken, idle ones included; 0: 128
	UserAgent      string                // "": audiences
	MayWrite       func() error          // asked before each write to a connection of the own transport; its error ends the call. nil: not asked
	Called         func(Made)            // told of each call that was made, or tried; it must not wait. nil: nobody is
	Registerer     prometheus.Registerer // nil: the metrics are kept but shown nowhere
}

// Client calls Split. It is safe for concurrent use and shares its connections
// among all tenants; the token travels in each call, not in the connection.
type Client struct {
	base      string // scheme, host and apiPath, without a slash at the end
	timeout   time.Duration
	transport http.RoundTripper
	userAgent string
	metrics   *metrics
	called    func(Made)
	closeIdle func()
}

// Call is one change of one segment.
type Call struct {
	Token   audience.Token
	Segment audience.Segment // Environment and Name make the path
	Verb    audience.Verb
	Keys    *audience.KeySet // 1 to MaxKeys keys; nobody changes it until Do returns
	Attempt int              // 1: the first; it changes nothing and is for Options.Called
}

// Made is what Options.Called is told of a call. It has no key, no token and no words of
// the answer (I7).
type Made struct {
	Segment      audience.Segment
	Verb         audience.Verb
	Keys         int
	Attempt      int
	Reason       Reason
	Status       int    // of HTTP; 0: there was no answer
	Transaction  string // Split's own id of the call; "": the answer has none
	Began, Ended time.Time
}

// New checks the options; it does not connect.
func New(o Options) (*Client, error) {
	base, err := parseBaseURL(o.BaseURL)
	if err != nil {
		return nil, err
	}
	if o.Timeout < 0 {
		return nil, fmt.Errorf("check timeout: %v is negative", o.Timeout)
	}
	c := &Client{base: base, timeout: o.Timeout, transport: o.Transport, userAgent: o.UserAgent, called: o.Called, closeIdle: func() {}}
	if c.timeout == 0 {
		c.timeout = DefaultTimeout
	}
	if c.userAgent == "" {
		c.userAgent = "audiences"
	}
	if c.metrics, err = newMetrics(o.Registerer); err != nil {
		return nil, err
	}
	if c.transport == nil {
		own := newTransport(c.timeout, cmp.Or(o.MaxConnections, maxConns), o.MayWrite)
		c.transport, c.closeIdle = own, own.CloseIdleConnections
	}
	return c, nil
}

// Close closes the idle connections of the client's own transport. Calls under
// way are not disturbed, and later ones connect anew.
func (c *Client) Close() { c.closeIdle() }

// Do makes one call and says what became of it; there is no error apart from
// the outcome. It returns within Options.Timeout, or soon after ctx ends. A call
// that can only be a fault of ours (I5) is not made: its Reason is InvalidCall.
func (c *Client) Do(ctx context.Context, call Call) Outcome {
	body, err := encode(call)
	if err != nil {
		out := judge(noAnswer(badCall, true))
		c.metrics.refused(out)
		return out
	}
	begun := time.Now()
	a := c.exchange(ctx, call, body)
	out := judge(a)
	c.metrics.called(out, call, !a.unsent, time.Since(begun))
	c.tell(call, out, begun)
	return out
}

func (c *Client) tell(call Call, out Outcome, begun time.Time) {
	if c.called == nil {
		return
	}
	c.called(Made{Segment: call.Segment, Verb: call.Verb, Keys: call.Keys.Len(), Attempt: call.Attempt,
		Reason: out.Reason, Status: out.Status, Transaction: out.Transaction, Began: begun, Ended: time.Now()})
}

// exchange sends the call and reads the answer.
//
// It uses the transport without an http.Client around it, which would follow
// redirects, keep cookies and put the URL into errors.
func (c *Client) exchange(ctx context.Context, call Call, body []byte) *answer {
	if ctx.Err() != nil {
		return noAnswer(cancelled, true)
	}
	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	traced, progress := trace(limited)
	req, err := c.request(traced, call, body)
	if err != nil {
		return noAnswer(badCall, true)
	}
	res, err := c.transport.RoundTrip(req)
	if err != nil {
		return diagnose(err, ctx, limited, progress)
	}
	defer res.Body.Close()
	a, err := read(res, call)
	if err != nil && res.StatusCode != http.StatusTooManyRequests {
		// Half an answer is no answer: a status may have been sent before the work
		// failed, and a 400 without its words would be taken for an empty one. Only
		// a 429 says all in its headers.
		broken := diagnose(err, ctx, limited, progress)
		broken.limits = a.limits
		return broken
	}
	return a
}

// parseBaseURL does not repeat the URL in its errors: it may hold a password.
func parseBaseURL(s string) (string, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		err = errors.New("not a URL")
	case u.Scheme != "https" && u.Scheme != "http":
		err = errors.New("must begin with https:// or http://")
	case u.Hostname() == "":
		err = errors.New("has no host")
	case u.User != nil:
		err = errors.New("must not hold a user or password")
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		err = errors.New("must not hold a query or fragment")
	}
	if err != nil {
		return "", fmt.Errorf("check base URL: %w", err)
	}
	// Split's documentation calls the URL with its path the base, so take both.
	path := strings.TrimRight(strings.TrimSuffix(strings.TrimRight(u.EscapedPath(), "/"), apiPath), "/")
	return u.Scheme + "://" + u.Host + path + apiPath, nil
}
