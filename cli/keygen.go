package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"audiences/api/keyfile"
)

func keygenCommand(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keygen [--out FILE]",
		Short: "write a self-signed key file",
		Long: `Writes a new P-256 key with a self-signed certificate. The password is that in
AUDIENCES_KEY_PASSWORD, or "password". A file that exists is left alone.

  audiences keygen
  audiences keygen --out relay.pem --hosts relay.example.com,10.0.0.7 --days 365

Exit codes: 0 the file was written, 1 it was not, 2 the command line or the password
is wrong.
`,
		Args: noArguments,
	}
	out := cmd.Flags().String("out", "audiences.jks", "the `file` to write, which must not exist yet; its ending decides the form: .jks or none, .p12 or .pfx, .pem")
	hosts := cmd.Flags().String("hosts", "", "host `names` and addresses beside localhost, separated by commas")
	days := cmd.Flags().Int("days", 3650, "how many `days` the certificate is valid")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *days < 1 {
			return wrong(cmd, "--days must be at least 1")
		}
		options := keyfile.GenerateOptions{ValidFor: time.Duration(*days) * 24 * time.Hour}
		if *hosts != "" {
			options.Hosts = strings.Split(*hosts, ",")
		}
		return keygen(*out, options, p)
	}
	return cmd
}

// keygen writes a self-signed P-256 key file, in the form that its name's ending
// tells. The password comes from the environment, because a command line can be read
// by everybody on the machine.
func keygen(out string, options keyfile.GenerateOptions, p process) error {
	format, err := keyfile.FormatOf(out)
	if err != nil {
		return fmt.Errorf("%w: write key file %s: %w", errUsage, out, err)
	}
	password, ok := os.LookupEnv("AUDIENCES_KEY_PASSWORD")
	if !ok {
		password = "password"
	}
	if password == "" && format != keyfile.PEM {
		return fmt.Errorf("%w: AUDIENCES_KEY_PASSWORD is set and empty; a key file needs a password", errUsage)
	}
	options.Format, options.Password = format, password
	file, err := os.OpenFile(out, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write key file: %w", err)
	}
	if err := errors.Join(keyfile.Generate(file, options), file.Close()); err != nil {
		return fmt.Errorf("write key file: %w", errors.Join(err, os.Remove(out)))
	}
	switch {
	case format == keyfile.PEM:
		fmt.Fprintln(p.stderr, "the private key is not encrypted; the file is readable for its owner alone")
	case !ok:
		fmt.Fprintln(p.stderr, `the password is "password"; set AUDIENCES_KEY_PASSWORD for another`)
	}
	_, err = fmt.Fprintln(p.stdout, out)
	return err
}
