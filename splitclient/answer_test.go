package splitclient

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"audiences/audience"
)

func TestMessages(t *testing.T) {
	for name, c := range map[string]struct{ media, body, want string }{
		"message":              {jsonType, message("Key is too long"), "Key is too long"},
		"details alone":        {jsonType, `{"message":"","details":"why"}`, "why"},
		"both":                 {jsonType, `{"message":"what","details":"why"}`, "what (why)"},
		"twice the same":       {jsonType, `{"message":"what","details":"what"}`, "what"},
		"of other types":       {jsonType, `{"message":{"a":1},"details":["x"]}`, ""},
		"null":                 {jsonType, `null`, ""},
		"an array":             {jsonType, `["x"]`, ""},
		"cut JSON":             {jsonType, `{"message":"`, ""},
		"text":                 {"text/plain", " upstream\r\nfailed ", "upstream  failed"},
		"page":                 {htmlType, page, ""},
		"empty":                {"", "", ""},
		"control characters":   {jsonType, message("a\x00b\x1b[31mc\u202ed\nz"), "ab[31mcd z"},
		"the token":            {jsonType, message("token " + secret + " is bad"), "token ••• is bad"},
		"a broken token":       {jsonType, message("token " + secret[:5] + "\x00\u200b" + secret[5:] + "!"), "token •••!"},
		"the token in a text":  {"text/plain", "Bearer " + secret, "Bearer •••"},
		"long, with the token": {"text/plain", strings.Repeat("x", MaxMessage-5) + secret, strings.Repeat("x", MaxMessage-5) + "•"},
		"long":                 {jsonType, message(strings.Repeat("é", 200)), strings.Repeat("é", 150)},
		"long and odd":         {jsonType, message("x" + strings.Repeat("é", 200)), "x" + strings.Repeat("é", 149)},
		"not UTF-8":            {"text/plain", "a\xffb", "a\ufffdb"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := newClient(t, serve(t, reply{400, c.media, c.body, nil})).Do(t.Context(), call(audience.Add, "1"))
			if out.Message != c.want {
				t.Errorf("message %q, want %q", out.Message, c.want)
			}
		})
	}
}

// I7: a server that echoes what it got in every place that it can does not make
// the outcome show the token, and the cause shows no key either.
func TestOutcomeHidesTheToken(t *testing.T) {
	const key = "someones-mpid-4711"
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-RateLimit-Remaining-Org", secret)
		w.Header().Set("Retry-After", secret)
		w.WriteHeader(429)
		_, _ = fmt.Fprintf(w, `{"message":"%s","details":"%s"}`, r.Header.Get("Authorization"), r.Header.Get("Authorization"))
	})
	garbled := accept(t, func(c net.Conn) {
		readRequest(c)
		_, _ = c.Write([]byte("HTTP/1.1 " + secret + " " + key + "\r\n\r\n"))
	})
	for _, base := range []string{serve(t, echo), "http://" + garbled, "http://" + refused(t)} {
		out := newClient(t, base).Do(t.Context(), call(audience.Add, key))
		if shown := fmt.Sprintf("%+v %#v", out, out); strings.Contains(shown, secret) || strings.Contains(shown, key) {
			t.Errorf("%s: outcome shows it: %s", base, shown)
		}
	}
	if shown := fmt.Sprintf("%+v %#v", call(audience.Add, key), call(audience.Add, key)); strings.Contains(shown, secret) || strings.Contains(shown, key) {
		t.Errorf("a printed call shows it: %s", shown)
	}
}

func FuzzClean(f *testing.F) {
	f.Add("token abc is bad\n\x00", "abc")
	f.Add("aab"+"b", "ab")
	f.Add(strings.Repeat("é", 151), "x")
	f.Fuzz(func(t *testing.T, text, token string) {
		parsed, err := audience.ParseToken(token)
		if err != nil {
			return
		}
		got := cut(clean(text, parsed.Reveal()))
		if len(got) > MaxMessage || !utf8.ValidString(got) {
			t.Errorf("%q: %d bytes of UTF-8: %v", got, len(got), utf8.ValidString(got))
		}
		if strings.Contains(got, token) {
			t.Errorf("%q holds the token %q", got, token)
		}
		if strings.IndexFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0 {
			t.Errorf("%q is not printable", got)
		}
	})
}

// Whatever the body, it finds a row and gives a clean message.
func FuzzAnswerBody(f *testing.F) {
	for _, body := range []string{"", "{}", page, message("segment limit"), `{"message":1}`, "\ufeff<", "[[[[", `"x"`} {
		f.Add(400, jsonType, body)
	}
	for _, body := range []string{`{"code":200}`, `{"code":"400"}`, `{"code":200}x`, `{"error":[]}`, "null", "nul", `{"a":{"code":400}}`} {
		f.Add(200, jsonType, body)
	}
	f.Add(202, jsonType, "{}")
	f.Add(429, htmlType, "x")
	f.Add(-1, ";;;", "x")
	f.Fuzz(func(t *testing.T, status int, media, body string) {
		res := &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {media}}, Body: io.NopCloser(strings.NewReader(body))}
		a, err := read(res, call(audience.Add, "1"))
		if err != nil {
			t.Fatal(err)
		}
		out := judge(a)
		if out.Kind == 0 || out.Reason == "" || (out.Scope != 0) != (out.Kind == Permanent) || (out.Delay != 0) != (out.Kind == Throttled) {
			t.Errorf("no whole verdict: %+v", out)
		}
		if out.Kind == Delivered && status != 200 && status != 201 && status != 204 {
			t.Errorf("status %d delivers", status)
		}
		if text := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(body), "\ufeff")); out.Kind == Delivered && status != 204 && text != "" && text[0] != '{' && text != "null" {
			t.Errorf("status %d delivers with %q", status, body)
		}
		if len(out.Message) > MaxMessage || !utf8.ValidString(out.Message) {
			t.Errorf("message %q", out.Message)
		}
	})
}
