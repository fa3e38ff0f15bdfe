package cli

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"audiences/api/admin"
	"audiences/logging"
	"audiences/status"
)

// ran is a command that has ended.
type ran struct {
	code           int
	stdout, stderr string
}

// runAgainst runs a command that asks a relay which answers always the same.
func runAgainst(t *testing.T, code int, answer any, args ...string) ran {
	t.Helper()
	relay := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(answer)
	}))
	defer relay.Close()
	return runOn(t, append(args, "--address", relay.URL)...)
}

// runOn runs a command.
func runOn(t *testing.T, args ...string) ran {
	t.Helper()
	var stdout bytes.Buffer
	var stderr printed
	lines := logging.NewLineWriter(&stderr)
	err := run(t.Context(), process{stdin: strings.NewReader(""), stdout: &stdout, stderr: lines}, args)
	code := exitCode(err, lines)
	lines.Flush(logging.LastWords)
	return ran{code, stdout.String(), stderr.String()}
}

// TestExitCodesOfAnswers: one meaning for each code, whatever the form of the command, and
// with --json too.
func TestExitCodesOfAnswers(t *testing.T) {
	filtered := []string{"flush", "acme", "--state", "waiting"}
	sum := admin.RemedyAnswer{Effect: status.Effect{Segments: 2, Sentence: "Flush of 2 segments."}}
	left, failed := sum, sum
	left.Paused = 3
	failed.Failures, failed.Failed = 1, []admin.Failure{{Tenant: "aa", Environment: "e", Segment: "s", Error: "the disk is full"}}
	seen := status.Whereabouts{Sightings: []status.Sighting{{Segment: "s", Sentence: "Pending."}}}
	for what, c := range map[string]struct {
		args   []string
		code   int
		answer any
		want   int
		says   string
	}{
		"a sum":                 {filtered, 200, sum, 0, "Flush of 2"},
		"some are paused":       {filtered, 200, left, 0, "Flush of 2"},
		"some failed":           {filtered, 200, failed, 1, "the disk is full"},
		"no such tenant":        {filtered, 404, admin.Problem{Error: "no such tenant"}, 1, "no such tenant"},
		"nothing to do":         {filtered, 409, admin.Problem{Error: "no segment matches"}, 3, "no segment matches"},
		"a list of no tenant":   {[]string{"segments", "--tenant", "zz"}, 404, admin.Problem{Error: "no such tenant"}, 1, "no such tenant"},
		"a key that is seen":    {[]string{"where", "1"}, 200, seen, 0, "Pending."},
		"a key that is not":     {[]string{"where", "1"}, 200, status.Whereabouts{}, 3, "ot seen"},
		"a key nowhere to find": {[]string{"where", "1"}, 404, admin.Problem{Error: "not known"}, 1, "not known"},
	} {
		for _, form := range [][]string{c.args, append(c.args[:len(c.args):len(c.args)], "--json")} {
			got := runAgainst(t, c.code, c.answer, form...)
			if got.code != c.want || len(form) == len(c.args) && !strings.Contains(got.stdout+got.stderr, c.says) {
				t.Errorf("%s, %s: %+v, want %d", what, form, got, c.want)
			}
			if c.code == 200 && len(form) > len(c.args) && !json.Valid([]byte(got.stdout)) {
				t.Errorf("%s is no JSON: %s", what, got.stdout)
			}
		}
	}
}
