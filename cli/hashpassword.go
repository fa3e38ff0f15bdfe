package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/bcrypt"

	"audiences/api/admin/access"
)

const (
	// hashCost takes a quarter of a second of a processor for each login.
	hashCost = 12
	// leastPassword is what a login's limits make hopeless to guess.
	leastPassword = 12 // characters
)

func hashPasswordCommand(p process) *cobra.Command {
	return &cobra.Command{
		Use:   "hash-password",
		Short: "read a password on standard input, print its hash for adminUsers",
		Long: `Reads one line with a password, of 12 characters at least, on standard input and
prints its bcrypt hash, which is what adminUsers take as passwordHash. A terminal
shows what is typed; where somebody looks on, in bash:

  read -rs P && printf '%s\n' "$P" | audiences hash-password

Exit codes: 0 the hash was printed, 1 standard input cannot be read, 2 the command line
or the password is wrong.
`,
		Args: noSecrets,
		RunE: func(*cobra.Command, []string) error { return hashPassword(p.stdin, p.stdout) },
	}
}

// hashPassword takes the password from standard input, because a command line can be
// read by everybody on the machine.
func hashPassword(stdin io.Reader, stdout io.Writer) error {
	password, err := bufio.NewReader(io.LimitReader(stdin, 4<<10)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read password: %w", err)
	}
	password = strings.TrimSuffix(strings.TrimSuffix(password, "\n"), "\r")
	switch {
	case len([]rune(password)) < leastPassword:
		return fmt.Errorf("%w: the password must have %d characters at least", errUsage, leastPassword)
	case len(password) > access.MaxPasswordBytes:
		return fmt.Errorf("%w: the password must have %d bytes at most; bcrypt would take no notice of the rest", errUsage, access.MaxPasswordBytes)
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), hashCost)
	if err != nil {
		return fmt.Errorf("hash password: %w", err)
	}
	_, err = fmt.Fprintf(stdout, "%s\n", hash)
	return err
}
