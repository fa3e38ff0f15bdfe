package cli

import (
	"slices"
	"strings"
	"testing"
)

// TestEnvironmentOfASide: variables of one side take the place of those of both, with or
// without _FILE, and the other side's are not seen.
func TestEnvironmentOfASide(t *testing.T) {
	environ := strings.Fields("PATH=/bin AUDIENCES_JOURNAL_FILE=db AUDIENCES_AUTH_TOKEN=a AUDIENCES_FROM_JOURNAL= AUDIENCES_TO_AUTH_TOKEN_FILE=b AUDIENCES_TO_JOURNAL_DIR=d")
	for prefix, want := range map[string]string{
		ofSource: "AUDIENCES_JOURNAL= PATH=/bin AUDIENCES_AUTH_TOKEN=a",
		ofTarget: "AUDIENCES_AUTH_TOKEN_FILE=b AUDIENCES_JOURNAL_DIR=d PATH=/bin AUDIENCES_JOURNAL_FILE=db",
	} {
		if got := environmentOf(prefix, environ); !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("%s: %q", prefix, got)
		}
	}
}
