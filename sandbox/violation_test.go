package sandbox

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"audiences/audience"
)

// TestBrokenPromisesOfABody commits every violation that one call can show (I5, I7).
func TestBrokenPromisesOfABody(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(c *caller) []string
		want Promise
	}{
		{"too many", func(*caller) []string { return []string{"1", "2", "3", "4"} }, TooManyKeys},
		{"none", func(*caller) []string { return nil }, NoKeys},
		{"no replace", func(c *caller) []string { c.query = ""; return []string{"1"} }, Replace},
		{"replace", func(c *caller) []string { c.query = "?replace=true"; return []string{"1"} }, Replace},
		{"both", func(c *caller) []string { c.query = "?replace=false&replace=true"; return []string{"1"} }, Replace},
		{"no title", func(c *caller) []string { c.title = ""; return []string{"1"} }, NoComment},
		{"no comment", func(c *caller) []string { c.comment = ""; return []string{"1"} }, NoComment},
		{"token in title", func(c *caller) []string { c.title = "for " + token; return []string{"1"} }, SecretInComment},
		{"key in comment", func(c *caller) []string { c.comment = "adds 123456"; return []string{"1", "123456"} }, SecretInComment},
		{"unknown key", func(*caller) []string { return []string{"1", "never"} }, NeverAccepted},
	} {
		allowed := func(to Target, verb audience.Verb, key string) bool {
			return to.Tenant == tenantOf(token) && to.Environment == "env" && to.Segment == "s" && verb == audience.Add && key != "never"
		}
		inBubble(t, Options{MaxKeys: 3, Allowed: allowed}, func(t *testing.T, s *Split, cl caller) {
			time.Sleep(time.Minute)
			keys := c.make(&cl)
			cl.add("s", keys...)
			wantViolations(t, s, c.want)
			if v := s.Violations()[0]; !v.Time.Equal(time.Now()) || v.Segment != "s" || v.Environment != "env" {
				t.Errorf("%s: %+v", c.name, v)
			}
		})
	}
}

func TestReplaceReplaces(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, s *Split, c caller) {
		c.add("s", "1", "2").want(t, 200, "")
		c.query = "?replace=true"
		c.add("s", "3").want(t, 200, "")
		wantMembers(t, s, token, "s", "3")
	})
}

func TestWhatSplitDoesNotDocument(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, s *Split, c caller) {
		c.api("PUT", "env/s/removeKeys", "keys=1").want(t, 400, "")
		c.api("PATCH", "env/s", "").want(t, 404, "")
		c.api("PUT", "env//removeKeys", "{}").want(t, 404, "")
		c.api("PUT", "../env/s/removeKeys", "{}").want(t, 404, "")
		wantViolations(t, s, NotAsDocumented, NotAsDocumented, NotAsDocumented, NotAsDocumented)
	})
}

// TestTwoCallsAtOnce is I4 as Split sees it: one segment, one token, any verbs.
// Other segments and other tokens are nobody's business.
func TestTwoCallsAtOnce(t *testing.T) {
	inBubble(t, Options{Faults: []Rule{{Kind: Slow, Delay: time.Second}}}, func(t *testing.T, s *Split, c caller) {
		for _, call := range []func(){
			func() { c.add("s", "1") },
			func() { c.add("another", "1") },
			func() { c.as("other").add("s", "1") },
			func() { c.api("GET", "env/s/keys", "") },
		} {
			go call()
		}
		synctest.Wait()
		time.Sleep(time.Millisecond)
		wantViolations(t, s)
		go c.remove("s", "1")
		time.Sleep(time.Millisecond)
		wantViolations(t, s, Overlap) // proven while both are still under way
		if v := s.Violations()[0]; v.Verb != audience.Delete || v.Segment != "s" {
			t.Errorf("%+v", v)
		}
		time.Sleep(time.Minute)
		wantViolations(t, s, Overlap)
	})
}

// TestARepeatAfterATimeoutIsNoOverlap: the server may hear of the client's
// leaving only after the repeat has come.
func TestARepeatAfterATimeoutIsNoOverlap(t *testing.T) {
	inBubble(t, Options{Faults: []Rule{{Kind: Hang, Count: 5}}}, func(t *testing.T, s *Split, c caller) {
		for range 6 {
			c.addWithin(time.Second, "s", "1")
		}
		wantMembers(t, s, token, "s", "1")
		wantViolations(t, s)
	})
}

// TestGraceForClientsThatLeft: what overlaps for longer than a server needs to
// notice that its client is gone is an overlap, even if the client goes later.
func TestGraceForClientsThatLeft(t *testing.T) {
	const grace = 250 * time.Millisecond
	for left, want := range map[time.Duration][]Promise{grace: nil, grace + 1: {Overlap}} {
		opts := Options{Grace: grace, Faults: []Rule{{Kind: Hang, Count: 1}}}
		inBubble(t, opts, func(t *testing.T, s *Split, c caller) {
			go c.addWithin(time.Second+left, "s", "1")
			time.Sleep(time.Second)
			c.add("s", "1").want(t, 200, "")
			wantViolations(t, s)
			time.Sleep(time.Hour)
			wantViolations(t, s, want...)
		})
	}
}

// TestCallsOneAfterTheOtherDoNotOverlap: the next call may start the moment the
// answer is there.
func TestCallsOneAfterTheOtherDoNotOverlap(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, s *Split, c caller) {
		for i := range 200 {
			c.add("s", fmt.Sprint(i)).want(t, 200, "")
		}
		wantViolations(t, s)
	})
}

// TestViolationsDoNotPrintSecrets covers I7 for the one who prints violations.
func TestViolationsDoNotPrintSecrets(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, s *Split, c caller) {
		c.comment = "8735621876216983452 " + token
		c.add("s", "8735621876216983452")
		wantViolations(t, s, SecretInComment, SecretInComment)
		if text := fmt.Sprint(s.Violations()); strings.Contains(text, "87356") || strings.Contains(text, token) {
			t.Error(text)
		}
	})
}

// TestManyViolationsAreCounted: a caller gone mad must not eat the memory.
func TestManyViolationsAreCounted(t *testing.T) {
	inBubble(t, Options{Allowed: func(Target, audience.Verb, string) bool { return false }}, func(t *testing.T, s *Split, c caller) {
		keys := make([]string, 1500)
		for i := range keys {
			keys[i] = fmt.Sprint(i)
		}
		c.add("s", keys...)
		if n := len(s.Violations()); n != maxViolations || s.verdicts.total != 1500 {
			t.Errorf("kept %d of %d", n, s.verdicts.total)
		}
	})
}
