package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"audiences/api/keyfile"
)

// keygen writes a self-signed P-256 key file, in the form that its name's ending
// tells. The password comes from the
// environment, because a command line can be read by everybody on the machine.
func keygen(_ context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("keygen", flag.ContinueOnError)
	flags.SetOutput(stderr)
	out := flags.String("out", "audiences.jks", "the `file` to write, which must not exist yet; its ending decides the form: .jks or none, .p12 or .pfx, .pem")
	hosts := flags.String("hosts", "", "host names and addresses beside localhost, separated by commas")
	days := flags.Int("days", 3650, "how many `days` the certificate is valid")
	if err := flags.Parse(args); err != nil || flags.NArg() > 0 || *days < 1 {
		return fmt.Errorf("%w: audiences keygen [-out FILE.jks|.p12|.pfx|.pem] [-hosts a,b] [-days N]; AUDIENCES_KEY_PASSWORD is the password", errUsage)
	}
	format, err := keyfile.FormatOf(*out)
	if err != nil {
		return fmt.Errorf("%w: write key file %s: %w", errUsage, *out, err)
	}
	password, ok := os.LookupEnv("AUDIENCES_KEY_PASSWORD")
	if !ok {
		password = "password"
	}
	if password == "" && format != keyfile.PEM {
		return fmt.Errorf("%w: AUDIENCES_KEY_PASSWORD is set and empty; a key file needs a password", errUsage)
	}
	options := keyfile.GenerateOptions{Format: format, Password: password, ValidFor: time.Duration(*days) * 24 * time.Hour}
	if *hosts != "" {
		options.Hosts = strings.Split(*hosts, ",")
	}
	file, err := os.OpenFile(*out, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write key file: %w", err)
	}
	if err := errors.Join(keyfile.Generate(file, options), file.Close()); err != nil {
		return fmt.Errorf("write key file: %w", errors.Join(err, os.Remove(*out)))
	}
	switch {
	case format == keyfile.PEM:
		fmt.Fprintln(stderr, "the private key is not encrypted; the file is readable for its owner alone")
	case !ok:
		fmt.Fprintln(stderr, `the password is "password"; set AUDIENCES_KEY_PASSWORD for another`)
	}
	_, err = fmt.Fprintln(stdout, *out)
	return err
}
