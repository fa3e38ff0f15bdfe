package test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"audiences/sandbox"
	"audiences/test/harness"
)

// requests writes a file of recorded requests, one a line.
func requests(t *testing.T, lines ...string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "posts.ndjson")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// tokenFile has a token and the end of a line.
func tokenFile(t *testing.T, token string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestReplay: a file is posted to a relay in its order, in all the forms that a line may
// have, and the command says how many were answered how, and up to which line. It shows no
// key and no token.
func TestReplay(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{}, map[string]any{"segmentsFlushRateInSeconds": 3600})
	p := s.Start()
	var lines []string
	for _, c := range []harness.Change{
		{Keys: []string{"8000001", "8000002", "8000003"}}, {Verb: "delete", Keys: []string{"8000002"}}, {Verb: "delete", Keys: []string{"8000003"}}, {Keys: []string{"8000003"}},
	} {
		c.Segment = "sReplay"
		lines = append(lines, string(c.Body()))
	}
	asText, err := json.Marshal(map[string]string{"time": "2026-11-27T08:00:00Z", "body": lines[2]})
	if err != nil {
		t.Fatal(err)
	}
	lines[1], lines[2] = `{"time":"2026-11-27T08:00:00Z","body":`+lines[1]+"}\n", string(asText)
	file, token := requests(t, append(lines, `{"verb":"add","apiToken":"`+harness.APIToken+`","mpids":["8000009"]}`)...), tokenFile(t, harness.AuthToken)
	to := []string{"--to", "https://" + p.HTTPS, "--insecure", "--token-file", token}
	run := func(want int, says string, args ...string) (stdout string) {
		t.Helper()
		code, stdout, stderr := harness.Run(t, nil, append([]string{"replay"}, args...)...)
		if code != want || !regexp.MustCompile(says).MatchString(stdout+stderr) {
			t.Errorf("%q: exit code %d, want %d and %s\n%s%s", args, code, want, says, stdout, stderr)
		}
		for _, secret := range []string{"80000", harness.APIToken} {
			if strings.Contains(stdout+stderr, secret) {
				t.Errorf("%q shows %s:\n%s%s", args, secret, stdout, stderr)
			}
		}
		return stdout
	}
	run(exitDone, `^5 posts for 2 segments of 1 tenant, up to line 6\. Nothing was posted\.\n$`, file, "--dry-run")
	run(exitNothing, "no request from line 7 on", file, "--dry-run", "--from", "7")
	if lines := cacheLines(t, p); len(lines) > 0 {
		t.Errorf("a dry run posted: %q", lines)
	}
	run(exitFailed, `(?s)POSTS +ANSWERED +LINES +SAYS.*\n4 +200 *\n1 +400 +6 +environmentId is missing.*5 posts, up to line 6\..*1 of 5 posts were not taken`, append(to, file)...)
	run(exitNothing, "no request from line 7 on", append(to, file, "--from", "7")...)
	run(exitDone, `(?s)2 +200.*2 posts, up to line 5\.`, append(to, requests(t, lines...), "--from", "4")...)

	run(exitFailed, `(?s)5 +401 +1 2 4 5 6 .*5 of 5 posts were not taken`, "--to", "https://"+p.HTTPS, "--insecure", "--token-file", tokenFile(t, "other"), file)
	run(exitFailed, `certificate.*--from 1 goes on`, "--to", "https://"+p.HTTPS, "--token-file", token, file)
	run(exitFailed, `refused; --from 1 goes on`, "--to", fmt.Sprintf("https://127.0.0.1:%d", harness.FreePort(t)), "--token-file", token, file)
	run(exitFailed, `line 2 is no recorded request`, append(to, requests(t, lines[3], `"8000001"`))...)
	run(exitFailed, `no such file`, append(to, filepath.Join(t.TempDir(), "none"))...)
	for _, wrong := range [][]string{{}, {file}, {file, "--to", "127.0.0.1", "--token-file", token}, {file, "--to", "https://h"}, append(to, file, "--from", "0"), append(to, file, "--rate", "0"), append(to, file, "--rate", "NaN"), append(to, file, "--expect", "x")} {
		run(exitWrong, "--|it takes", wrong...)
	}
	if code := p.Terminate(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	if got := s.Members("sReplay"); !slices.Equal(got, []string{"8000001", "8000003"}) {
		t.Errorf("delivered %q", got)
	}
	s.Judge()
}

// TestReplayTrusts: with --ca the certificates of that file are trusted, and no other.
func TestReplayTrusts(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{}, nil)
	key := filepath.Join(s.Dir, "own.pem")
	if code, _, stderr := harness.Run(t, nil, "keygen", "-out", key); code != exitDone {
		t.Fatal(stderr)
	}
	s.Configure(map[string]any{"keyFile": key})
	p := s.Start()
	_, port, _ := strings.Cut(p.HTTPS, ":")
	file, token := requests(t, string(harness.Change{Segment: "sCA", Keys: []string{"1"}}.Body())), tokenFile(t, harness.AuthToken)
	code, stdout, stderr := harness.Run(t, nil, "replay", file, "--to", "https://localhost:"+port, "--ca", key, "--token-file", token)
	if code != exitDone {
		t.Errorf("exit code %d: %s%s", code, stdout, stderr)
	}
}

// TestReplayCompares: of all recorded posts the relay and a stand-in that answers as the
// old server did differ in those that the contract names, and in no other.
func TestReplayCompares(t *testing.T) {
	t.Parallel()
	old := newOldServer(t, "")
	p := harness.NewSite(t, sandbox.Options{}, map[string]any{"segmentsFlushRateInSeconds": 3600, "deliver": false}).Start()
	var lines, differing []string
	for i, c := range recordedPosts(t) {
		record, err := json.Marshal(map[string]string{"body": c.Body})
		if c.ID == "bad-utf8" || err != nil {
			record = []byte(`{"body":"{}"}`) // JSON cannot tell it: the place of another one with a difference
		}
		lines = append(lines, string(record))
		if v := verdicts[c.ID]; v.status != 0 && (v.status != c.Status || v.message != c.Response) || c.ID == "bad-utf8" {
			differing = append(differing, fmt.Sprint(i+1))
		}
	}
	old.answers["{}"] = recorded{Status: 500, Response: "an exception"}
	code, stdout, stderr := harness.Run(t, nil, "replay", requests(t, lines...), "--to", "https://"+p.HTTPS, "--expect", old.URL, "--insecure", "--token-file", tokenFile(t, harness.AuthToken), "--rate", "1000")
	if want := fmt.Sprintf("%d of %d posts were answered otherwise", len(differing), len(lines)); code != exitFailed || !strings.Contains(stderr, want) {
		t.Errorf("exit code %d, want %d and %s\n%s%s", code, exitFailed, want, stdout, stderr)
	}
	for _, line := range regexp.MustCompile(`(?m)^\d+ +\d+ +\d+ +(?:status|body) +([\d ]+?)  `).FindAllStringSubmatch(stdout, -1) {
		for _, number := range strings.Fields(line[1]) {
			if !slices.Contains(differing, number) {
				t.Errorf("line %s is told as different:\n%s", number, stdout)
			}
		}
	}
	for _, kind := range []string{`\n\d+ +200 +200 +\n`, `\n\d+ +200 +400 +status +\d`, `\n\d+ +500 +400 +status +\d`, `\n\d+ +400 +400 +body +\d`} {
		if !regexp.MustCompile(kind).MatchString(stdout) {
			t.Errorf("%s is missing:\n%s", kind, stdout)
		}
	}
}
