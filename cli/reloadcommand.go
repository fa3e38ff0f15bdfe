package cli

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"audiences/status"
)

func reloadCommand(p process) *cobra.Command {
	a := &adminClient{stdout: p.stdout}
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "have the relay read its configuration again",
		Long: `Has a relay that runs read its configuration again, as SIGHUP does, and says which keys
have other values: those that count from now on, and those that need a restart. With a
fault in it nothing is taken, and the fault is told. The environment stays the one that
the relay was started with; files that its variables name are read again. Of several
nodes each is asked for itself. docs/configuration.md tells which keys need no restart.

  audiences reload
` + answersAndCodes,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var came status.Reload
			if done, err := a.ask(cmd.Context(), http.MethodPost, "reload", nil, &came); done || err != nil {
				return err
			}
			_, err := fmt.Fprintf(a.stdout, "Taken: %s\nNeeds a restart: %s\n", listed(came.Taken), listed(came.NeedRestart))
			for _, warning := range came.Warnings {
				_, _ = fmt.Fprintf(a.stdout, "Warning: %s\n", warning)
			}
			return err
		},
	}
	a.bind(cmd)
	return cmd
}

func listed(keys []string) string { return cmp.Or(strings.Join(keys, ", "), "-") }
