package cli

import (
	"fmt"
	"syscall"

	"github.com/rs/zerolog"

	"audiences/config"
)

// descriptors says how many files each part of the relay may have open, so that
// none takes what another cannot do without: a store that cannot open its next
// file ends the process.
type descriptors struct {
	limit       int // of the process
	tables      int // of the journal's store, kept open for reading
	calls       int // connections to Split
	admin       int // connections to the admin address
	connections int // connections to the HTTPS port, the only ones that strangers choose the number of
}

const (
	// fixedFiles is for what everybody needs and nobody counts: some 20 for the
	// standard streams, the runtime, two ports, and the journal's locks, logs and
	// directories; the rest for the tables that it writes, name look-ups, a second
	// dialling to Split's other address, and the key file.
	fixedFiles = 48
	// leastFiles leaves every part a few.
	leastFiles = 96
	mostFiles  = 1 << 20 // more is never needed, and "unlimited" is no number

	mostTables      = 190
	usualCalls      = 128 // with room for connections that are idle
	mostAdmin       = 64
	mostConnections = 4096 // as many as posts may be in flight by default
	leastComfort    = 1000 // a lambda's fleet; fewer are worth a warning
)

// fileLimit is how many files the process may have open. Go's runtime has raised
// the soft limit to the hard one before main began.
func fileLimit() (int, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("read limit of open files: %w", err)
	}
	return int(min(limit.Cur, mostFiles)), nil
}

// shareDescriptors divides the limit. What the configuration asks for is lowered
// to what there is.
func shareDescriptors(limit int, cfg config.Config) (descriptors, error) {
	if limit < leastFiles {
		return descriptors{}, fmt.Errorf("divide open files: the process may open %d, and needs %d at least: raise ulimit -n, LimitNOFILE or the container's nofile", limit, leastFiles)
	}
	rest := limit - fixedFiles
	d := descriptors{
		limit:  limit,
		tables: min(max(rest/4, 16), mostTables),
		calls:  min(rest/4, max(usualCalls, cfg.MaxConcurrentCalls)),
		admin:  min(rest/8, mostAdmin),
	}
	wanted := mostConnections
	if cfg.MaxConnections > 0 {
		wanted = cfg.MaxConnections
	}
	d.connections = min(rest-d.tables-d.calls-d.admin, wanted)
	return d, nil
}

// divideFiles divides the limit that there is.
func divideFiles(cfg config.Config, logger zerolog.Logger) (descriptors, error) {
	limit, err := fileLimit()
	if err != nil {
		return descriptors{}, err
	}
	d, err := shareDescriptors(limit, cfg)
	if err != nil {
		return descriptors{}, err
	}
	for _, warning := range d.warnings(cfg) {
		logger.Warn().Msg(warning)
	}
	return d, nil
}

// openFiles reports what a start from this very shell would have.
func (r *report) openFiles(cfg config.Config) {
	limit, err := fileLimit()
	if err != nil {
		r.fault("open files", err)
		return
	}
	d, err := shareDescriptors(limit, cfg)
	if err != nil {
		r.fault("open files", err)
		return
	}
	r.ok("open files", fmt.Sprintf("%d, of which %d for connections", limit, d.connections))
	for _, warning := range d.warnings(cfg) {
		r.warn("open files", warning)
	}
}

// warnings are what the configuration asked for and does not get.
func (d descriptors) warnings(cfg config.Config) (lines []string) {
	lower := func(key string, wanted, got int) {
		if got < wanted {
			lines = append(lines, fmt.Sprintf("%s is %d in place of %d: the process may open %d files; raise ulimit -n", key, got, wanted, d.limit))
		}
	}
	lower("maxConcurrentCalls", cfg.MaxConcurrentCalls, d.calls)
	lower("maxConnections", cfg.MaxConnections, d.connections)
	if cfg.MaxConnections == 0 && d.connections < leastComfort {
		lines = append(lines, fmt.Sprintf("there can be %d connections to the HTTPS port at once, and many callers may need %d: the process may open %d files; raise ulimit -n", d.connections, leastComfort, d.limit))
	}
	return lines
}
