package cli

import (
	"context"
	"slices"
	"time"

	"audiences/config"
	"audiences/journal/postgres"
)

// examineWithin bounds what a check asks of the database.
const examineWithin = 20 * time.Second

// database says that the journal is in PostgreSQL, and looks at what a start needs there.
// The directory of a journal on disk is not looked at: a start would not, either. It returns
// who holds the addresses, as journal does.
func (r *report) database(ctx context.Context, cfg config.Config) (holder int) {
	r.note("journal", "it is in "+cfg.JournalName())
	check := ""
	if key, err := sharedKey(cfg.JournalKeyFile); err != nil {
		r.fault("journal", err)
	} else {
		check = key.Check()
	}
	return r.databaseChecks(ctx, cfg, check)
}

// databaseChecks is where the database is asked.
func (r *report) databaseChecks(ctx context.Context, cfg config.Config, keyCheck string) (holder int) {
	limited, cancel := context.WithTimeout(ctx, examineWithin)
	defer cancel()
	found := postgres.Examine(limited, postgres.Examination{URL: cfg.JournalURL().Reveal(), KeyCheck: keyCheck, Lease: cfg.LeaseTime, Receipts: cfg.ReceiptsMaxAge > 0})
	for _, f := range found.Findings {
		r.found("database", f)
	}
	if !slices.Contains(found.Nodes, cfg.NodeName) || !r.sound("port", "keyFile", "keyPassword", "keyEntryPassword") {
		return 0
	}
	return atWork(ctx, cfg)
}

// found prints a finding of the database.
func (r *report) found(what string, f postgres.Finding) {
	switch f.Mark {
	case postgres.Fine:
		r.ok(what, f.Text)
	case postgres.Note:
		r.note(what, f.Text)
	case postgres.Warning:
		r.warn(what, f.Text)
	case postgres.Fault:
		r.faults++
		r.line("FAULT", what, f.Text)
	}
}

// atWork is the process of the relay that is at work with this very configuration, after the
// database has told that a node of its name is: it answers on the port with the key file's
// certificate. 0: there is none; -1: one that this process cannot see.
func atWork(ctx context.Context, cfg config.Config) (pid int) {
	if cfg.Port == 0 {
		return 0
	}
	if _, err := ping(ctx, cfg); err != nil {
		return 0
	}
	return listener(cfg.Port)
}
