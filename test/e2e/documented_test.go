//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"audiences/sandbox"
	"audiences/test/harness"
)

// TestDocumentedCommands carries out every command that the README and the documents tell a
// reader to type, in their order, in a copy of the project: those of the blocks, and the
// examples of the relay's own commands. A relay with the usual addresses runs beside them.
func TestDocumentedCommands(t *testing.T) {
	w := newReader(t)
	pages, err := harness.Documents()
	if err != nil {
		t.Fatal(err)
	}
	done, elsewhere := 0, 0
	for _, page := range pages {
		blocks, err := harness.BlocksOf(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range blocks {
			switch commands := b.Commands(); {
			case commands == "":
			case b.Elsewhere != "":
				elsewhere++
				t.Logf("%s:%d is for another host: %s", b.Page, b.Line, b.Elsewhere)
			case strings.Contains(b.Text, "\n^C\n"):
				done++
				w.untilCtrlC(b)
			default:
				done++
				if out, err := w.bash(commands); err != nil {
					t.Errorf("%s:%d: %v\n%s", b.Page, b.Line, err, out)
				}
			}
		}
	}
	t.Logf("%d blocks were carried out, %d are for other hosts", done, elsewhere)
	w.examples()
}

// reader is somebody who types what the documents say.
type reader struct {
	*testing.T
	dir string
	env []string
}

// newReader makes a copy of the project, starts a relay in it with its own configuration, and
// has it know the tenants and segments of which the documents speak.
func newReader(t *testing.T) *reader {
	for _, port := range []string{"5010", "3010"} {
		listener, err := net.Listen("tcp", ":"+port)
		if err != nil {
			t.Fatalf("the documents speak of port %s: %v", port, err)
		}
		_ = listener.Close()
	}
	w := &reader{T: t, dir: filepath.Join(t.TempDir(), "audiences")}
	if _, err := output(exec.CommandContext(t.Context(), "cp", "-r", harness.Project, w.dir)); err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := harness.Build(t.Context(), filepath.Join(bin, "audiences")); err != nil {
		t.Fatal(err)
	}
	w.write(filepath.Join(bin, ".curlrc"), "fail-with-body\nshow-error\n") // a refusal is a failure
	w.env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "CURL_HOME="+bin)

	split, err := sandbox.Start(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = split.Close() })
	split.Fault(sandbox.Rule{Kind: sandbox.Poison, Key: "400"})
	split.Fault(sandbox.Rule{Kind: sandbox.Forbidden, Segment: "old-buyers"})
	split.Fault(sandbox.Rule{Kind: sandbox.Unauthorized, Token: "old"})
	short := tokenLike(t, "7f3a")
	names, err := json.Marshal(map[string]string{harness.Fingerprint(t, "acme"): "acme-prod", harness.Fingerprint(t, "old"): "acme-old"})
	if err != nil {
		t.Fatal(err)
	}
	w.write("key", "8735621876001\n")
	w.write("key.json", `{"key": "8735621876001", "tenant": "acme-prod"}`)
	w.write("token", "change-me")
	w.write("posts.ndjson", `{"apiToken":"acme","environmentId":"env1","verb":"add","mpids":["5"],"segment":"buyers"}`+"\n")
	serve := exec.Command(filepath.Join(bin, "audiences"), "audiences.config")
	serve.Dir = w.dir
	serve.Env = append(w.env, "AUDIENCES_TENANT_NAMES="+string(names), "AUDIENCES_SPLIT_API_URL="+split.URL, "AUDIENCES_SEGMENTS_FLUSH_RATE_IN_SECONDS=1")
	start(t, "relay", serve, func() bool { return w.works("curl -s http://127.0.0.1:3010/readyz") })
	if out, err := w.bash("openssl s_client -connect 127.0.0.1:5010 < /dev/null | openssl x509 > cert.pem"); err != nil {
		t.Fatal(err, out)
	}
	for _, p := range []struct{ token, segment, keys string }{
		{"acme", "buyers", `"8735621876001","400"`}, {"acme", "old-buyers", `"1"`}, {"acme", "Newsletter", `"1"`}, {"old", "buyers", `"2"`}, {short, "buyers", `"3","400"`}, {short, "Newsletter", `"4"`},
	} {
		if out, err := w.bash(fmt.Sprintf(`curl -sk -H 'Authorization: change-me' https://127.0.0.1:5010/audiences -d '{"apiToken":%q,"environmentId":"env1","verb":"add","mpids":[%s],"segment":%q}'`, p.token, p.keys, p.segment)); err != nil {
			t.Fatal(err, out)
		}
	}
	harness.Eventually(t, time.Minute, "keys are delivered, and some are parked", func() bool {
		return len(split.Members(short, "env1", "buyers")) == 1 && w.works("audiences segments --state parked | grep old-buyers")
	})
	return w
}

// tokenLike is an apiToken whose tenant's fingerprint begins so.
func tokenLike(t *testing.T, begin string) string {
	for i := 0; ; i++ {
		if token := fmt.Sprint("token-", i); strings.HasPrefix(harness.Fingerprint(t, token), begin) {
			return token
		}
	}
}

