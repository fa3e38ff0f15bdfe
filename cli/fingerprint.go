package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"audiences/audience"
)

func fingerprintCommand(p process) *cobra.Command {
	return &cobra.Command{
		Use:   "fingerprint",
		Short: "read an apiToken on standard input, print the tenant's fingerprint",
		Long: `Reads one line with an apiToken on standard input and prints the fingerprint by which
the tenant is known in the log, the metrics and here. It is the beginning of a SHA-256 of
the token, see docs/configuration.md. The relay is not asked.

  read -rs T && printf '%s\n' "$T" | audiences fingerprint

Exit codes: 0 it was printed, 1 standard input cannot be read, 2 the command line or the
apiToken is wrong.
`,
		Args: noSecrets,
		RunE: func(*cobra.Command, []string) error {
			line, err := lineOfInput(p.stdin)
			if err != nil {
				return fmt.Errorf("read apiToken: %w", err)
			}
			token, err := audience.ParseToken(line)
			if err != nil {
				return fmt.Errorf("%w: the apiToken %w", errUsage, err)
			}
			_, err = fmt.Fprintln(p.stdout, audience.NewTenant(token).ID)
			return err
		},
	}
}
