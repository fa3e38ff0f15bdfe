package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"audiences/config"
)

// interval is how often a command prints: seconds, or a length of time with its unit.
type interval time.Duration

func (i *interval) Set(text string) error {
	length, err := time.ParseDuration(text)
	if _, noUnit := strconv.ParseFloat(text, 64); noUnit == nil {
		length, err = time.ParseDuration(text + "s")
	}
	if err != nil || length <= 0 {
		return errors.New("it takes seconds, or a length of time such as 500ms or 1m")
	}
	*i = interval(length)
	return nil
}

func (i *interval) String() string { return time.Duration(*i).String() }
func (i *interval) Type() string   { return "seconds" }

// usualWatch is how often --watch without a value prints, in seconds.
const usualWatch = "2"

// watched has a command print again and again, where --watch is given, until it is
// interrupted. A relay that does not answer is waited for.
func (a *adminClient) watched(p process, cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.Var(&a.watch, "watch", "print it again and again, so many `seconds` apart (or 500ms, 1m), until Ctrl-C")
	flags.Lookup("watch").NoOptDefVal, flags.Lookup("watch").DefValue = usualWatch, ""
	once := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if a.watch == 0 {
			return once(cmd, args)
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		cmd.SetContext(ctx)
		return a.again(p, cmd, func() error { return once(cmd, args) })
	}
}

// again prints what once prints, until the command's context ends. It is printed when it is
// there as a whole: a terminal shows what was before until then.
func (a *adminClient) again(p process, cmd *cobra.Command, once func() error) error {
	ctx, shown := cmd.Context(), false
	for {
		var page bytes.Buffer
		a.stdout = &page
		err := once()
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			if !a.json && !a.follows {
				part(p.stdout, !shown)
			}
			if _, err := page.WriteTo(p.stdout); err != nil {
				return err
			}
			shown = true
		case isLasting(err, shown):
			return err
		default:
			_, _ = fmt.Fprintf(p.stderr, "audiences: %s: %v\n", time.Now().UTC().Format(time.TimeOnly), err)
		}
		select {
		case <-time.After(time.Duration(a.watch)):
		case <-ctx.Done():
			return nil
		}
	}
}

// isLasting reports whether it is of no use to ask again. What was shown before may come
// back: a relay knows of no tenant or segment without keys when it has started anew.
func isLasting(err error, shown bool) bool {
	var r refusal
	if !errors.As(err, &r) {
		return errors.Is(err, errUsage) || errors.As(err, new(config.Faults))
	}
	switch r.status {
	case http.StatusTooManyRequests:
		return false
	case http.StatusNotFound:
		return !shown
	}
	return r.status < http.StatusInternalServerError
}

// part divides what is printed from what was printed before: a terminal is cleared,
// elsewhere there is an empty line.
func part(stdout io.Writer, first bool) {
	switch {
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
