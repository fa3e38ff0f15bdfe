package cli

import (
	"testing"

	"audiences/config"
)

// TestServedRecord: what is served is noted beside a journal on disk. With the journal in
// a database nothing is written to a directory that the configuration does not name.
func TestServedRecord(t *testing.T) {
	onDisk := config.Config{JournalDir: "/j"}
	inDatabase := config.Config{JournalDir: "/j", Journal: config.NewSecret("postgres://h/d")}
	if got := servedRecord(onDisk); got != "/j/certificates" {
		t.Errorf("on disk: %q", got)
	}
	if got := servedRecord(inDatabase); got != "" {
		t.Errorf("in a database: %q", got)
	}
}
