package cli

import (
	"errors"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"audiences/status"
)

// These are flags that take less than any text or number. What is wrong with a value is
// told before the relay is asked.

// stateValue is a state.
type stateValue status.State

func (s *stateValue) Set(text string) error {
	if !slices.Contains(status.States(), status.State(text)) {
		return errors.New("it is one of " + stateNames())
	}
	*s = stateValue(text)
	return nil
}

func (s *stateValue) String() string { return string(*s) }
func (s *stateValue) Type() string   { return "string" }

// limitValue is how many rows a list may have.
type limitValue int

func (l *limitValue) Set(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > mostRows {
		return errors.New("it is a number from 1 to " + status.Number(mostRows))
	}
	*l = limitValue(n)
	return nil
}

func (l *limitValue) String() string { return strconv.Itoa(int(*l)) }
func (l *limitValue) Type() string   { return "int" }

// mostRows is how many rows the relay tells at once.
const mostRows = 1000

// textValue is a text that has something in it: the variable of a script that holds nothing
// would make a filter that lets everything through, or a pause without an end.
type textValue string

func (t *textValue) Set(text string) error {
	if text == "" {
		return errors.New("it is empty")
	}
	*t = textValue(text)
	return nil
}

func (t *textValue) String() string { return string(*t) }
func (t *textValue) Type() string   { return "string" }

// noSegmentFlags refuses the flags of bindSegment where no segment is named.
func noSegmentFlags(cmd *cobra.Command) error {
	if cmd.Flags().Changed("workspace") || cmd.Flags().Changed("traffic-type") {
		return wrong(cmd, "--workspace and --traffic-type need ENVIRONMENT/SEGMENT")
	}
	return nil
}
