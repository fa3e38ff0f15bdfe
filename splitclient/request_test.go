package splitclient

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"audiences/audience"
)

// received is one request as the server saw it.
type received struct {
	*http.Request
	body []byte
}

// record answers 200 and hands out what came.
func record(t testing.TB) (base string, requests <-chan received) {
	seen := make(chan received, 100)
	return serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen <- received{r, body}
	})), seen
}

// wire is the body as Split decodes it.
type wire struct {
	Keys           []string
	Comment, Title string
}

func decode(t interface{ Fatal(...any) }, body []byte) (w wire) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&w); err != nil || d.More() {
		t.Fatal("body is not one JSON object of the known fields:", err)
	}
	return w
}

func TestTheTwoCalls(t *testing.T) {
	base, requests := record(t)
	for verb, uri := range map[audience.Verb]string{
		audience.Add:    "/internal/api/v2/segments/env1/s1/uploadKeys?replace=false", // I5
		audience.Delete: "/internal/api/v2/segments/env1/s1/removeKeys",
	} {
		out := newClient(t, base).Do(t.Context(), call(verb, "-7", "x"))
		sameVerdict(t, out, delivered(OK))
		got := <-requests
		if got.Method != http.MethodPut || got.RequestURI != uri {
			t.Errorf("%s %s, want PUT %s", got.Method, got.RequestURI, uri)
		}
		if got.ContentLength != int64(len(got.body)) || len(got.TransferEncoding) > 0 {
			t.Errorf("length %d for %d bytes, encoding %v", got.ContentLength, len(got.body), got.TransferEncoding)
		}
		for name, value := range map[string]string{
			"Authorization": "Bearer " + secret, "Content-Type": "application/json", "Accept": "application/json", "User-Agent": "audiences",
		} {
			if got.Header.Get(name) != value {
				t.Errorf("%s: %q, want %q", name, got.Header.Get(name), value)
			}
		}
		body := decode(t, got.body)
		slices.Sort(body.Keys)
		if !slices.Equal(body.Keys, []string{"-7", "x"}) || body.Comment != verb.String()+" 2 keys" || body.Title != "audiences relay" {
			t.Errorf("body %s", got.body)
		}
	}
}

func TestTokensGoIntoTheirHeader(t *testing.T) {
	base, requests := record(t)
	c := newClientWith(t, Options{BaseURL: base, UserAgent: "relay/1"})
	for token, header := range map[string]string{
		"pat.abc": "X-Api-Key", "sat.abc": "X-Api-Key", "patabc": "Authorization", "SAT.abc": "Authorization", "x.pat.abc": "Authorization",
	} {
		made := call(audience.Add, "1")
		made.Token = mustToken(token)
		c.Do(t.Context(), made)
		got := <-requests
		want := map[string]string{"X-Api-Key": token, "Authorization": "Bearer " + token}[header]
		if got.Header.Get(header) != want || got.Header.Get("X-Api-Key") != "" && got.Header.Get("Authorization") != "" {
			t.Errorf("token %s: headers %v", token, got.Header)
		}
		if got.UserAgent() != "relay/1" {
			t.Errorf("user agent %q", got.UserAgent())
		}
	}
}

// A name can neither leave its place in the path nor add a query.
func TestPathPartsAreEscaped(t *testing.T) {
	base, requests := record(t)
	c := newClient(t, base)
	for _, odd := range []string{"a/../b", "a?replace=true", "a#b", "a%2Fb", "a b", "é", "a;b", "...", "https://x"} {
		made := call(audience.Add, "1")
		made.Segment.Environment, made.Segment.Name = odd, odd+"!"
		sameVerdict(t, c.Do(t.Context(), made), delivered(OK))
		got := <-requests
		if want := "/internal/api/v2/segments/" + odd + "/" + odd + "!/uploadKeys"; got.URL.Path != want || got.URL.RawQuery != "replace=false" {
			t.Errorf("path %q, query %q; want %q", got.URL.Path, got.URL.RawQuery, want)
		}
	}
}

