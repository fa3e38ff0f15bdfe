package sandbox

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"audiences/audience"
)

func TestKeysGoInAndOut(t *testing.T) {
	inBubble(t, Options{History: true}, func(t *testing.T, s *Split, c caller) {
		c.add("s", "7", "-1", "x y", "7").want(t, 200, `"name":"s","environment":{"id":"env"`)
		c.remove("s", "7", "absent").want(t, 200, `{"code":200,"message":"Deleted 2 keys","details":"","transactionId":"`)
		wantMembers(t, s, token, "s", "-1", "x y")
		if n := s.Size(token, "env", "s"); n != 2 {
			t.Errorf("size %d", n)
		}
		log := s.History(token, "env", "s", "7")
		if len(log) != 3 || log[0].Verb != audience.Add || log[2].Verb != audience.Delete {
			t.Errorf("history %v", log)
		}
		wantViolations(t, s)
	})
}

func TestPages(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, s *Split, c caller) {
		var keys []string
		for i := range 250 {
			keys = append(keys, fmt.Sprintf("key%03d", i))
		}
		c.add("s", keys...).want(t, 200, "")
		c.api("GET", "env/s/keys?limit=2&offset=248", "").want(t, 200, `{"keys":[{"key":"key248"},{"key":"key249"}],"count":250,"offset":248,"limit":2}`)
		c.api("GET", "env/s/keys?offset=1000", "").want(t, 200, `{"keys":[],"count":250,"offset":1000,"limit":100}`)
		if page := c.api("GET", "env/s/keys", ""); strings.Count(page.body, `"key"`) != 100 {
			t.Errorf("default page: %.100s", page.body)
		}
		for _, bad := range []string{"limit=101", "limit=0", "limit=x", "offset=-1"} {
			c.api("GET", "env/s/keys?"+bad, "").want(t, 400, "limit must be")
		}
	})
}

func TestStrictSegmentsAreCreatedAndActivated(t *testing.T) {
	inBubble(t, Options{Strict: true}, func(t *testing.T, s *Split, c caller) {
		c.add("s", "1").want(t, 404, `"code":404`)
		c.api("POST", "env/s", "").want(t, 404, "")
		c.api("POST", "ws/w/trafficTypes/user", `{"name":"s"}`).want(t, 200, `"trafficType":{"id":"user"`)
		c.api("POST", "ws/w/trafficTypes/user", `{"name":"s"}`).want(t, 409, "already exists")
		c.api("POST", "ws/w/trafficTypes/user", `{"name":"9 s"}`).want(t, 400, "name")
		c.api("POST", "ws/w/trafficTypes/user", `[`).want(t, 400, "JSON")
		c.add("s", "1").want(t, 404, "")
		c.api("POST", "env/s", "").want(t, 200, `"name":"s"`)
		c.add("s", "1").want(t, 200, "")
		wantMembers(t, s, token, "s", "1")
		c.api("DELETE", "ws/w/s", "").want(t, 200, "")
		c.api("DELETE", "ws/w/s", "").want(t, 404, "")
		c.api("GET", "env/s/keys", "").want(t, 404, "")
		wantMembers(t, s, token, "s")
	})
}

func TestOnlyTheRightAuthHeaderWorks(t *testing.T) {
	for _, c := range []struct {
		name   string
		header http.Header
		status int
	}{
		{"bearer", http.Header{"Authorization": {"Bearer abc"}}, 200},
		{"harness key", http.Header{"X-Api-Key": {"pat.abc"}}, 200},
		{"service account key", http.Header{"X-Api-Key": {"sat.abc"}}, 200},
		{"harness key as bearer", http.Header{"Authorization": {"Bearer pat.abc"}}, 401},
		{"plain token as api key", http.Header{"X-Api-Key": {"abc"}}, 401},
		{"both", http.Header{"Authorization": {"Bearer abc"}, "X-Api-Key": {"pat.abc"}}, 401},
		{"raw", http.Header{"Authorization": {"abc"}}, 401},
		{"raw beside a key", http.Header{"Authorization": {"abc"}, "X-Api-Key": {"pat.abc"}}, 401},
		{"empty", http.Header{"Authorization": {"Bearer "}}, 401},
		{"none", http.Header{}, 401},
	} {
		inBubble(t, Options{}, func(t *testing.T, s *Split, cl caller) {
			got := cl.do(t.Context(), "PUT", "/internal/api/v2/segments/env/s/removeKeys", c.header, cl.body([]string{"1"}))
			if got.status != c.status {
				t.Errorf("%s: %d, want %d", c.name, got.status, c.status)
			}
			if c.status == 401 {
				wantViolations(t, s, WrongAuth)
			} else {
				wantViolations(t, s)
			}
		})
	}
}

