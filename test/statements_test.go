package test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"audiences/audience"
	"audiences/sandbox"
	"audiences/test/harness"
)

// TestEveryCommandExplainsItself: the usage text promises it. An answer to a
// question goes to standard output and is no error.
func TestEveryCommandExplainsItself(t *testing.T) {
	t.Parallel()
	_, usage, _ := harness.Run(t, nil, "help")
	commands := regexp.MustCompile(`(?m)^  audiences \[?([a-z-]+)`).FindAllStringSubmatch(usage, -1)
	if len(commands) < 6 {
		t.Fatalf("%q in\n%s", commands, usage)
	}
	for _, command := range commands {
		for _, args := range [][]string{{command[1], "-h"}, {command[1], "--help"}, {"help", command[1]}, {command[1], "x", "-help"}} {
			code, stdout, stderr := harness.Run(t, nil, args...)
			if code != exitDone || stderr != "" || !strings.Contains(stdout, "audiences ") || len(stdout) < 80 {
				t.Errorf("%q: exit code %d\n%s%s", args, code, stdout, stderr)
			}
		}
	}
	if _, stdout, _ := harness.Run(t, nil, "keygen", "-h"); !strings.Contains(stdout, "-days") || !strings.Contains(stdout, "3650") {
		t.Errorf("keygen does not tell its flags:\n%s", stdout)
	}
	if code, _, _ := harness.Run(t, nil, "help", "nonsense"); code != exitWrong {
		t.Errorf("help for what does not exist: exit code %d", code)
	}
}

// TestVersion: the binary says what it was built from, in all the places that the
// documents name, and the recipes that build it say so to the linker.
func TestVersion(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"version"}, {"--version"}, {"-version"}} {
		code, stdout, stderr := harness.Run(t, nil, args...)
		if code != exitDone || !strings.Contains(stdout, builtVersion) || !strings.Contains(stdout, builtRevision) || stderr != "" {
			t.Errorf("%q: exit code %d, %s%s", args, code, stdout, stderr)
		}
	}
	if code, _, _ := harness.Run(t, nil, "version", "x"); code != exitWrong {
		t.Errorf("exit code %d", code)
	}
	p := harness.NewSite(t, sandbox.Options{}, nil).Start()
	if !logged(p, "version", builtVersion) || !logged(p, "revision", builtRevision) {
		t.Errorf("the log of a start does not tell the version:\n%s", p.Log())
	}
	a, err := p.AdminGet("/metrics")
	if err != nil || !regexp.MustCompile(`(?m)^audiences_build_info\{goversion="go[^"]+",revision="`+builtRevision+`",version="`+regexp.QuoteMeta(builtVersion)+`"\} 1$`).MatchString(a.Body) {
		t.Errorf("no audiences_build_info, %v", err)
	}
	for file, says := range map[string][]string{
		"Makefile":   {"-pgo=audiences.pgo", "-X main.version=$(VERSION)", "-X main.revision=$(REVISION)", "--build-arg VERSION=$(VERSION)"},
		"Dockerfile": {"-pgo=audiences.pgo", "-X main.version=$VERSION", "-X main.revision=$REVISION", "-X audiences/config.defaultJournalDir=/var/lib/audiences", `org.opencontainers.image.version="$VERSION"`},
	} {
		text := document(t, file)
		for _, words := range says {
			if !strings.Contains(text, words) {
				t.Errorf("%s does not have %s", file, words)
			}
		}
	}
}

// TestJournalOfTheImage: a binary that was told where its journal is by default, as the
// image's is, keeps it there unless the configuration says otherwise.
func TestJournalOfTheImage(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{}, map[string]any{"journalDir": nil})
	for _, c := range []struct {
		env  []string
		want string
	}{
		{nil, builtJournal},
		{[]string{"AUDIENCES_JOURNAL_DIR=another"}, "another"},
	} {
		code, stdout, stderr := harness.Run(t, c.env, "check", s.Config())
		if code != exitDone || !strings.Contains(stdout, filepath.Join(s.Dir, c.want)) {
			t.Errorf("with %q: exit code %d, no word of %s in\n%s%s", c.env, code, c.want, stdout, stderr)
		}
	}
}

// TestFingerprintIsMadeAsDocumented: who has a token can find its lines in the log.
func TestFingerprintIsMadeAsDocumented(t *testing.T) {
	t.Parallel()
	command := regexp.MustCompile(`(?m)^printf .*$`).FindString(document(t, "docs/adr/002-tenant-is-token.md"))
	if command == "" {
		t.Fatal("the decision has no command")
	}
	ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
	defer cancel()
	for _, shell := range []string{"sh", "bash"} {
		cmd := exec.CommandContext(ctx, shell, "-c", command)
		cmd.Env = append(os.Environ(), "TOKEN="+harness.APIToken)
		made, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		token, err := audience.ParseToken(harness.APIToken)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := strings.TrimSpace(string(made)), audience.NewTenant(token).ID.String(); got != want {
			t.Errorf("%s: %s, want %s", shell, got, want)
		}
	}
}

