package cli

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"audiences/config"
)

// usualWatch is how often --watch without a value prints.
const usualWatch = 2 * time.Second

// watched has a command print again and again, where --watch is given, until it is
// interrupted. A relay that does not answer is waited for.
func (a *adminClient) watched(p process, cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.DurationVar(&a.watch, "watch", 0, "print it again and again, a `duration` apart, until Ctrl-C")
	flags.Lookup("watch").NoOptDefVal = usualWatch.String()
	once := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if a.watch == 0 {
			return once(cmd, args)
		}
		if a.watch < 0 {
			return wrong(cmd, "--watch is a length of time, such as 5s")
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		cmd.SetContext(ctx)
		for first := true; ; first = false {
			if !a.json {
				parting(a.stdout, first, a.follows)
			}
			if err := once(cmd, args); err != nil && ctx.Err() == nil {
				var r refusal
				if errors.As(err, &r) && r.status < http.StatusInternalServerError || errors.Is(err, errUsage) || errors.As(err, new(config.Faults)) {
					return err
				}
				_, _ = fmt.Fprintf(p.stderr, "audiences: %s: %v\n", time.Now().UTC().Format(time.TimeOnly), err)
			}
			select {
			case <-time.After(a.watch):
			case <-ctx.Done():
				return nil
			}
		}
	}
}

// parting divides what is printed from what was printed before: a terminal is cleared,
// elsewhere there is an empty line. Where lines follow each other there is nothing.
func parting(stdout io.Writer, first, follows bool) {
	switch {
	case follows:
	case isTerminal(stdout):
		_, _ = io.WriteString(stdout, "\x1b[H\x1b[2J")
	case !first:
		_, _ = io.WriteString(stdout, "\n")
	}
}

func isTerminal(stdout io.Writer) bool {
	out, ok := stdout.(output)
	if !ok {
		return false
	}
	info, err := out.file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