func TestRefusedChangesChangeNothing(t *testing.T) {
	opts := Options{MaxKeys: 4, MaxMembers: 5, MaxBody: 1000}
	inBubble(t, opts, func(t *testing.T, s *Split, c caller) {
		c.add("s", "1", "2", "3").want(t, 200, "")
		c.add("s", "4", "5", "6").want(t, 400, guessFull)
		c.add("s", "1", "2", "3", "4").want(t, 200, "")
		c.add("s", "5", "5", "1").want(t, 200, "")
		c.add("s", "1", "2", "3", "4", "5").want(t, 400, guessTooMany)
		c.add("s").want(t, 400, guessNoKeys)
		c.remove("s", "1", " ").want(t, 400, guessBadKey)
		c.remove("s", strings.Repeat("k", 251)).want(t, 400, guessBadKey)
		c.api("PUT", "env/s/removeKeys", `{"keys":[1]}`).want(t, 400, "JSON")
		c.api("PUT", "env/s/removeKeys", strings.Repeat(" ", 1001)).want(t, 413, "")
		c.add("bad%20name", "1").want(t, 404, "")
		c.api("GET", "nowhere", "").want(t, 404, "")
		wantMembers(t, s, token, "s", "1", "2", "3", "4", "5")
		if n := s.Counts(); n.Applied != 3 || n.Keys != 10 || n.Statuses[400] != 6 || n.Outcomes[OutcomeRefused] != 9 {
			t.Errorf("counts %+v", n)
		}
	})
}

// TestOneWorkspaceWantsComments: Split answers 400 with nothing in it.
func TestOneWorkspaceWantsComments(t *testing.T) {
	inBubble(t, Options{RequireComments: true}, func(t *testing.T, s *Split, c caller) {
		c.title = ""
		if got := c.add("s", "1"); got.status != 400 || got.body != "" {
			t.Errorf("answer %d %q", got.status, got.body)
		}
		wantViolations(t, s, NoComment)
		wantMembers(t, s, token, "s")
	})
}

func TestOrganisationsOwnSegments(t *testing.T) {
	opts := Options{Organisations: map[string]string{"tok-a": "acme", "tok-b": "acme"}}
	inBubble(t, opts, func(t *testing.T, s *Split, c caller) {
		c.as("tok-a").add("s", "1").want(t, 200, "")
		c.as("tok-b").add("s", "2").want(t, 200, "")
		c.as("other").add("s", "3").want(t, 200, "")
		wantMembers(t, s, "acme", "s", "1", "2")
		wantMembers(t, s, "tok-b", "s", "1", "2")
		wantMembers(t, s, "other", "s", "3")
		s.Rotate("other", "newer")
		c.as("newer").add("s", "4").want(t, 200, "")
		s.Assign("third", "acme")
		c.as("third").remove("s", "1").want(t, 200, "")
		wantMembers(t, s, "other", "s", "3", "4")
		wantMembers(t, s, "acme", "s", "2")
		wantMembers(t, s, "nobody", "s")
		if all := s.Segments(); len(all) != 2 || all[0].Organisation != tenantOf("other").String() && all[1].Organisation != tenantOf("other").String() {
			t.Errorf("segments %+v", all)
		}
	})
}

func TestCallsAreRemembered(t *testing.T) {
	var seen []Call
	inBubble(t, Options{CallLog: 2, OnCall: func(c Call) { seen = append(seen, c) }}, func(t *testing.T, s *Split, c caller) {
		c.add("s", "1", "2").want(t, 200, "")
		c.add("s", "2", "1").want(t, 200, "")
		c.remove("s", "1", "2").want(t, 200, "")
		calls := s.Calls()
		if len(seen) != 3 || !slices.Equal(calls, seen[1:]) {
			t.Fatalf("remembered %+v, told %+v", calls, seen)
		}
		last := calls[1]
		if last.Verb != audience.Delete || last.Keys != 2 || last.Status != 200 || !last.Applied || last.Tenant != tenantOf(token) || last.IP != "pipe" || last.Segment != "s" {
			t.Errorf("call %+v", last)
		}
		if seen[0].Digest != seen[1].Digest || seen[1].Digest == seen[2].Digest {
			t.Error("a digest must tell verb and keys apart, and nothing else")
		}
		s.Reset()
		if len(s.Calls()) != 0 || s.Counts().Calls != 0 || len(s.Segments()) != 0 {
			t.Error("something outlived a reset")
		}
	})
}
