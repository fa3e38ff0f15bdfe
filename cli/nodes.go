package cli

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"audiences/api/admin"
)

func nodesCommand(p process) *cobra.Command {
	a := &adminClient{stdout: p.stdout}
	cmd := &cobra.Command{
		Use:   "nodes",
		Short: "list the nodes that share the journal",
		Long: `Asks a relay that runs which nodes share its journal: the state of each, and for how
many of the 256 slots of tenants it delivers. Any node answers for all. One with a
journal of its own has nobody to share it with.

  audiences nodes
` + answersAndCodes,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var list admin.NodeList
			if done, err := a.get(cmd.Context(), "nodes", nil, &list); done || err != nil {
				return err
			}
			if len(list.Nodes) == 0 {
				_, err := fmt.Fprintln(a.stdout, "This relay is alone: its journal is its own.")
				return err
			}
			out := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
			_, _ = fmt.Fprintln(out, "NODE\tSTATE\tSLOTS\tLEASE ENDS\tCALLS WANTED\tEGRESS\tVERSION\t")
			for _, n := range list.Nodes {
				name := n.Name
				if n.Self {
					name += " (this one)"
				}
				_, _ = fmt.Fprintf(out, "%s\t%s\t%d\t%s\t%.1f/s\t%s\t%s\t\n", name, n.State, n.Slots, clock(n.Expires), n.Demand, n.Egress, n.Version)
			}
			return out.Flush()
		},
	}
	a.bind(cmd)
	a.watched(p, cmd)
	return cmd
}
