package test

import (
	"testing"

	"audiences/sandbox"
	"audiences/test/harness"
)

// verdict says how the relay answers a recorded request. The zero value: as
// recorded, which for a refusal means the same status and, as JSON, the same
// message; for an accepted change also the same keys to the same segment.
type verdict struct {
	status  int
	message string   // a refusal's message begins so
	body    string   // pattern of a 200's body
	keys    []string // what reaches Split
	why     string
}

var same = verdict{}

// refused: nothing of the request is taken.
func refused(status int, message, why string) verdict {
	return verdict{status: status, message: message, why: why}
}

// delivers: answered as recorded, with these keys in the call to Split.
func delivers(why string, keys ...string) verdict { return verdict{keys: keys, why: why} }

// The reasons for most differences.
const (
	strict = "what is not JSON is refused, not guessed at"
	named  = "400 that names the field; the old server wrote null into the call to Split"
	ours   = "400 with a sentence; the old server answered 500 with an exception's text"
	noBody = "the message also says what is wrong with the body"
	path   = "only the documented paths exist"
	plain  = "the message is JSON, for the lambda; the old one was a page"
)

// verdicts has every recorded case.
var verdicts = map[string]verdict{
	"add-one": same, "add-three": same, "verb-upper": same, "verb-mixed": same,
	"mpids-dup": same, "mpid-number": same, "mpid-19digits-max": same, "mpid-negative": same, "mpid-escape": same,
	"unknown-field": same, "field-case": same, "missing-workspaceId": same, "hundred-thousand": same,
	"auth-name-case": same, "auth-twice-good-first": same,
	"trailing-slash": same, "query": same, "ctype-form": same, "ctype-text": same, "ctype-latin1": same,
	"expect-100": same, "http10-keepalive": same, "conn-close": same, "accept-encoding": same,

	"mpid-null":         delivers("null is no MPID; the old server added the key \"null\"", "a", "b"),
	"mpid-empty-string": delivers("Split refuses blank keys", "x "),
	"mpid-quote":        delivers("the call is valid JSON", "a\"b", "c\\d", "e\nf"),

	"mpid-bool":           refused(400, "mpids[0]: must be a string or a number, not a boolean", "a boolean is no MPID"),
	"mpid-long":           refused(400, "mpids[0]: key is longer than 250 characters", "Split refuses such keys"),
	"bad-utf8":            refused(400, "invalid POST body: ", "another key than the one that was meant would reach Split"),
	"dup-mpids":           refused(400, "invalid POST body: mpids stands there twice", "the old server quietly dropped the first"),
	"mpid-trailing-comma": refused(400, "invalid POST body: ", strict),
	"mpid-unquoted":       refused(400, "invalid POST body: ", strict),
	"mpid-single-quoted":  refused(400, "invalid POST body: ", strict),
	"xssi-prefix":         refused(400, "invalid POST body: ", strict),
	"equals":              refused(400, "invalid POST body: ", strict),
	"deep-nesting":        refused(400, "invalid POST body: ", "nesting is bounded"),

	"segment-unicode":    refused(400, "segment ", "Split has no such names"),
	"segment-space":      refused(400, "segment ", "Split has no such names; the old server's flushing ended for good"),
	"segment-percent":    refused(400, "segment ", "Split has no such names; the old server's flushing ended for good"),
	"segment-pct-escape": refused(400, "segment ", "Split has no such names"),
	"segment-empty":      refused(400, "segment ", "Split has no such names"),
	"token-newline":      refused(400, "apiToken ", "no header can carry it; the old server's flushing ended for good"),
	"token-unicode":      refused(400, "apiToken ", "no header can carry it"),
	"token-empty":        refused(400, "apiToken ", "Split would refuse the call"),

	"missing-environmentId": refused(400, "environmentId is missing", named),
	"missing-segment":       refused(400, "segment is missing", named),
	"null-segment":          refused(400, "segment must be a string, not null", named),
	"null-apiToken":         refused(400, "apiToken must be a string, not null", named),

	"missing-mpids":    refused(400, "mpids is missing", ours),
	"mpids-object":     refused(400, "mpids must be an array", ours),
	"mpids-number":     refused(400, "mpids must be an array", ours),
	"mpids-objects":    refused(400, "mpids[0]: must be a string or a number, not an object", ours),
	"null-verb":        refused(400, `invalid verb ""; must be add or delete`, ours),
	"empty-object":     refused(400, `invalid verb ""; must be add or delete`, ours),
	"verb-object":      refused(400, "invalid verb: it is an object; must be add or delete", ours),
	"trailing-garbage": refused(400, "invalid POST body: ", ours),
	"two-objects":      refused(400, "invalid POST body: ", ours),
	"array-of-body":    refused(400, "invalid POST body: it must be a JSON object, not an array", ours),
	"string-body":      refused(400, "invalid POST body: it must be a JSON object, not a string", ours),
	"text-body":        refused(400, "invalid POST body: ", ours),
	"form-body":        refused(400, "invalid POST body: ", ours),
	"cut-body-2":       refused(400, "invalid POST body: the JSON ends too early", ours),
	"brace-only":       refused(400, "invalid POST body: the JSON ends too early", ours),
	"length-short":     refused(400, "invalid POST body: the JSON ends too early", ours),
	"empty-body":       refused(400, "invalid POST body: it is empty", noBody),
	"null-body":        refused(400, "invalid POST body: it must be a JSON object, not null", noBody),

	"verb-bad": same, "verb-space": same, "verb-number": same,
	"verb-quote": refused(400, `invalid verb "a\"d"; must be add or delete`, "the quote inside is escaped"),

	"auth-missing": same, "auth-empty": same, "auth-basic": same, "auth-case": same, "auth-wrong-bad-body": same,
	"get-audiences": same, "put-audiences": same, "delete-audiences": same, "options-audiences": same,
	"method-lower": refused(405, "method not allowed", "methods have case (RFC 9110)"),

	"subpath":    refused(404, "not found", path),
	"pingfoo":    refused(404, "not found", path),
	"uptime-sub": refused(404, "not found", path),
	"path-case":  refused(404, "not found", plain), "path-dot": refused(404, "not found", plain),
	"path-double": refused(404, "not found", plain), "unknown": refused(404, "not found", plain),

	"ping": same, "ping-post": same,
	"uptime":       {status: 200, body: `^0d:0h:\dm:\d+s$`, why: "time goes on"},
	"cache-delete": refused(401, "auth token doesn't match", "/cache needs the token"),
}

// TestContract sends every recorded request, byte for byte. The flush interval is
// longer than the test, so that /cache shows after each request what was taken
// of it, exactly; the stop at the end then brings everything to Split.
func TestContract(t *testing.T) {
	t.Parallel()
	cases := loadRecorded(t)
	arrived := &arrivals{keys: map[string][]string{}}
	s := harness.NewSite(t, sandbox.Options{Allowed: arrived.note}, map[string]any{"segmentsFlushRateInSeconds": 3600})
	p := s.Start()
	want := map[string][]string{}
	for _, c := range cases {
		t.Run(c.ID, func(t *testing.T) {
			before := cacheLines(t, p)
			got := sendRecorded(t, p, c)
			c.check(t, got)
			where, keys := c.delivery(t)
			if len(keys) > 0 {
				want[where] = keys
			}
			if c.ID != "hundred-thousand" { // more than one call's worth is on its way at once
				c.checkCache(t, before, cacheLines(t, p), where, len(keys))
			}
		})
	}
	if code := p.Terminate(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	arrived.check(t, want)
	s.Judge()
}
