package test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"audiences/audience"
	"audiences/test/harness"
)

// recorded is one request to the server before this one, and what it answered.
type recorded struct {
	ID, Note, Method, Path string
	Headers                [][2]string
	Body                   string
	Status                 int
	Response               string
	CacheLine              []string `json:"cache_line"`
	SplitCalls             []struct {
		URI, Body string
	} `json:"split_calls"`
}

// abridged has the bodies that the record shortens or, not being UTF-8, lacks.
var abridged = map[string]func() string{
	"mpid-long": func() string {
		return `{"apiToken": "tok-aaaa", "workspaceId": "ws1", "environmentId": "env1", "trafficTypeId": "tt1", "verb": "add", "mpids": ["` +
			strings.Repeat("k", 100_000) + `"], "segment": "g-mpid-long"}`
	},
	"hundred-thousand": func() string {
		return `{"apiToken": "tok-aaaa", "workspaceId": "ws1", "environmentId": "env1", "trafficTypeId": "tt1", "verb": "add", "mpids": ["` +
			strings.Join(hundredThousand(), `", "`) + `"], "segment": "g-hundred-thousand"}`
	},
	"deep-nesting": func() string {
		return `{"apiToken":"tok-aaaa","workspaceId":"ws1","environmentId":"env1","trafficTypeId":"tt1","verb":"add","segment":"g-deep-nesting","mpids":["1"],"x":` +
			strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + "}"
	},
	"bad-utf8": func() string {
		return `{"apiToken":"tok-aaaa","workspaceId":"ws1","environmentId":"env1","trafficTypeId":"tt1","verb":"add","segment":"g-bad-utf8","mpids":["` + "\xff\xfe" + `"]}`
	},
}

func hundredThousand() []string {
	keys := make([]string, 100_000)
	for i := range keys {
		keys[i] = fmt.Sprint(1_000_000_000_000_000_000 + i)
	}
	return keys
}

// loadRecorded also checks that the table and the record name the same cases,
// and that the bodies made here are the ones that were sent.
func loadRecorded(t *testing.T) []recorded {
	t.Helper()
	text, err := os.ReadFile("testdata/contract.json")
	if err != nil {
		t.Fatal(err)
	}
	var record struct{ Cases []recorded }
	if err := json.Unmarshal(text, &record); err != nil {
		t.Fatal(err)
	}
	unknown := map[string]bool{}
	for id := range verdicts {
		unknown[id] = true
	}
	shortened := regexp.MustCompile(`^(?s)(.*)\.\.\.\((\d+) characters\)$`)
	for i, c := range record.Cases {
		if _, ok := verdicts[c.ID]; !ok {
			t.Errorf("%s is recorded and has no verdict", c.ID)
		}
		delete(unknown, c.ID)
		full, ok := abridged[c.ID]
		parts := shortened.FindStringSubmatch(c.Body)
		if (parts != nil) && !ok {
			t.Errorf("%s is shortened in the record and not made here", c.ID)
		}
		if ok {
			record.Cases[i].Body = full()
			if parts != nil && (!strings.HasPrefix(full(), parts[1]) || fmt.Sprint(len(full())) != parts[2]) {
				t.Errorf("%s: the body of %d bytes made here is not the recorded one", c.ID, len(full()))
			}
		}
	}
	for id := range unknown {
		t.Errorf("%s has a verdict and is not recorded", id)
	}
	return record.Cases
}

// check compares the answer.
func (c recorded) check(t *testing.T, got harness.Answer) {
	t.Helper()
	v := verdicts[c.ID]
	status := cmp.Or(v.status, c.Status)
	if got.Status != status {
		t.Fatalf("%s: %d %q, want %d (%s)", c.Note, got.Status, got.Body, status, v.why)
	}
	switch {
	case v.body != "":
		if !regexp.MustCompile(v.body).MatchString(got.Body) {
			t.Errorf("%s: %q, want %s", c.Note, got.Body, v.body)
		}
	case status == http.StatusOK:
		if got.Body != c.Response {
			t.Errorf("%s: %q, want %q", c.Note, got.Body, c.Response)
		}
	case v.message != "":
		if !strings.HasPrefix(got.Message(), v.message) {
			t.Errorf("%s: %q, want %q at the beginning (%s)", c.Note, got.Body, v.message, v.why)
		}
	case got.Message() != c.Response:
		t.Errorf("%s: %q, want the message %q", c.Note, got.Body, c.Response)
	}
}

// delivery is where the case's keys go ("environment/segment/call") and which;
// none for a request that changes nothing.
func (c recorded) delivery(t *testing.T) (where string, keys []string) {
	v := verdicts[c.ID]
	switch {
	case v.status != 0 || c.Status != http.StatusOK || !strings.HasPrefix(c.Path, "/audiences"):
		return "", nil
	case c.ID == "hundred-thousand":
		return "env1/g-hundred-thousand/add", hundredThousand()
	}
	call := c.SplitCalls[0]
	parts := regexp.MustCompile(`/segments/(.*)/(.*)/(upload|remove)Keys\?`).FindStringSubmatch(call.URI)
	verb := map[string]string{"upload": "add", "remove": "delete"}[parts[3]]
	keys = v.keys
	if keys == nil {
		var body struct{ Keys []string }
		if err := json.Unmarshal([]byte(call.Body), &body); err != nil {
			t.Fatalf("the recorded call is no JSON: name the keys in the verdict: %v", err)
		}
		keys = body.Keys
	}
	return parts[1] + "/" + parts[2] + "/" + verb, keys
}

// checkCache holds /cache against the record: a line of the same form, with the
// tenant's fingerprint in place of the token's first characters; and nothing at
// all of a request that was refused.
func (c recorded) checkCache(t *testing.T, before, after []string, where string, keys int) {
	t.Helper()
	added := slices.DeleteFunc(slices.Clone(after), func(line string) bool { return slices.Contains(before, line) })
	if len(after)-len(before) != len(added) {
		t.Fatalf("/cache lost lines: %q became %q", before, after)
	}
	var want []string
	if keys > 0 {
		token, err := audience.ParseToken(harness.APIToken)
		if err != nil {
			t.Fatal(err)
		}
		line := strings.Replace(c.CacheLine[0], "tok-****...", audience.NewTenant(token).ID.String(), 1)
		line = regexp.MustCompile(`:(?i:add|delete) => \d+$`).ReplaceAllStringFunc(line, strings.ToLower)
		if verdicts[c.ID].keys != nil {
			line = regexp.MustCompile(`\d+$`).ReplaceAllString(line, fmt.Sprint(keys))
		}
		want = []string{line}
	}
	if !slices.Equal(added, want) {
		t.Errorf("%s (%s): /cache got %q, want %q", c.Note, where, added, want)
	}
}

func cacheLines(t *testing.T, p *harness.Process) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
	defer cancel()
	a, err := p.Send(ctx, http.MethodGet, "/cache", harness.AuthToken, nil)
	if err != nil || a.Status != http.StatusOK {
		t.Fatalf("/cache: %d %s, %v", a.Status, a.Body, err)
	}
	if a.Body == "cache empty" {
		return nil
	}
	return strings.Split(a.Body, "\n")
}
