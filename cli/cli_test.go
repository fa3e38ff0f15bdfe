package cli

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestLongFlags: flags that are known get their second dash; their values, what is
// unknown and what comes after two dashes stay as they are.
func TestLongFlags(t *testing.T) {
	for given, want := range map[string]string{
		"make -out x":             "make --out x",
		"make -out=x --days 3":    "make --out=x --days 3",
		"make x -out y":           "make x --out y",
		"make -out -days -days 3": "make --out -days --days 3",
		"make -days -1":           "make --days -1",
		"make -dry -out x":        "make --dry --out x",
		"make -dry=false y":       "make --dry=false y",
		"make -help":              "make --help",
		"make -h":                 "make -h",
		"make - x":                "make - x",
		"make -other -out x":      "make -other --out x",
		"make -- -out x":          "make -- -out x",
		"make -out":               "make --out",
		"make -873 -out x":        "make --out x -- -873",
		"make -873 -- -out x":     "make -- -873 -out x",
	} {
		cmd := &cobra.Command{Use: "make"}
		cmd.Flags().String("out", "", "")
		cmd.Flags().Int("days", 0, "")
		cmd.Flags().Bool("dry", false, "")
		args := strings.Fields(given)
		if got := strings.Join(longFlags(cmd, args), " "); got != want {
			t.Errorf("%q: %q, want %q", given, got, want)
		}
		if !slices.Equal(args, strings.Fields(given)) {
			t.Errorf("%q became %q", given, args)
		}
	}
}
