package cli

import (
	"cmp"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"audiences/api/admin"
)

func tokensCommand(p process) *cobra.Command {
	a := &adminClient{stdout: p.stdout}
	cmd := &cobra.Command{
		Use:   "tokens",
		Short: "list the tokens of callers, and when each was used last",
		Long: `Asks a relay that runs which tokens callers may show it, by their names (authToken,
authTokens): until when, and when a post last showed each since this relay started. Of
several nodes each tells its own. A token that nobody has shown for long can go.

  audiences tokens
` + answersAndCodes,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var list admin.TokenList
			if done, err := a.get(cmd.Context(), "tokens", nil, &list); done || err != nil {
				return err
			}
			out := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
			_, _ = fmt.Fprintln(out, "TOKEN\tUNTIL\tLAST USED\t")
			for _, t := range list.Tokens {
				_, _ = fmt.Fprintf(out, "%s\t%s\t%s\t\n", t.Name, cmp.Or(clock(t.Until), "-"), cmp.Or(clock(t.Last), "never"))
			}
			return out.Flush()
		},
	}
	a.bind(cmd)
	a.watched(p, cmd)
	return cmd
}
