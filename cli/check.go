package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"audiences/api/keyfile"
	"audiences/config"
	"audiences/journal/embedded"
	"audiences/memory"
)

// errFaults ends a check that has printed what it found.
var errFaults = errors.New("the relay would not start with this")

func checkCommand(p process) *cobra.Command {
	return &cobra.Command{
		Use:   "check CONFIG",
		Short: "tell whether the relay would start, and what would hinder it",
		Long: `Tells whether the relay would start with a configuration: its keys, the key file
with its password and dates, the journal with its key, and both addresses. Of a
journal in PostgreSQL it asks the database what a start needs of it, whether what it
confirms stays, also at a failover, and how quick it is. It starts nothing and
changes nothing, and may be used while the relay runs.

One line for each thing looked at: ok, note, WARNING (it would start, but look at
this), FAULT (it would not start).

  audiences check audiences.config

Exit codes: 0 without a FAULT, 2 with one.
`,
		Args: configuration,
		RunE: func(cmd *cobra.Command, args []string) error { return check(cmd.Context(), args[0], p.stdout) },
	}
}

// check looks at all that the relay needs for its start, without starting it, and
// changes nothing. It may be used beside a relay that runs. Faults of the
// configuration do not keep it from looking at what has none.
func check(ctx context.Context, path string, stdout io.Writer) error {
	cfg, err := config.LoadToServe(path, os.Environ())
	r := &report{out: stdout}
	if errors.As(err, &r.wrong) {
		r.fault("configuration", errors.New("it has faults; they are listed at the end"))
	} else {
		r.ok("configuration", path)
	}
	for _, warning := range cfg.Warnings {
		r.warn("configuration", warning)
	}
	r.memory(cfg)
	r.openFiles(cfg)
	if r.sound("keyFile", "moreKeyFiles", "keyPassword", "keyEntryPassword") {
		r.keyFile(cfg, cfg.KeyFile)
		for _, path := range cfg.MoreKeyFiles {
			r.keyFile(cfg, path)
		}
	}
	if r.sound("clientCaFile") {
		r.clientAuthorities(cfg)
	}
	holder := 0
	switch {
	case !r.sound("journal", "journalDir", "journalKeyFile"):
	case cfg.JournalInDatabase():
		holder = r.database(ctx, cfg)
	default:
		holder = r.journal(cfg)
	}
	if r.sound("port") {
		r.address("port", portAddress(cfg), holder)
	}
	if r.sound("adminAddress") && cfg.AdminAddress != "" {
		r.address("admin address", cfg.AdminAddress, holder)
	}
	if r.sound("adminAddress", "adminTls", "adminUsers") && cfg.AdminAddress != "" {
		r.ok("admin access", adminAccess(cfg))
	}
	switch {
	case len(r.wrong) > 0:
		return r.wrong
	case r.faults > 0:
		return errFaults
	}
	return nil
}

// report prints one line for each thing looked at.
type report struct {
	out    io.Writer
	wrong  config.Faults // of the configuration
	faults int
}

func (r *report) line(mark, what, text string) {
	fmt.Fprintf(r.out, "%-7s %-14s %s\n", mark, what, text)
}
func (r *report) ok(what, text string)   { r.line("ok", what, text) }
func (r *report) note(what, text string) { r.line("note", what, text) }
func (r *report) warn(what, text string) { r.line("WARNING", what, text) }
func (r *report) fault(what string, err error) {
	r.faults++
	r.line("FAULT", what, withUser(err).Error())
}

// sound tells whether these keys of the configuration have values to look at. A
// fault without a key is that there is no configuration at all.
func (r *report) sound(keys ...string) bool {
	return !slices.ContainsFunc(r.wrong, func(f config.Fault) bool { return f.Key == "" || slices.Contains(keys, f.Key) })
}

// memory says what a memory limit makes of the configuration, if there is one.
func (r *report) memory(cfg config.Config) {
	room, err := memory.Find("/", zerolog.Nop())
	switch lowered := bounded(cfg, room.Budget); {
	case err != nil:
		r.fault("memory", err)
	case lowered.MaxBodyBytes < cfg.MaxBodyBytes || lowered.MaxKeysPerPost < cfg.MaxKeysPerPost:
		r.note("memory", fmt.Sprintf("the limit of %d MiB allows posts of %d bytes and %d keys at most", room.Limit>>20, lowered.MaxBodyBytes, lowered.MaxKeysPerPost))
	case room.Limit > 0:
		r.ok("memory", fmt.Sprintf("limit of %d MiB", room.Limit>>20))
	}
}

func (r *report) keyFile(cfg config.Config, path string) {
	entry, err := keyfile.Load(path, keyOptions(cfg))
	if err != nil {
		r.fault("key file", err)
		return
	}
	now := time.Now()
	r.ok("key file", fmt.Sprintf("%s: %s", path, keyfile.Summary(entry, now)))
	for _, warning := range keyfile.Check(entry, now) {
		r.warn("key file", warning)
	}
}

