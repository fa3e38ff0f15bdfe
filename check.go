package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"audiences/api/keyfile"
	"audiences/config"
)

// errFaults ends a check that has printed what it found.
var errFaults = fmt.Errorf("%w: the relay would not start with this", errUsage)

// check looks at all that the relay needs for its start, without starting it.
func check(_ context.Context, args []string, stdout, _ io.Writer) error {
	path, err := oneArgument("check", args)
	if err != nil {
		return err
	}
	cfg, err := config.Load(path, os.LookupEnv)
	if err != nil {
		return err
	}
	report := &report{out: stdout}
	report.ok("configuration", path)
	for _, warning := range cfg.Warnings {
		report.warn("configuration", warning)
	}
	report.keyFile(cfg)
	report.openFiles(cfg)
	if err := writable(cfg.JournalDir); err != nil {
		report.fault("journal", err)
	} else {
		report.ok("journal", cfg.JournalDir)
	}
	if report.faults > 0 {
		return errFaults
	}
	return nil
}

// report prints one line for each thing looked at.
type report struct {
	out    io.Writer
	faults int
}

func (r *report) line(mark, what, text string) {
	fmt.Fprintf(r.out, "%-7s %-14s %s\n", mark, what, text)
}
func (r *report) ok(what, text string)   { r.line("ok", what, text) }
func (r *report) warn(what, text string) { r.line("WARNING", what, text) }
func (r *report) fault(what string, err error) {
	r.faults++
	r.line("FAULT", what, err.Error())
}

func (r *report) keyFile(cfg config.Config) {
	certificate, err := keyfile.Load(cfg.KeyFile, keyfile.Options{
		Password: cfg.KeyPassword.Reveal(), KeyPassword: cfg.KeyEntryPassword.Reveal()})
	if err != nil {
		r.fault("key file", err)
		return
	}
	leaf := certificate.Leaf
	r.ok("key file", fmt.Sprintf("%s: %s, valid until %s", cfg.KeyFile, leaf.Subject, leaf.NotAfter.UTC().Format(time.DateOnly)))
	for _, warning := range keyfile.Check(certificate, time.Now()) {
		r.warn("key file", warning)
	}
}

// writable tries to make a file in the directory, or, where it does not exist
// yet, in the nearest one above it that does: that is where it would be made.
func writable(dir string) error {
	info, err := os.Stat(dir)
	for errors.Is(err, fs.ErrNotExist) && filepath.Dir(dir) != dir {
		dir = filepath.Dir(dir)
		info, err = os.Stat(dir)
	}
	if err != nil {
		return fmt.Errorf("look at journal directory: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a directory", dir)
	}
	file, err := os.CreateTemp(dir, ".audiences-check-")
	if err != nil {
		return fmt.Errorf("journal directory is not writable: %w", err)
	}
	return errors.Join(file.Close(), os.Remove(file.Name()))
}