func (w *reader) write(name, text string) {
	w.Helper()
	if !filepath.IsAbs(name) {
		name = filepath.Join(w.dir, name)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		w.Fatal(err)
	}
}

// script is a bash that ends at the first command that fails.
func (w *reader) script(ctx context.Context, commands string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", commands)
	cmd.Dir, cmd.Env = w.dir, w.env
	// A server that a command started ends with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd
}

func (w *reader) bash(commands string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	out, err := w.script(ctx, commands).CombinedOutput()
	return string(out), err
}

func (w *reader) works(commands string) bool {
	_, err := w.bash(commands)
	return err == nil
}

// untilCtrlC types a command that goes on until somebody ends it. Meanwhile it types what the
// command says is to be pasted. What the command says in the end has to be what is documented
// but for its numbers.
func (w *reader) untilCtrlC(b harness.Block) {
	w.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	printed := filepath.Join(w.TempDir(), "printed")
	file, err := os.Create(printed)
	if err != nil {
		w.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	cmd := w.script(ctx, b.Commands())
	cmd.Stdout, cmd.Stderr = file, file
	if err := cmd.Start(); err != nil {
		w.Fatal(err)
	}
	said := func() string {
		text, err := os.ReadFile(printed)
		if err != nil {
			w.Fatal(err)
		}
		return string(text)
	}
	harness.Eventually(w.T, 4*time.Minute, "it says how to stop it", func() bool { return strings.Contains(said(), "Ctrl-C stops.") })
	pasted := strings.Join(regexp.MustCompile(`(?m)^  ( *(?:curl|-d) .*)$`).FindAllString(said(), -1), "\n")
	if out, err := w.bash(pasted); err != nil || !strings.Contains(out, "MPIDs add") {
		w.Errorf("%s:%d: pasted %s\n%v\n%s", b.Page, b.Line, pasted, err, out)
	}
	harness.Eventually(w.T, time.Minute, "keys flow", func() bool { return strings.Contains(said(), "keys delivered in") })
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)
	_ = cmd.Wait() // make says that it was interrupted
	_, documented, _ := strings.Cut(b.Text, "\n^C\n")
	for line := range strings.Lines(documented) {
		what, _, _ := strings.Cut(line, "  ")
		if !strings.Contains(said(), "\n"+what+"  ") {
			w.Errorf("%s:%d: it does not say %q in the end:\n%s", b.Page, b.Line, what, said())
		}
	}
	if text := said(); !strings.Contains(text, " 0 wrong") || !regexp.MustCompile(`promises broken +0\n`).MatchString(text) {
		w.Errorf("%s:%d:\n%s", b.Page, b.Line, text)
	}
}

// notHere are examples that need another host, or what another test has.
var notHere = map[string]string{
	"audiences serve audiences.config":                "the relay beside this test is one",
	"docker exec audiences /audiences status":         "a container; TestContainerLosesNothing",
	"audiences status --address 10.0.0.7:3010 --json": "a relay on another host",
	"audiences replay posts.ndjson --to https://new:5010 --expect https://old:5010 --token-file token --insecure": "two servers; TestReplayCompares",
	"audiences nodes": "several nodes; TestAnyNodeAnswers",
	"audiences journal move audiences.config --to cluster.config":        "a stopped relay and a database; TestJournalMove",
	"audiences journal move cluster.config --to audiences.config --list": "the same",
	"audiences journal reopen audiences.config":                          "the same",
	"audiences sandbox --nodes 3 --kill-every 10s":                       "an account that is not root's; TestSandboxKills",
	"audiences sandbox --traffic 200 --port 5010 --admin-port 3010":      "the ports of the relay beside this test; TestSandbox",
}

// examples carries out those of the relay's commands. One that watches, or serves, is ended
// after some seconds. Exit code 3 says that there was nothing to do.
func (w *reader) examples() {
	all, err := harness.Examples()
	if err != nil {
		w.Fatal(err)
	}
	done, elsewhere := 0, map[string]bool{}
	for _, command := range all {
		if _, other := notHere[command]; other {
			elsewhere[command] = true
			continue
		}
		done++
		limited := command
		if strings.Contains(command, "--watch") || strings.HasPrefix(command, "audiences sandbox") {
			limited = "timeout --signal INT --preserve-status 5 " + command + " || test $? = 130"
		}
		out, err := w.bash(strings.ReplaceAll(limited, "audiences hash-password", "echo 'correct horse battery' | audiences hash-password"))
		var exit *exec.ExitError
		if nothing := errors.As(err, &exit) && exit.ExitCode() == 3; err != nil && !nothing {
			w.Errorf("%s: %v\n%s", command, err, out)
		}
	}
	w.Logf("%d examples were carried out, %d are for other hosts", done, len(elsewhere))
	if done < 30 || len(elsewhere) != len(notHere) {
		w.Errorf("%d examples were carried out; %d are for other hosts, and the test knows of %d", done, len(elsewhere), len(notHere))
	}
}
