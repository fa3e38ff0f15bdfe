package test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"audiences/audience"
	"audiences/sandbox"
	"audiences/test/harness"
)

// left is what waits in a segment of the journal of format 1, by the text of the key.
type left map[string]audience.Verb

// and adds n numbers from the first on.
func (l left) and(verb audience.Verb, first, n int) left {
	for i := range n {
		l[fmt.Sprint(first+i)] = verb
	}
	return l
}

// leftByFormat1 is what the journal of format 1 has to deliver, by tenant and segment. It
// is told again in journal/embedded, in TestFormat1Drains.
func leftByFormat1() map[string]map[string]left {
	const add, del = audience.Add, audience.Delete
	return map[string]map[string]left{
		"a": {
			"mixed": left{}.and(add, 1050, 150).and(del, 2000, 100).and(del, 1190, 20),
			"texts": {"01": add, "user-1": add, "ü": add, "user-2": del, "user-3": del},
		},
		"b": {"parked-keys": left{}.and(add, 10, 30).and(del, 5, 3)},
		"c": {"only": {"7": add}},
	}
}

// TestFormat1: the relay starts on a journal of format 1 and delivers all that waits in it,
// each key with its verb; what is parked stays parked, and what is paused, paused. The next
// start finds the same and sends nothing again (I2, I3, I8).
func TestFormat1(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{History: true}, nil)
	s.Split.Fault(sandbox.Rule{Kind: sandbox.Status, Code: 404, Segment: "parked"})
	old := filepath.Join(harness.Project, "journal", "embedded", "testdata", "format1", "journal")
	if err := os.CopyFS(s.Journal(), os.DirFS(old)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		p := s.Start()
		p.Ready()
		harness.Eventually(t, harness.Patience, "all is delivered", func() bool { return undelivered(s.Split) == "" })
		for _, line := range []string{
			"audiences_journal_set_aside 0",
			"audiences_journal_uncounted 0",
			`audiences_keys_parked{reason="bad_request"} 7`,
			`audiences_segments_parked{reason="not_found"} 1`,
			"audiences_segments_paused 1",
			"audiences_keys_pending 13", // 10 of the parked segment, 3 of the paused one
		} {
			p.Shows(line)
		}
		if code := p.Terminate(); code != 0 {
			t.Fatalf("exit code %d", code)
		}
		if format := formatOf(t, s.Journal()); format != 2 {
			t.Errorf("the journal has format %d", format)
		}
	}
	if report := undelivered(s.Split); report != "" {
		t.Error(report)
	}
	for segment, who := range map[string]string{"parked": "b", "paused": "c"} {
		if n := s.Split.Size(tokenOf(who), "env", segment); n > 0 {
			t.Errorf("%d keys of the %s segment were delivered", n, segment)
		}
	}
	s.Judge()
}

// tokenOf is the apiToken of a tenant of that journal.
func tokenOf(tenant string) string { return "secret-api-token-of-" + tenant }

// undelivered says where the look-alike does not have what the journal had, once each.
func undelivered(split *sandbox.Server) string {
	for tenant, segments := range leftByFormat1() {
		for segment, keys := range segments {
			members := slices.DeleteFunc(slices.Sorted(maps.Keys(keys)), func(key string) bool { return keys[key] != audience.Add })
			if got := split.Members(tokenOf(tenant), "env", segment); !slices.Equal(got, members) {
				return fmt.Sprintf("segment %s has %d members, want %d", segment, len(got), len(members))
			}
			for key, verb := range keys {
				if got := split.History(tokenOf(tenant), "env", segment, key); len(got) != 1 || got[0].Verb != verb {
					return fmt.Sprintf("segment %s: a key was sent %d times, want %v once", segment, len(got), verb)
				}
			}
		}
	}
	return ""
}

func formatOf(t *testing.T, journal string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(journal, "FORMAT"))
	if err != nil {
		t.Fatal(err)
	}
	var content struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(text, &content); err != nil {
		t.Fatal(err)
	}
	return content.Format
}
