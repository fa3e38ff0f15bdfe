package cli

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"audiences/logging"
)

var update = flag.Bool("update", false, "write docs/commands.md anew")

const commandsDocument = "../docs/commands.md"

// commands are all that help lists, but for the shells of completion.
func commands(t *testing.T) (root *cobra.Command, listed []*cobra.Command, out *bytes.Buffer) {
	t.Helper()
	out = &bytes.Buffer{}
	root = newRoot(process{stdin: strings.NewReader(""), stdout: out, stderr: logging.NewLineWriter(out)})
	for _, cmd := range root.Commands() {
		if cmd.IsAvailableCommand() && cmd.Name() != "help" {
			listed = append(listed, cmd)
		}
	}
	return root, listed, out
}

// TestCommandsDocument: docs/commands.md is what the commands say of themselves.
func TestCommandsDocument(t *testing.T) {
	root, listed, out := commands(t)
	var text strings.Builder
	text.WriteString("# Commands\n\nWhat `audiences COMMAND -h` says of each command; `audiences -h` lists them. Flags may stand anywhere on the line, with one dash or two. This page is made of the program by `go test ./cli -run TestCommandsDocument -update`.\n")
	for _, cmd := range listed {
		out.Reset()
		writeHelp(cmd)
		fmt.Fprintf(&text, "\n## %s\n\n```\n%s\n```\n", cmd.Name(), strings.TrimSpace(strings.ReplaceAll(out.String(), root.Name()+" completion bash", "audiences completion bash")))
	}
	if *update {
		if err := os.WriteFile(commandsDocument, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	written, err := os.ReadFile(commandsDocument)
	if err != nil || string(written) != text.String() {
		t.Errorf("%s is not what the commands say: go test ./cli -run TestCommandsDocument -update (%v)", commandsDocument, err)
	}
}

// TestHelpTeaches: each operator's command shows how it is used, and says what its exit
// codes mean.
func TestHelpTeaches(t *testing.T) {
	_, listed, _ := commands(t)
	for _, cmd := range listed {
		if cmd.Flags().Lookup("address") == nil {
			continue
		}
		if !regexp.MustCompile(`(?m)^  audiences ` + cmd.Name() + `\b`).MatchString(cmd.Long) {
			t.Errorf("%s has no example", cmd.Name())
		}
		for _, code := range []string{"Exit codes:", "0 ", "1 ", "2 "} {
			if !strings.Contains(cmd.Long, code) {
				t.Errorf("%s does not say what exit code %s means", cmd.Name(), code)
			}
		}
	}
}
