package cli

import (
	"errors"

	"audiences/config"
)

// errNoDatabase refuses a journal in PostgreSQL, in start and in its check.
var errNoDatabase = errors.New("open journal: this version cannot keep it in PostgreSQL yet; take journal out of the configuration, or its variable out of the environment")

// database says that the journal is in PostgreSQL, and looks at what a start needs there.
// The directory of a journal on disk is not looked at: a start would not, either.
func (r *report) database(cfg config.Config) {
	r.note("journal", "it is in "+cfg.JournalName())
	r.databaseChecks(cfg)
}

// databaseChecks is where the database is asked: its version, this user's rights, the
// schema, the clock, whether what it confirms is durable and on how many machines, and
// how long a question takes. Nothing of it is asked yet, and nothing may be called ok
// here that was not: the one line foretells what a start does.
func (r *report) databaseChecks(config.Config) {
	r.fault("journal", errNoDatabase)
}
