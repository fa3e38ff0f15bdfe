package api

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
)

func gzipped(text string) string {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return out.String()
}

func deflated(text string) string {
	var out bytes.Buffer
	w := zlib.NewWriter(&out)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return out.String()
}

// TestOddRequests has what HTTP allows and few clients do, and what it forbids and
// some clients do all the same.
func TestOddRequests(t *testing.T) {
	const auth = "Authorization: foo\r\n"
	const compressed = `{"message":"invalid POST body: it is compressed; send it as it is, without Content-Encoding"}`
	whole := func(head, text string) string {
		return fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(text), text)
	}
	post := func(head, text string) string {
		return whole("POST /audiences HTTP/1.1\r\nHost: x\r\n"+auth+head, text)
	}
	for name, c := range map[string]struct {
		request string
		status  int
		body    string // "": any
	}{
		"absolute form":                  {whole("POST https://relay.example.com/audiences HTTP/1.1\r\nHost: x\r\n"+auth, body()), 200, "MPIDs add"},
		"absolute form, other host":      {whole("POST http://other.example/audiences?x HTTP/1.1\r\nHost: x\r\n"+auth, body()), 200, "MPIDs add"},
		"HTTP/1.0 without a host":        {whole("POST /audiences HTTP/1.0\r\n"+auth, body()), 200, "MPIDs add"},
		"HTTP/1.1 without a host":        {whole("POST /audiences HTTP/1.1\r\n"+auth, body()), 400, ""},
		"percent-encoded path":           {whole("POST /%61udiences HTTP/1.1\r\nHost: x\r\n"+auth, body()), 200, "MPIDs add"},
		"percent-encoded slash":          {whole("POST /audiences%2F HTTP/1.1\r\nHost: x\r\n"+auth, body()), 200, "MPIDs add"},
		"percent-encoded rubbish":        {whole("POST /audi%zz HTTP/1.1\r\nHost: x\r\n"+auth, body()), 400, ""},
		"dots":                           {whole("POST /../audiences HTTP/1.1\r\nHost: x\r\n"+auth, body()), 404, `{"message":"not found"}`},
		"dots within":                    {whole("POST /ping/../audiences HTTP/1.1\r\nHost: x\r\n"+auth, body()), 404, `{"message":"not found"}`},
		"dots, percent-encoded":          {whole("POST /ping/%2e%2e/audiences HTTP/1.1\r\nHost: x\r\n"+auth, body()), 404, `{"message":"not found"}`},
		"dots and a file":                {"GET /..%2f..%2fetc%2fpasswd HTTP/1.1\r\nHost: x\r\n\r\n", 404, `{"message":"not found"}`},
		"backslash":                      {whole("POST /\\audiences HTTP/1.1\r\nHost: x\r\n"+auth, body()), 404, `{"message":"not found"}`},
		"percent-encoded zero":           {whole("POST /audiences%00 HTTP/1.1\r\nHost: x\r\n"+auth, body()), 404, `{"message":"not found"}`},
		"percent-encoded line end":       {whole("POST /audiences%0d%0aX:y HTTP/1.1\r\nHost: x\r\n"+auth, body()), 404, `{"message":"not found"}`},
		"zero":                           {whole("POST /audiences\x00 HTTP/1.1\r\nHost: x\r\n"+auth, body()), 400, ""},
		"control character":              {whole("POST /audi\x07ences HTTP/1.1\r\nHost: x\r\n"+auth, body()), 400, ""},
		"query":                          {whole("POST /audiences?Authorization=foo&x=%zz HTTP/1.1\r\nHost: x\r\n"+auth, body()), 200, "MPIDs add"},
		"token in the query":             {whole("POST /audiences?Authorization=foo HTTP/1.1\r\nHost: x\r\n", body()), 401, ""},
		"slashes":                        {whole("POST /audiences// HTTP/1.1\r\nHost: x\r\n"+auth, body()), 404, `{"message":"not found"}`},
		"HEAD":                           {"HEAD /audiences HTTP/1.1\r\nHost: x\r\n\r\n", 405, ""},
		"TRACE":                          {"TRACE /audiences HTTP/1.1\r\nHost: x\r\nAuthorization: foo\r\n\r\n", 405, `{"message":"method not allowed"}`},
		"OPTIONS of nothing":             {"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 200, ""},
		"CONNECT":                        {"CONNECT relay:443 HTTP/1.1\r\nHost: relay:443\r\n\r\n", 404, `{"message":"not found"}`},
		"length and chunks":              {post("Transfer-Encoding: chunked\r\n", fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body()), body())), 200, "MPIDs add"},
		"two lengths":                    {post("Content-Length: 5\r\n", body()), 400, ""},
		"length too short":               {"POST /audiences HTTP/1.1\r\nHost: x\r\n" + auth + "Content-Length: 20\r\n\r\n" + body(), 400, `{"message":"invalid POST body: the JSON ends too early"}`},
		"length is no number":            {"POST /audiences HTTP/1.1\r\nHost: x\r\n" + auth + "Content-Length: x\r\n\r\n", 400, ""},
		"length is negative":             {"POST /audiences HTTP/1.1\r\nHost: x\r\n" + auth + "Content-Length: -1\r\n\r\n", 400, ""},
		"no length":                      {"POST /audiences HTTP/1.1\r\nHost: x\r\n" + auth + "\r\n", 400, `{"message":"invalid POST body: it is empty"}`},
		"unknown transfer coding":        {"POST /audiences HTTP/1.1\r\nHost: x\r\n" + auth + "Transfer-Encoding: gzip\r\n\r\n", 501, ""},
		"chunk sizes that are none":      {"POST /audiences HTTP/1.1\r\nHost: x\r\n" + auth + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400, ""},
		"header of 40 KB":                {post("X-Long: "+strings.Repeat("x", 40_000)+"\r\n", body()), 431, ""},
		"header of 10 KB":                {post("X-Long: "+strings.Repeat("x", 10_000)+"\r\n", body()), 200, "MPIDs add"},
		"unknown expectation":            {post("Expect: miracles\r\n", body()), 417, ""},
		"gzip, said":                     {post("Content-Encoding: gzip\r\n", gzipped(body())), 400, compressed},
		"gzip, not said":                 {post("", gzipped(body())), 400, compressed},
		"deflate":                        {post("Content-Encoding: deflate\r\n", deflated(body())), 400, compressed},
		"something, said":                {post("Content-Encoding: br\r\n", "\x8b\x05\x80hello"), 400, compressed},
		"gzip, said of what is none":     {post("Content-Encoding: gzip\r\n", body()), 200, "MPIDs add"},
		"identity":                       {post("Content-Encoding: identity\r\n", body()), 200, "MPIDs add"},
		"gzip said of a bad verb":        {post("Content-Encoding: gzip\r\n", body("verb", `"x"`)), 400, `{"message":"invalid verb \"x\"; must be add or delete"}`},
		"gzip with a wrong token":        {whole("POST /audiences HTTP/1.1\r\nHost: x\r\nAuthorization: bar\r\nContent-Encoding: gzip\r\n", gzipped(body())), 401, ""},
		"two tokens, the good one first": {whole("POST /audiences HTTP/1.1\r\nHost: x\r\n"+auth+"Authorization: bar\r\n", body()), 200, "MPIDs add"},
		"two tokens, the bad one first":  {whole("POST /audiences HTTP/1.1\r\nHost: x\r\nAuthorization: bar\r\n"+auth, body()), 401, ""},
		"folded header":                  {whole("POST /audiences HTTP/1.1\r\nHost: x\r\nAuthorization:\r\n foo\r\n", body()), 200, "MPIDs add"},
		"byte order mark":                {post("", "\ufeff"+body()), 400, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := start(t, Options{})
				got := <-f.rawHead(t, c.request)
				if got.status != c.status || (c.body != "" && got.body != c.body) {
					t.Errorf("%d %q, want %d %q", got.status, got.body, c.status, c.body)
				}
				if want := map[bool]int{true: 1}[c.status == 200 && c.body != ""]; f.takenSoFar() != want {
					t.Errorf("%d changes were taken, want %d", f.takenSoFar(), want)
				}
			})
		})
	}
}