// What was accepted is what Split decodes, key for key.
func TestBodyKeepsEveryKey(t *testing.T) {
	odd := []string{
		`"`, `\`, `\"`, "a\nb", "a\r\tb", "\x01", "\x7f", "</script>", "&<>", "a,b", "é", "日本", "😀", "a\u2028\u2029b", "\ufeff", "\ufffd", "e\u0301",
		" padded ", "007", "1e5", "9223372036854775808", "9223372036854775807", "-9223372036854775808", `{"keys":[]}`, `"],"comment":"x`,
	}
	check := func(t interface{ Fatal(...any) }, keys []string) {
		body, err := encode(call(audience.Add, keys...))
		if err != nil {
			t.Fatal(err)
		}
		got := decode(t, body).Keys
		slices.Sort(got)
		slices.Sort(keys)
		if !slices.Equal(got, slices.Compact(keys)) {
			t.Fatal("decoded", got, "want", keys)
		}
	}
	check(t, odd)
	rapid.Check(t, func(t *rapid.T) {
		check(t, rapid.SliceOfN(rapid.StringN(1, 250, -1).Filter(func(s string) bool { return strings.TrimSpace(s) != "" }), 1, 50).Draw(t, "keys"))
	})
}

// I5: nothing that cannot be meant leaves the process, and nothing panics.
func TestImpossibleCallsAreNotMade(t *testing.T) {
	base, requests := record(t)
	c := newClient(t, base)
	for name, spoil := range map[string]func(*Call){
		"nothing at all":   func(c *Call) { *c = Call{} },
		"no set":           func(c *Call) { c.Keys = nil },
		"no key":           func(c *Call) { c.Keys = new(audience.KeySet) },
		"one key too many": func(c *Call) { c.Keys = numbers(MaxKeys + 1) },
		"no verb":          func(c *Call) { c.Verb = 0 },
		"no such verb":     func(c *Call) { c.Verb = 7 },
		"no token":         func(c *Call) { c.Token = audience.Token{} },
		"no environment":   func(c *Call) { c.Segment.Environment = "" },
		"no name":          func(c *Call) { c.Segment.Name = "" },
		"a dot for a name": func(c *Call) { c.Segment.Name = "." },
		"up in the path":   func(c *Call) { c.Segment.Environment = ".." },
	} {
		made := call(audience.Add, "1")
		spoil(&made)
		out := c.Do(t.Context(), made)
		sameVerdict(t, out, permanent(InvalidCall, ScopeSegment))
		if out.Limits != noLimits || len(requests) > 0 {
			t.Errorf("%s: outcome %+v, %d requests", name, out, len(requests))
		}
	}
	made := call(audience.Add)
	made.Keys = numbers(MaxKeys)
	sameVerdict(t, c.Do(t.Context(), made), delivered(OK))
	if got := len(decode(t, (<-requests).body).Keys); got != MaxKeys {
		t.Errorf("%d keys arrived of a full call", got)
	}
	c.base = "http://[" // New would have refused it
	sameVerdict(t, c.Do(t.Context(), made), permanent(InvalidCall, ScopeSegment))
}

func TestBaseURLs(t *testing.T) {
	for base, want := range map[string]string{
		"https://api.split.io":                 "https://api.split.io/internal/api/v2",
		"https://api.split.io/":                "https://api.split.io/internal/api/v2",
		"https://api.split.io/internal/api/v2": "https://api.split.io/internal/api/v2",
		"http://[::1]:8080/split//":            "http://[::1]:8080/split/internal/api/v2",
		"https://gate/a%20b/internal/api/v2/":  "https://gate/a%20b/internal/api/v2",
	} {
		if c := newClient(t, base); c.base != want {
			t.Errorf("%s: %s, want %s", base, c.base, want)
		}
	}
	for _, base := range []string{"", "api.split.io", "ftp://x", "https://", "https://:443", "https://u:hunter2@x", "https://x?a=hunter2", "https://x#a", "https://x?", "http://hunter2\x7f"} {
		_, err := New(Options{BaseURL: base})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("base URL %q: error %v", base, err)
		}
	}
	if _, err := New(Options{BaseURL: "https://x", Timeout: -1}); err == nil {
		t.Error("a negative timeout was taken")
	}
}

func numbers(n int) *audience.KeySet {
	set := audience.NewKeySet(n)
	for i := range n {
		set.Add(audience.NumericKey(-8735621876216983452 + int64(i)*7919))
	}
	return set
}

func BenchmarkEncodeFullCall(b *testing.B) {
	text := new(audience.KeySet)
	for i := range MaxKeys {
		text.Add(keyOf("user-\"é\"-" + strconv.Itoa(i)))
	}
	for name, keys := range map[string]*audience.KeySet{"numbers": numbers(MaxKeys), "text": text} {
		b.Run(name, func(b *testing.B) {
			made := call(audience.Add)
			made.Keys = keys
			b.ReportAllocs()
			for b.Loop() {
				body, err := encode(made)
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(len(body)))
			}
		})
	}
}
