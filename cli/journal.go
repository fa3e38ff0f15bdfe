package cli

import (
	"os"

	"github.com/prometheus/client_golang/prometheus"

	"audiences/actors"
	"audiences/audience"
	"audiences/journal/embedded"
	"audiences/logging"
	"audiences/memory"
	"audiences/splitclient"
)

// keptJournal is a journal as the service has it, of either kind.
type keptJournal interface {
	actors.Journal
	Refuse() error             // nil while changes are taken
	Admit(audience.Keys) error // the same for these keys, for which it keeps room
	Close() error
}

// openDirectory opens the journal on this machine's disk.
func (s *service) openDirectory(room memory.Allowance, registry *prometheus.Registry) error {
	opened, err := embedded.Open(embedded.Options{Dir: s.cfg.JournalDir, KeyFile: s.cfg.JournalKeyFile,
		MinFreeBytes: s.cfg.MinFreeDiskBytes, Logger: s.logger, Registerer: registry, Reasons: reasons(), Fatal: s.exit,
		ReceiptsMaxBytes: s.cfg.ReceiptsMaxBytes, ReceiptsMaxAge: s.cfg.ReceiptsMaxAge,
		CacheBytes: room.Budget.Cache, MemTableBytes: room.Budget.MemTable, OpenTables: s.files.tables})
	if err != nil {
		return err // and no journal, where opened is a nil of its type
	}
	s.journal = opened
	return nil
}

// exit ends the process: the journal cannot be written any more, so nothing can
// be made durable and there is nothing to drain. The store must not go on after
// it has reported that, hence not by way of run.
func (s *service) exit(err error) {
	s.logger.Error().Err(err).Msg("the journal cannot be written: ending at once; what was answered is in it")
	s.process.stderr.Flush(logging.LastWords)
	os.Exit(exitFailed)
}

// reasons are the texts of all reasons for which keys or segments may be parked.
func reasons() (texts []string) {
	for _, reason := range splitclient.Reasons() {
		texts = append(texts, string(reason))
	}
	return texts
}
