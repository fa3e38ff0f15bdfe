package test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"audiences/sandbox"
	"audiences/test/harness"
)

// body makes a POST body of the usual one with members replaced; "" takes one out.
func body(replace ...string) string {
	members := []string{"apiToken", `"tok-aaaa"`, "workspaceId", `"ws1"`, "environmentId", `"env1"`,
		"trafficTypeId", `"tt1"`, "verb", `"add"`, "mpids", `["1"]`, "segment", `"sWire"`}
	var parts []string
	for i := 0; i < len(members); i += 2 {
		value := members[i+1]
		for j := 0; j < len(replace); j += 2 {
			if replace[j] == members[i] {
				value = replace[j+1]
			}
		}
		if value != "" {
			parts = append(parts, fmt.Sprintf("%q:%s", members[i], value))
		}
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// TestWireContract has what the recorded cases leave open. Refusals take nothing:
// of a change with one bad key the good ones stay out, too.
func TestWireContract(t *testing.T) {
	t.Parallel()
	arrived := &arrivals{keys: map[string][]string{}}
	s := harness.NewSite(t, sandbox.Options{Allowed: arrived.note}, map[string]any{"segmentsFlushRateInSeconds": 3600, "maxBodyBytes": 4096})
	p := s.Start()
	key := func(length int) string { return `["good","` + strings.Repeat("é", length) + `"]` }
	for _, c := range []struct {
		what, method, path, auth, body string
		status                         int
		says                           string // beginning of the body of a 200, of the message of others
	}{
		{"raw token", "POST", "/audiences", "foo", body(), 200, "MPIDs add"},
		{"Bearer and the token", "POST", "/audiences", "Bearer foo", body(), 200, "MPIDs add"},
		{"Bearer in lower case", "POST", "/audiences", "bearer foo", body(), 200, "MPIDs add"},
		{"blanks behind Bearer", "POST", "/audiences", "Bearer  foo", body(), 200, "MPIDs add"},
		{"mParticle's own scheme", "POST", "/audiences", "Token foo", body(), 200, "MPIDs add"},
		{"another scheme", "POST", "/audiences", "Basic foo", body(), 401, "auth token doesn't match"},
		{"Bearer alone", "POST", "/audiences", "Bearer ", body(), 401, "auth token doesn't match"},
		{"a longer token", "POST", "/audiences", "foofoo", body(), 401, "auth token doesn't match"},
		{"the beginning of the token", "POST", "/audiences", "fo", body(), 401, "auth token doesn't match"},

		{"PATCH", "PATCH", "/audiences", "foo", body(), 405, "method not allowed"},
		{"an unknown method", "BREW", "/audiences", "foo", body(), 405, "method not allowed"},
		{"the method is looked at first", "GET", "/audiences", "", "", 405, "method not allowed"},

		{"a profile without an MPID", "POST", "/audiences", "foo", body("mpids", "[null]"), 200, "MPIDs add"},
		{"no MPIDs", "POST", "/audiences", "foo", body("mpids", "[]"), 200, "MPIDs add"},
		{"blank MPIDs", "POST", "/audiences", "foo", body("mpids", `["", " \t"]`), 200, "MPIDs add"},
		{"the verb as it was written", "POST", "/audiences", "foo", body("verb", `"Delete"`, "segment", `"sGone"`), 200, "MPIDs Delete"},
		{"escapes in a name", "POST", "/audiences", "foo", strings.Replace(body("verb", `"add"`), "verb", `v\u0065rb`, 1), 200, "MPIDs add"},
		{"no workspaceId, no trafficTypeId", "POST", "/audiences", "foo", body("workspaceId", "", "trafficTypeId", "null", "segment", `"sAnywhere"`), 200, "MPIDs add"},
		{"the longest key", "POST", "/audiences", "foo", body("mpids", key(250), "segment", `"sLong"`), 200, "MPIDs add"},

		{"a key too long", "POST", "/audiences", "foo", body("mpids", key(251), "segment", `"sNone"`), 400, "mpids[1]: "},
		{"an array among keys", "POST", "/audiences", "foo", body("mpids", `["good",[]]`, "segment", `"sNone"`), 400, "mpids[1]: "},
		{"mpids null", "POST", "/audiences", "foo", body("mpids", "null"), 400, "mpids "},
		{"mpids a string", "POST", "/audiences", "foo", body("mpids", `"1"`), 400, "mpids "},
		{"no verb", "POST", "/audiences", "foo", body("verb", ""), 400, `invalid verb ""; must be add or delete`},
		{"no apiToken", "POST", "/audiences", "foo", body("apiToken", ""), 400, "apiToken "},
		{"apiToken a number", "POST", "/audiences", "foo", body("apiToken", "7"), 400, "apiToken "},
		{"environmentId empty", "POST", "/audiences", "foo", body("environmentId", `""`), 400, "environmentId "},
		{"environmentId leads elsewhere", "POST", "/audiences", "foo", body("environmentId", `".."`), 400, "environmentId "},
		{"workspaceId leads elsewhere", "POST", "/audiences", "foo", body("workspaceId", `"a/b"`), 400, "workspaceId "},
		{"trafficTypeId a boolean", "POST", "/audiences", "foo", body("trafficTypeId", "true"), 400, "trafficTypeId "},
		{"segment begins with a digit", "POST", "/audiences", "foo", body("segment", `"9s"`), 400, "segment "},
		{"the verb is looked at first", "POST", "/audiences", "foo", `{"verb":"x"}`, 400, `invalid verb "x"; must be add or delete`},

		{"probe", "HEAD", "/ping", "", "", 200, ""},
		{"probe", "HEAD", "/uptime", "", "", 200, ""},
		{"probe with a slash", "GET", "/ping/", "", "", 200, "pong"},
		{"/cache without the token", "GET", "/cache", "", "", 401, "auth token doesn't match"},
		{"/cache with a wrong token", "GET", "/cache", "bar", "", 401, "auth token doesn't match"},
		{"/cache with Bearer", "GET", "/cache", "Bearer foo", "", 200, ""},
		{"the admin side is elsewhere", "GET", "/metrics", "foo", "", 404, "not found"},
	} {
		t.Run(c.what, func(t *testing.T) {
			got, err := p.Send(t.Context(), c.method, c.path, c.auth, []byte(c.body))
			if err != nil {
				t.Fatal(err)
			}
			says := got.Body
			if c.status != 200 {
				says = got.Message()
			}
			if got.Status != c.status || !strings.HasPrefix(says, c.says) {
				t.Errorf("%d %q, want %d and %q", got.Status, got.Body, c.status, c.says)
			}
			if kind := got.Header.Get("Content-Type"); c.status != 200 && kind != "application/json" {
				t.Errorf("an error of type %q", kind)
			}
			if c.status == 405 && got.Header.Get("Allow") != "POST" {
				t.Errorf("405 allows %q", got.Header.Get("Allow"))
			}
		})
	}
	if code := p.Terminate(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	arrived.check(t, map[string][]string{
		"env1/sWire/add":     {"1"},
		"env1/sAnywhere/add": {"1"},
		"env1/sGone/delete":  {"1"},
		"env1/sLong/add":     {"good", strings.Repeat("é", 250)},
	})
	s.Judge()
}

// TestBodyIsBounded: by its Content-Length, and as it comes where there is none.
func TestBodyIsBounded(t *testing.T) {
	t.Parallel()
	p := harness.NewSite(t, sandbox.Options{}, map[string]any{"maxBodyBytes": 4096}).Start()
	for length, status := range map[int]int{100: 200, 5000: 413} {
		text := body("segment", `"sBounded"`) + strings.Repeat(" ", length)
		for _, framed := range []string{
			fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(text), text),
			fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(text), text),
		} {
			conn := dialTLS(t, p)
			writeAll(t, conn, "POST /audiences HTTP/1.1\r\nHost: h\r\nAuthorization: foo\r\n"+framed)
			if a := readAnswer(t, bufio.NewReader(conn)); a.Status != status || (status != 200 && a.Message() == "") {
				t.Errorf("%d blanks: %d %s, want %d", length, a.Status, a.Body, status)
			}
		}
	}
}

// TestRefusalsReachTheCaller: the lambda asks for its connection to be closed
// after the answer. When the relay refuses before it has read the body, the answer
// must not be lost in the reset that follows unread bytes: the lambda would tell
// mParticle 500 instead.
func TestRefusalsReachTheCaller(t *testing.T) {
	t.Parallel()
	p := harness.NewSite(t, sandbox.Options{}, nil).Start()
	text := []byte(body() + strings.Repeat(" ", 2<<20))
	for range 20 {
		if a, err := p.Send(t.Context(), "POST", "/audiences", "wrong", text); err != nil || a.Status != 401 {
			t.Fatalf("%d %s %v, want 401", a.Status, a.Body, err)
		}
	}
}

// TestHTTP2AndTLSVersions: both HTTP versions are offered; TLS 1.1 is not.
func TestHTTP2AndTLSVersions(t *testing.T) {
	t.Parallel()
	p := harness.NewSite(t, sandbox.Options{}, nil).Start()
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+p.HTTPS+"/ping", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if text, err := io.ReadAll(response.Body); err != nil || string(text) != "pong" || response.ProtoMajor != 2 {
		t.Errorf("%s %q %v", response.Proto, text, err)
	}
	for version, ok := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: version}}
		conn, err := dialer.DialContext(ctx, "tcp", p.HTTPS)
		if (err == nil) != ok {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
		if err == nil {
			_ = conn.Close()
		}
	}
}

