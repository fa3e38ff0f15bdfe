//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"audiences/test/harness"
)

// lambdaPost is one request of the lambda, what it must be told, and what must
// be in the segment in the end.
type lambdaPost struct {
	name          string
	authorization string
	body          string // members beside those that every request has
	status        int
	answer        string   // all of a 200's text, or a part of an error's message
	segment       string   // where to look in the end; empty: nowhere
	members       []string // in byte order
}

// lambdaPosts are recorded cases of the server before this one, with the
// answers of this one where they differ on purpose.
var lambdaPosts = []lambdaPost{
	{"add one", harness.AuthToken, `"verb":"add","mpids":["1"],"segment":"g-add-one"`, 200, "MPIDs add", "g-add-one", []string{"1"}},
	{"add three", harness.AuthToken, `"verb":"add","mpids":["001","002","003"],"segment":"g-add-three"`, 200, "MPIDs add", "g-add-three", []string{"001", "002", "003"}},
	{"verb in upper case", harness.AuthToken, `"verb":"ADD","mpids":["1"],"segment":"g-verb-upper"`, 200, "MPIDs ADD", "g-verb-upper", []string{"1"}},
	{"add before a delete", harness.AuthToken, `"verb":"add","mpids":["1","2"],"segment":"g-verb-mixed"`, 200, "MPIDs add", "", nil},
	{"verb in mixed case", harness.AuthToken, `"verb":"DeLeTe","mpids":["1"],"segment":"g-verb-mixed"`, 200, "MPIDs DeLeTe", "g-verb-mixed", []string{"2"}},
	{"the same MPID twice", harness.AuthToken, `"verb":"add","mpids":["7","7"],"segment":"g-mpids-dup"`, 200, "MPIDs add", "g-mpids-dup", []string{"7"}},
	{"a number above 2^63", harness.AuthToken, `"verb":"add","mpids":[98765432109876543210],"segment":"g-mpid-19digits-max"`, 200, "MPIDs add", "g-mpid-19digits-max", []string{"98765432109876543210"}},
	{"a negative number", harness.AuthToken, `"verb":"add","mpids":[-8735621876216983452],"segment":"g-mpid-negative"`, 200, "MPIDs add", "g-mpid-negative", []string{"-8735621876216983452"}},
	{"quote, backslash, newline", harness.AuthToken, `"verb":"add","mpids":["a\"b","c\\d","e\nf"],"segment":"g-mpid-quote"`, 200, "MPIDs add", "g-mpid-quote", []string{"a\"b", "c\\d", "e\nf"}},
	{"a profile without an MPID", harness.AuthToken, `"verb":"add","mpids":[null],"segment":"g-mpid-null"`, 200, "MPIDs add", "g-mpid-null", nil},
	{"unknown fields", harness.AuthToken, `"verb":"add","mpids":["1"],"segment":"g-unknown-field","x":{"y":[1]}`, 200, "MPIDs add", "g-unknown-field", []string{"1"}},
	{"token after Bearer", "Bearer " + harness.AuthToken, `"verb":"add","mpids":["1"],"segment":"g-bearer"`, 200, "MPIDs add", "g-bearer", []string{"1"}},

	{"wrong token", "bar", `"verb":"add","mpids":["1"],"segment":"g-auth-wrong"`, 401, "auth token doesn't match", "g-auth-wrong", nil},
	{"no token", "", `"verb":"add","mpids":["1"],"segment":"g-auth-missing"`, 401, "auth token doesn't match", "g-auth-missing", nil},
	{"unknown verb", harness.AuthToken, `"verb":"remove","mpids":["1"],"segment":"g-verb-bad"`, 400, `invalid verb "remove"; must be add or delete`, "g-verb-bad", nil},
	{"no verb", harness.AuthToken, `"mpids":["1"],"segment":"g-no-verb"`, 400, "must be add or delete", "g-no-verb", nil},
	{"no segment", harness.AuthToken, `"verb":"add","mpids":["1"]`, 400, "segment", "", nil},
	{"segment with a space", harness.AuthToken, `"verb":"add","mpids":["1"],"segment":"g segment space"`, 400, "segment", "", nil},
	{"objects among MPIDs", harness.AuthToken, `"verb":"add","mpids":["1",{}],"segment":"g-mpids-objects"`, 400, "mpids", "g-mpids-objects", nil},
	{"cut off", harness.AuthToken, `"verb":"add","mpids":["1"],"segment":"g-cut-body`, 400, "invalid POST body", "", nil},
}