// rawHead is raw for a request that may be a HEAD, and whose answer may come
// before all of it was sent.
func (f *fixture) rawHead(t *testing.T, text string) <-chan answer {
	t.Helper()
	method, _, _ := strings.Cut(text, " ")
	answers := make(chan answer, 1)
	plain, err := f.pipes.dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	conn := tls.Client(plain, &tls.Config{InsecureSkipVerify: true})
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.WriteString(conn, text) }()
	go func() {
		defer func() { _ = plain.Close() }()
		response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
		if err != nil {
			answers <- answer{}
			return
		}
		answers <- readAnswer(response)
	}()
	return answers
}

// TestPipelining: whoever sends several requests at once is answered in their order.
func TestPipelining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, Options{})
		plain, err := f.pipes.dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = plain.Close() }()
		conn := tls.Client(plain, &tls.Config{InsecureSkipVerify: true})
		if err := conn.Handshake(); err != nil {
			t.Fatal(err)
		}
		var all strings.Builder
		for _, verb := range []string{"add", "delete", "ADD", "what"} {
			text := body("verb", `"`+verb+`"`)
			fmt.Fprintf(&all, "POST /audiences HTTP/1.1\r\nHost: x\r\nAuthorization: foo\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
		}
		all.WriteString("GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
		go func() { _, _ = io.WriteString(conn, all.String()) }()
		from := bufio.NewReader(conn)
		for _, want := range []string{"MPIDs add", "MPIDs delete", "MPIDs ADD", `{"message":"invalid verb \"what\"; must be add or delete"}`, "pong"} {
			response, err := http.ReadResponse(from, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := readAnswer(response); got.body != want {
				t.Errorf("%q, want %q", got.body, want)
			}
		}
	})
}