// TestOverloadIs503: beyond the bound a post is told when to come again, the probe
// is not, and one place that becomes free is enough.
func TestOverloadIs503(t *testing.T) {
	t.Parallel()
	p := harness.NewSite(t, sandbox.Options{}, map[string]any{"maxRequestsInFlight": 1}).Start()
	slow := startPost(t, p)
	a, err := p.Post(t.Context(), harness.Change{Segment: "sCrowd", Keys: []string{"1"}})
	if err != nil || a.Status != 503 || a.Header.Get("Retry-After") == "" || a.Message() == "" {
		t.Errorf("%d %s %v %v, want 503 with Retry-After", a.Status, a.Body, a.Header, err)
	}
	if a, err := p.Send(t.Context(), "GET", "/ping", "", nil); err != nil || a.Body != "pong" {
		t.Errorf("probe: %d %s %v", a.Status, a.Body, err)
	}
	if a := slow.finish(t); a.Status != 200 {
		t.Errorf("the post under way: %d %s", a.Status, a.Body)
	}
	p.MustPost(harness.Change{Segment: "sCrowd", Keys: []string{"1"}})
}

// TestSlowCallersHoldNobodyUp: the old server fell silent for all when one
// client sent three bytes of a TLS hello, or half a body.
func TestSlowCallersHoldNobodyUp(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{}, nil)
	p := s.Start()
	for range 50 {
		conn, err := net.Dial("tcp", p.HTTPS)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		writeAll(t, conn, "\x16\x03\x01")
	}
	for range 10 {
		writeAll(t, dialTLS(t, p), "POST /audiences HTTP/1.1\r\nHost")
		startPost(t, p)
	}
	p.MustPost(harness.Change{Segment: "sQuick", Keys: []string{"1"}})
	if a, err := p.Send(t.Context(), "GET", "/ping", "", nil); err != nil || a.Body != "pong" {
		t.Errorf("probe: %d %s %v", a.Status, a.Body, err)
	}
	harness.Eventually(t, harness.Patience, "the key is in Split", func() bool { return len(s.Members("sQuick")) == 1 })
}

// slowPost is a post whose body has not come yet.
type slowPost struct {
	conn io.Writer
	from *bufio.Reader
	body string
}

// startPost begins a post and returns when the relay waits for its body, which is
// after the post was let in: it says 100 Continue then.
func startPost(t *testing.T, p *harness.Process) slowPost {
	t.Helper()
	conn := dialTLS(t, p)
	s := slowPost{conn: conn, from: bufio.NewReader(conn), body: body("segment", `"sSlow"`)}
	writeAll(t, conn, fmt.Sprintf("POST /audiences HTTP/1.1\r\nHost: h\r\nAuthorization: foo\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", len(s.body)))
	if a := readAnswer(t, s.from); a.Status != http.StatusContinue {
		t.Fatalf("%d %s instead of being asked for the body", a.Status, a.Body)
	}
	return s
}

// finish sends the body.
func (s slowPost) finish(t *testing.T) harness.Answer {
	t.Helper()
	writeAll(t, s.conn, s.body)
	return readAnswer(t, s.from)
}
