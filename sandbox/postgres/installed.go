package postgres

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// programs are what the package runs.
var programs = []string{"initdb", "postgres", "pg_basebackup", "psql"}

// account is the system's user that PostgreSQL runs as where root starts it, which
// it refuses to run as.
const account = "postgres"

// installation is where the programs are and whom they run as.
type installation struct {
	bin        string
	credential *syscall.Credential // nil: whoever runs this
}

// Available is nil where a server can be started. Otherwise it says what is missing.
func Available() error {
	_, err := findInstallation()
	return err
}

// findInstallation takes the newest version that has all programs.
func findInstallation() (installation, error) {
	found, newest := installation{}, -1
	places, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return found, err
	}
	for _, place := range places {
		version, err := strconv.Atoi(filepath.Base(filepath.Dir(place)))
		if err == nil && version > newest && hasPrograms(place) {
			found.bin, newest = place, version
		}
	}
	if newest < 0 {
		return found, errors.New("find PostgreSQL: no /usr/lib/postgresql/*/bin has all its programs; Debian's package is postgresql")
	}
	if os.Geteuid() == 0 {
		found.credential, err = lookUpAccount()
	}
	return found, err
}

func hasPrograms(place string) bool {
	for _, program := range programs {
		if _, err := os.Stat(filepath.Join(place, program)); err != nil {
			return false
		}
	}
	return true
}

func lookUpAccount() (*syscall.Credential, error) {
	a, err := user.Lookup(account)
	if err != nil {
		return nil, fmt.Errorf("find PostgreSQL's user, as root cannot run it: %w; Debian's package is postgresql", err)
	}
	uid, err := strconv.ParseUint(a.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("find PostgreSQL's user: %w", err)
	}
	gid, err := strconv.ParseUint(a.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("find PostgreSQL's user: %w", err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// give makes PostgreSQL the owner of a file or directory.
func (i installation) give(path string) error {
	if i.credential == nil {
		return nil
	}
	return os.Chown(path, int(i.credential.Uid), int(i.credential.Gid))
}

// environment is this process's own, without what would tell PostgreSQL's programs
// whom to connect to and how, and without what is the relay's: that may be a secret. Their
// messages are in English.
func environment() []string {
	notTheirs := func(variable string) bool {
		return strings.HasPrefix(variable, "PG") || strings.HasPrefix(variable, "AUDIENCES_")
	}
	return append(slices.DeleteFunc(os.Environ(), notTheirs), "LC_ALL=C")
}

// prepare has a program run as PostgreSQL's user, in a directory that this user may
// enter.
func (i installation) prepare(cmd *exec.Cmd, dir string) {
	cmd.Dir = dir
	cmd.Env = environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: i.credential}
}