// TestLambdasClient posts with the HTTP client of the lambda, as the lambda
// does. mParticle is told the status and the message that axios found, so every
// error must have one.
func TestLambdasClient(t *testing.T) {
	s := newSite(t, map[string]any{"journalDir": "journal"})
	p := s.Start("serve")
	p.Ready()

	type post struct {
		Authorization string `json:"authorization"`
		Body          string `json:"body"`
	}
	posts := make([]post, len(lambdaPosts))
	for i, p := range lambdaPosts {
		posts[i] = post{p.authorization, `{"apiToken":"` + harness.APIToken + `","workspaceId":"ws1","environmentId":"env1","trafficTypeId":"tt1",` + p.body + `}`}
	}
	var answers []lambdaAnswer
	runLambda(t, map[string]any{"url": "https://" + p.HTTPS + "/audiences", "posts": posts}, &answers)
	if len(answers) != len(lambdaPosts) {
		t.Fatalf("%d answers to %d posts", len(answers), len(lambdaPosts))
	}
	for i, p := range lambdaPosts {
		answers[i].check(t, p)
	}
	if code := p.Terminate(); code != 0 { // which flushes what is pending, so that nothing can arrive later
		t.Errorf("exit code %d", code)
	}
	for _, p := range lambdaPosts {
		if members := s.Members(p.segment); p.segment != "" && !slices.Equal(members, p.members) {
			t.Errorf("%s: Split has %q, not %q", p.name, members, p.members)
		}
	}
	s.Judge()
}

// lambdaAnswer is what axios makes of the relay's answer.
type lambdaAnswer struct {
	Status int             `json:"status"`
	Data   json.RawMessage `json:"data"` // a JSON string where the body was no JSON
}

func (a lambdaAnswer) check(t *testing.T, p lambdaPost) {
	t.Helper()
	if a.Status != p.status {
		t.Errorf("%s: %d %s, not %d", p.name, a.Status, a.Data, p.status)
		return
	}
	if a.Status == http.StatusOK {
		var text string
		if err := json.Unmarshal(a.Data, &text); err != nil || text != p.answer {
			t.Errorf("%s: answered %s, not %q", p.name, a.Data, p.answer)
		}
		return
	}
	var failure struct{ Message string }
	if err := json.Unmarshal(a.Data, &failure); err != nil || !strings.Contains(failure.Message, p.answer) {
		t.Errorf("%s: answered %s, no message with %q", p.name, a.Data, p.answer)
	}
}

// nodeProgram copies a directory with a program for Node.js to a temporary one, and
// installs there what it depends on.
func nodeProgram(t *testing.T, from string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	// What somebody installed beside the sources does not count.
	if err := os.RemoveAll(filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), nodePatience)
	defer cancel()
	install := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	install.Dir = dir
	if _, err := output(install); err != nil {
		t.Fatalf("install what %s needs: %v", from, err)
	}
	return dir
}

const nodePatience = 5 * time.Minute

// runNode runs a script of the program in dir, with what it is given as JSON on standard
// input.
func runNode(t *testing.T, dir, script string, given any) (printed string, err error) {
	t.Helper()
	text, err := json.Marshal(given)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), nodePatience)
	defer cancel()
	node := exec.CommandContext(ctx, "node", script)
	node.Dir, node.Stdin = dir, strings.NewReader(string(text))
	return output(node)
}

// runLambda runs axios/lambda.js.
func runLambda(t *testing.T, input, answers any) {
	t.Helper()
	printed, err := runNode(t, nodeProgram(t, "axios"), "lambda.js", input)
	if err != nil {
		t.Fatalf("run lambda.js: %v", err)
	}
	if err := json.Unmarshal([]byte(printed), answers); err != nil {
		t.Fatalf("read what lambda.js printed: %v", err)
	}
}
