package cli

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"audiences/config"
	"audiences/logging"
)

// harmlessFlags are all flags that there are. None takes a secret, which everybody on the
// machine could read: who adds one here has thought of that. token-file and expect-token-file are paths.
var harmlessFlags = strings.Fields("address admin-port before ca config cursor days dry-run expect expect-token-file flush for from hosts insecure json kill-every limit list no-descriptions nodes out port rate reveal scenario search segment split-only split-port state tenant tenants to token-file traffic traffic-type until version watch workspace yes")

// TestNoSecretIsAFlag: secrets come from files, from standard input and from the environment.
func TestNoSecretIsAFlag(t *testing.T) {
	var out strings.Builder
	root := newRoot(process{stdin: strings.NewReader(""), stdout: &out, stderr: logging.NewLineWriter(&out)})
	var found []string
	var look func(*cobra.Command)
	look = func(cmd *cobra.Command) {
		for _, flags := range []*pflag.FlagSet{cmd.Flags(), cmd.PersistentFlags()} {
			flags.VisitAll(func(f *pflag.Flag) { found = append(found, f.Name) })
		}
		for _, sub := range cmd.Commands() {
			look(sub)
		}
	}
	look(root)
	slices.Sort(found)
	if found = slices.Compact(found); !slices.Equal(found, harmlessFlags) {
		t.Errorf("the flags are\n%q, those that are known to take no secret\n%q", found, harmlessFlags)
	}
	for _, key := range config.Keys() {
		if key.FileEnv != "" && slices.Contains(found, key.Name) {
			t.Errorf("the secret %s is a flag", key.Name)
		}
	}
}

// TestChildrenGetNoSecrets: a node of the sandbox has none of the variables that are meant for
// another relay.
func TestChildrenGetNoSecrets(t *testing.T) {
	environ := []string{"HOME=/h", "AUDIENCES_ADMIN_TOKEN=sekrit"}
	for _, key := range config.Keys() {
		environ = append(environ, key.Env+"=sekrit")
		if key.FileEnv != "" {
			environ = append(environ, key.FileEnv+"=sekrit")
		}
	}
	given := nodeEnvironment(environ, "n", "127.0.0.1:1")
	if want := []string{"HOME=/h", "AUDIENCES_NODE_NAME=n", "AUDIENCES_ADMIN_ADDRESS=127.0.0.1:1"}; !slices.Equal(given, want) {
		t.Errorf("%q", given)
	}
}
