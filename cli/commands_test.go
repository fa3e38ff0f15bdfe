package cli

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"audiences/logging"
)

var update = flag.Bool("update", false, "write docs/commands.md anew")

const commandsDocument = "../docs/commands.md"

// commands are all that help lists, and help, but not the shells of completion.
func commands(t *testing.T) (listed []*cobra.Command, out *bytes.Buffer) {
	t.Helper()
	out = &bytes.Buffer{}
	root := newRoot(process{stdin: strings.NewReader(""), stdout: out, stderr: logging.NewLineWriter(out)})
	for _, cmd := range root.Commands() {
		if cmd.IsAvailableCommand() || cmd.Name() == "help" {
			listed = append(listed, cmd)
			if cmd.Name() == "journal" { // the shells of completion are all alike
				listed = append(listed, cmd.Commands()...)
			}
		}
	}
	return listed, out
}

// TestCommandsDocument: docs/commands.md is what the commands say of themselves.
func TestCommandsDocument(t *testing.T) {
	listed, out := commands(t)
	var text strings.Builder
	text.WriteString("# Commands\n\nWhat `audiences COMMAND -h` says of each command; `audiences -h` lists them. Flags may stand anywhere on the line, with one dash or two. All times are UTC, with the date where it is not today's. The keys of a parked segment are pending: PARKED KEYS are those that Split refused one by one. This page is made of the program by `go test ./cli -run TestCommandsDocument -update`.\n")
	for _, cmd := range listed {
		out.Reset()
		writeHelp(cmd)
		fmt.Fprintf(&text, "\n## %s\n\n```text\n%s\n```\n", strings.TrimPrefix(cmd.CommandPath(), "audiences "), strings.TrimSpace(out.String()))
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

// others are the exit codes of commands that have not just 0, 1 and 2.
var others = map[string]string{
	"serve": "0 1 2 128", "check": "0 2", "version": "0 2", "help": "0 2", "completion": "0 2", "journal": "0 2", "reopen": "0 1 2 3",
	"where": "0 1 2 3", "replay": "0 1 2 3", "pause": "0 1 2 3", "resume": "0 1 2 3", "flush": "0 1 2 3", "retry": "0 1 2 3", "discard": "0 1 2 3", "move": "0 1 2 3",
}

// TestHelpTeaches: each command shows how it is used, by lines that it would take, and says
// what its exit codes mean.
func TestHelpTeaches(t *testing.T) {
	listed, out := commands(t)
	example := regexp.MustCompile(`(?m)^  .*\baudiences ([a-z].*?)(?: <.*|\))?$`)
	codes := regexp.MustCompile(`(?:^|[,;] )([0-9]+) `)
	for _, cmd := range listed {
		out.Reset()
		if writeHelp(cmd); !strings.Contains(out.String(), strings.TrimSpace(cmd.Long)) || cmd.Example != "" {
			t.Errorf("%s has what its help does not show", cmd.Name())
		}
		lines := example.FindAllStringSubmatch(cmd.Long, -1)
		if len(lines) == 0 {
			t.Errorf("%s has no example", cmd.Name())
		}
		for _, line := range lines {
			if err := takes(cmd, strings.Fields(line[1])); err != nil {
				t.Errorf("%s does not take its example %q: %v", cmd.Name(), line[1], err)
			}
		}
		_, text, _ := strings.Cut(cmd.Long, "\nExit codes: ")
		text, _, _ = strings.Cut(text, "\n\n")
		var told []string
		for _, code := range codes.FindAllStringSubmatch(strings.ReplaceAll(text, "\n", " "), -1) {
			told = append(told, code[1])
		}
		if want := cmp.Or(others[cmd.Name()], "0 1 2"); strings.Join(told, " ") != want {
			t.Errorf("%s tells of the exit codes %s, want %s", cmd.Name(), told, want)
		}
	}
}

// takes reports what is wrong with a command line for that command.
func takes(cmd *cobra.Command, args []string) error {
	found, rest, err := newRoot(process{stdin: strings.NewReader(""), stdout: io.Discard, stderr: logging.NewLineWriter(io.Discard)}).Find(args)
	if err == nil && found.Name() != cmd.Name() && found.Parent().Name() != cmd.Name() {
		err = fmt.Errorf("it is one of %s", found.Name())
	}
	if err != nil {
		return err
	}
	if err := found.ParseFlags(longFlags(found, rest)); err != nil {
		return err
	}
	return found.ValidateArgs(found.Flags().Args())
}