// TestRunbookQuotesTheProgram: what the runbook has an operator look for or type
// stands in the program. It holds the document against the code, not the code
// against the document: who changes a message changes it in both.
func TestRunbookQuotesTheProgram(t *testing.T) {
	t.Parallel()
	_, help, _ := harness.Run(t, nil, "help") // the lines of commands, which the program puts together
	sources := sourceText(t) + help
	quoted := 0
	for line := range strings.Lines(document(t, "docs/runbook.md")) {
		if !strings.Contains(line, "**You see**") && !strings.Contains(line, "the log says") && !strings.HasPrefix(line, "| ") {
			continue
		}
		for _, quote := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(line, -1) {
			for part := range strings.SplitSeq(quote[1], "...") {
				part = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(part), "audiences: "))
				if strings.Count(part, " ") < 2 || strings.HasPrefix(part, "curl ") || slices.Contains(fromElsewhere, part) {
					continue
				}
				quoted++
				if !strings.Contains(sources, part) {
					t.Errorf("nothing in the program says %q", part)
				}
			}
		}
	}
	if quoted < 15 {
		t.Errorf("only %d quotations were found", quoted)
	}
}

// TestNamedTestsExist: a guarantee names the tests that keep it, in all documents.
func TestNamedTestsExist(t *testing.T) {
	t.Parallel()
	there := map[string]bool{}
	err := filepath.WalkDir(harness.Project, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, name := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllStringSubmatch(string(text), -1) {
			there[name[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, least := range map[string]int{"README.md": 50, "docs/threat-model.md": 50, "docs/cluster.md": 20, "docs/configuration.md": 3} {
		named := regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(document(t, name), -1)
		if len(named) < least {
			t.Errorf("%s: only %d tests are named", name, len(named))
		}
		for _, test := range named {
			if !there[test[1]] {
				t.Errorf("%s: there is no %s", name, test[1])
			}
		}
	}
}

// fromElsewhere are quotations of the operating system, and what describes a form.
var fromElsewhere = []string{"no space left on device", "address already in use", "tenant:workspace:environment:segment:verb => count"}

// sourceText is the text of all Go files that are no tests.
func sourceText(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(harness.Project, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

func document(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(harness.Project, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestLinksLead: a document that another one points to is there, and so is the
// heading.
func TestLinksLead(t *testing.T) {
	t.Parallel()
	documents, err := filepath.Glob(filepath.Join(harness.Project, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	decisions, err := filepath.Glob(filepath.Join(harness.Project, "docs", "adr", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	documents = append(documents, decisions...)
	for _, name := range []string{"README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md", "deploy/README.md"} {
		documents = append(documents, filepath.Join(harness.Project, name))
	}
	for _, from := range documents {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(link[1], "://") {
				continue
			}
			file, heading, _ := strings.Cut(link[1], "#")
			to := from
			if file != "" {
				to = filepath.Join(filepath.Dir(from), file)
			}
			target, err := os.ReadFile(to)
			if info, statErr := os.Stat(to); statErr == nil && info.IsDir() {
				err = nil
			}
			if err != nil || heading != "" && !slices.Contains(headings(string(target)), heading) {
				t.Errorf("%s: the link to %s leads nowhere", from, link[1])
			}
		}
	}
}

// headings are the names by which links reach the headings of a document.
func headings(text string) (names []string) {
	for line := range strings.Lines(text) {
		if title := strings.TrimLeft(line, "#"); title != line {
			title = strings.ToLower(strings.TrimSpace(title))
			title = regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(title, "")
			names = append(names, strings.ReplaceAll(title, " ", "-"))
		}
	}
	return names
}

// TestParkedIsToldByName: the same segment in two environments is two segments, and
// the log tells them apart.
func TestParkedIsToldByName(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{}, nil)
	s.Split.Fault(sandbox.Rule{Kind: sandbox.Forbidden, Segment: "sTwice"})
	p := s.Start()
	for _, env := range []string{"envOne", "envTwo"} {
		p.MustPost(harness.Change{Environment: env, Segment: "sTwice", Keys: []string{"1"}})
		harness.Eventually(t, harness.Patience, fmt.Sprint("the log names ", env), func() bool { return logged(p, "environment", env) && logged(p, "segment", "sTwice") })
	}
}

// TestBlocksOfDocuments: each block of a document has a language that tells whether it is to be
// carried out, and what cannot be carried out everywhere says why. `make e2e` carries out the
// others (TestDocumentedCommands).
func TestBlocksOfDocuments(t *testing.T) {
	t.Parallel()
	pages, err := harness.Documents()
	if err != nil {
		t.Fatal(err)
	}
	here, elsewhere := 0, 0
	for _, page := range pages {
		blocks, err := harness.BlocksOf(page)
		if err != nil {
			t.Error(err)
		}
		for _, b := range blocks {
			switch {
			case b.Commands() == "":
			case b.Elsewhere != "":
				elsewhere++
			default:
				here++
			}
		}
	}
	t.Logf("%d blocks of commands are carried out, %d are for other hosts", here, elsewhere)
	if here < 8 {
		t.Error("blocks of commands are missing")
	}
}