func (r *report) clientAuthorities(cfg config.Config) {
	if cfg.ClientCAFile == "" {
		return
	}
	if err := keyfile.CheckAuthorities(cfg.ClientCAFile); err != nil {
		r.fault("clientCaFile", err)
		return
	}
	r.ok("clientCaFile", cfg.ClientCAFile+": callers must show a certificate of one of its authorities")
}

// journal looks at a journal on disk. It returns the process that has the journal open and is a relay of this very
// configuration, which a process is that has the journal's lock and listens on the
// configuration's port; 0 when there is none.
func (r *report) journal(cfg config.Config) (holder int) {
	found := embedded.Inspect(embedded.Options{Dir: cfg.JournalDir, KeyFile: cfg.JournalKeyFile, MinFreeBytes: cfg.MinFreeDiskBytes, Logger: zerolog.Nop()})
	for _, fault := range found.Faults {
		r.fault("journal", fault)
	}
	if found.Damage != nil {
		r.warn("journal", fmt.Sprintf("%s: its store is damaged; a start would set it aside and begin with an empty one: %v", cfg.JournalDir, found.Damage))
	}
	if found.Lesser != nil {
		r.warn("journal", fmt.Sprintf("%s: a start would set aside what is damaged, and go on with the rest: %v", cfg.JournalDir, found.Lesser))
	}
	switch least := uint64(cfg.MinFreeDiskBytes); {
	case found.Room != "":
		r.warn("journal", found.Room)
	case found.Free < least && len(found.Faults) == 0:
		r.warn("journal", fmt.Sprintf("%s: its disk has %d MiB left, less than minFreeDiskBytes (%d MiB): posts would be refused", cfg.JournalDir, found.Free>>20, least>>20))
	}
	switch {
	case found.Holder == 0 && len(found.Faults) > 0:
	case found.Holder == 0 && found.New:
		r.ok("journal", cfg.JournalDir+": a start would make it")
	case found.Holder == 0:
		r.ok("journal", cfg.JournalDir)
	case found.Holder > 0 && r.sound("port", "adminAddress") && isRelayOf(cfg, found.Holder):
		r.note("journal", fmt.Sprintf("%s: a relay with this configuration is running, process %d", cfg.JournalDir, found.Holder))
		return found.Holder
	default:
		r.fault("journal", fmt.Errorf("%s is in use by another process%s", cfg.JournalDir, named(found.Holder)))
	}
	return 0
}

// adminAccess says who may come in on the admin address.
func adminAccess(cfg config.Config) string {
	over := "over plain HTTP"
	if cfg.AdminTLS {
		over = "over HTTPS"
	}
	switch {
	case !cfg.AdminIsOpen():
		return "everybody on this machine, without a login, " + over
	case len(cfg.AdminUsers) == 0:
		return "no users; probes, and metrics unless adminOpenMetrics is false, " + over
	}
	return fmt.Sprintf("%d users, %s", len(cfg.AdminUsers), over)
}

// isRelayOf tells whether a process that has the journal is where this
// configuration would have it. Where the system chooses the port, the admin
// address tells.
func isRelayOf(cfg config.Config, pid int) bool {
	port := cfg.Port
	if port == 0 {
		port = portIn(cfg.AdminAddress)
	}
	return port != 0 && listens(pid, port)
}

func portIn(address string) int {
	_, text, _ := net.SplitHostPort(address) // config has checked it; "" is off
	port, _ := strconv.Atoi(text)
	return port
}

func named(pid int) string {
	if pid < 0 {
		return ", of another container or user"
	}
	return fmt.Sprintf(", %d", pid)
}

// portAddress is where the relay takes changes.
func portAddress(cfg config.Config) string { return net.JoinHostPort("", strconv.Itoa(cfg.Port)) }

// address tries to listen where the relay would. holder is the relay of this configuration
// that runs; 0: none does; -1: one that answers on the port, and cannot be seen.
func (r *report) address(what, address string, holder int) {
	listener, err := net.Listen("tcp", address)
	switch {
	case err == nil:
		r.ok(what, address)
		_ = listener.Close()
	case errors.Is(err, syscall.EADDRINUSE) && holder > 0 && listens(holder, portIn(address)):
		r.note(what, fmt.Sprintf("%s: process %d listens there", address, holder))
	case errors.Is(err, syscall.EADDRINUSE) && holder < 0 && what == "port":
		r.note(what, fmt.Sprintf("%s: a relay of this name and key file answers there, in a process of another container or user", address))
	default:
		r.fault(what, err)
	}
}

// withUser adds to missing rights who misses them, and of a file what helps. The faults of a
// configuration are sentences, in which the system's words stand.
func withUser(err error) error {
	inFaults := errors.As(err, new(config.Faults)) && strings.Contains(err.Error(), syscall.EACCES.Error())
	port := errors.As(err, new(*net.OpError))
	switch uid := os.Getuid(); {
	case port && errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w (as uid %d)", err, uid)
	case inFaults || errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w (as uid %d; chown -R %d gives it to that user)", err, uid, uid)
	}
	return err
}
