package test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"audiences/sandbox"
)

// environment is where the usual changes go.
const environment = "env1"

// change is what one post asks for. Empty fields stand for the usual tenant and
// environment and for add.
type change struct {
	token, environment, segment, verb string
	keys                              []string
}

// body is the change as the lambda writes it.
func (c change) body() []byte {
	text, _ := json.Marshal(map[string]any{ // strings alone: it cannot fail
		"apiToken":      cmp.Or(c.token, apiToken),
		"workspaceId":   "ws1",
		"environmentId": cmp.Or(c.environment, environment),
		"trafficTypeId": "tt1",
		"verb":          cmp.Or(c.verb, "add"),
		"mpids":         c.keys,
		"segment":       c.segment,
	})
	return text
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// message is the message of an answer that is not a 200, and "" when the body is
// not the JSON that the lambda needs.
func (a answer) message() string {
	var body struct{ Message string }
	if json.Unmarshal([]byte(a.body), &body) != nil {
		return ""
	}
	return body.Message
}

// lambda posts as the lambda does: a new TLS connection for every request, of
// whose certificate nothing is asked. Several goroutines may use it at once.
var lambda = &http.Client{Transport: &http.Transport{
	DisableKeepAlives: true,
	TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
}}

// post sends one change. An error means that no whole answer came.
func (p *process) post(ctx context.Context, c change) (answer, error) {
	return p.send(ctx, http.MethodPost, "/audiences", authToken, c.body())
}

// send sends one request to the HTTPS port; no token, no Authorization.
func (p *process) send(ctx context.Context, method, path, token string, body []byte) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, "https://"+p.https+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", token)
	}
	return do(request)
}

// adminGet asks the admin address.
func (p *process) adminGet(path string) (answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.admin+path, nil)
	if err != nil {
		return answer{}, err
	}
	return do(request)
}

func do(request *http.Request) (answer, error) {
	response, err := lambda.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(body)}, err
}

// mustPost fails the test unless the change is accepted.
func (p *process) mustPost(c change) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if a, err := p.post(ctx, c); err != nil || a.status != http.StatusOK {
		p.t.Fatalf("post to %s: %d %s, %v", c.segment, a.status, a.body, err)
	}
}

// TestHarness shows the shortest use of the harness: a key goes from a post to
// the look-alike, and the relay ends when it is told to.
func TestHarness(t *testing.T) {
	t.Parallel()
	s := newSite(t, sandbox.Options{}, nil)
	p := s.start()
	p.ready()
	p.mustPost(change{segment: "sFirst", keys: []string{"1", "-2"}})
	eventually(t, patience, "the keys are in Split", func() bool { return len(s.members("sFirst")) == 2 })
	if code := p.terminate(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	s.judge()
}
