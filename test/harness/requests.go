package harness

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Environment is where the usual changes go.
const Environment = "env1"

// Change is what one post asks for. Empty fields stand for the usual tenant and
// environment and for add.
type Change struct {
	Token, Environment, Segment, Verb string
	Keys                              []string
}

// whole is the change with the usual in place of what is empty.
func (c Change) whole() Change {
	c.Token, c.Environment, c.Verb = cmp.Or(c.Token, APIToken), cmp.Or(c.Environment, Environment), cmp.Or(c.Verb, "add")
	return c
}

// Body is the change as the lambda writes it.
func (c Change) Body() []byte {
	c = c.whole()
	text, _ := json.Marshal(map[string]any{ // strings alone: it cannot fail
		"apiToken":      c.Token,
		"workspaceId":   "ws1",
		"environmentId": c.Environment,
		"trafficTypeId": "tt1",
		"verb":          c.Verb,
		"mpids":         c.Keys,
		"segment":       c.Segment,
	})
	return text
}

// Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// Message is the message of an answer that is not a 200, and "" when the body is
// not the JSON that the lambda needs.
func (a Answer) Message() string {
	var body struct{ Message string }
	if json.Unmarshal([]byte(a.Body), &body) != nil {
		return ""
	}
	return body.Message
}

// Lambda posts as the lambda does: a new TLS connection for every request, of
// whose certificate nothing is asked. Several goroutines may use it at once.
var Lambda = &http.Client{Transport: &http.Transport{
	DisableKeepAlives: true,
	TLSClientConfig:   trusting,
}}

// Kept keeps its connections open, unlike the lambda: what is measured through it
// is the relay's own work and not a TLS handshake.
var Kept = NewKept(64)

var trusting = &tls.Config{InsecureSkipVerify: true} // #nosec G402 -- as the lambda does

// NewKept is a client that keeps so many connections open.
func NewKept(connections int) *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections, TLSClientConfig: trusting}}
}

// Post sends one change as the lambda does. An error means that no whole answer came.
func (a *Addresses) Post(ctx context.Context, c Change) (Answer, error) {
	return a.Send(ctx, http.MethodPost, "/audiences", AuthToken, c.Body())
}

// PostBy sends one change with that client; an error means that it was not accepted.
func (a *Addresses) PostBy(ctx context.Context, client *http.Client, c Change) error {
	got, err := a.SendBy(ctx, client, http.MethodPost, "/audiences", AuthToken, c.Body())
	if err == nil && got.Status != http.StatusOK {
		err = fmt.Errorf("answered %d %s", got.Status, got.Body)
	}
	return err
}

// PostKept posts a change through Kept.
func (a *Addresses) PostKept(ctx context.Context, c Change) error { return a.PostBy(ctx, Kept, c) }

// Send sends one request to the HTTPS port as the lambda does; no token, no
// Authorization.
func (a *Addresses) Send(ctx context.Context, method, path, token string, body []byte) (Answer, error) {
	return a.SendBy(ctx, Lambda, method, path, token, body)
}

// SendBy is Send with that client.
func (a *Addresses) SendBy(ctx context.Context, client *http.Client, method, path, token string, body []byte) (Answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, "https://"+a.HTTPS+path, bytes.NewReader(body))
	if err != nil {
		return Answer{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", token)
	}
	return do(client, request)
}

// Ping fails unless /ping is answered.
func (a *Addresses) Ping(ctx context.Context) error {
	got, err := a.Send(ctx, http.MethodGet, "/ping", "", nil)
	if err == nil && got.Status != http.StatusOK {
		err = fmt.Errorf("answered %d", got.Status)
	}
	return err
}

// AdminGet asks the admin address.
func (a *Addresses) AdminGet(path string) (Answer, error) {
	return a.admin(http.MethodGet, path, "")
}

// AdminPost posts JSON to the admin address.
func (a *Addresses) AdminPost(path, body string) (Answer, error) {
	return a.admin(http.MethodPost, path, body)
}

func (a *Addresses) admin(method, path, body string) (Answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, "http://"+a.Admin+path, strings.NewReader(body))
	if err != nil {
		return Answer{}, err
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	return do(Lambda, request)
}

// IsReady reports whether all that was pending is active again.
func (a *Addresses) IsReady() bool {
	got, err := a.AdminGet("/readyz")
	return err == nil && got.Status == http.StatusOK
}

// do returns what came of an answer also where its body was cut off.
func do(client *http.Client, request *http.Request) (Answer, error) {
	response, err := client.Do(request)
	if err != nil {
		return Answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return Answer{response.StatusCode, response.Header, string(body)}, err
}
