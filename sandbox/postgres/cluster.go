package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

const (
	superuser = "postgres"
	relayName = "relay" // of the user and of the database that it owns
	// settingsFile is read by postgresql.conf after all that initdb wrote there.
	settingsFile = "audiences.conf"
)

// usual are the settings that all servers have unless they are told others.
var usual = map[string]string{
	"listen_addresses":        "127.0.0.1",
	"unix_socket_directories": "", // their paths would have to be short, and nobody needs them
	"max_connections":         "100",
	"shared_buffers":          "128MB",
	"log_line_prefix":         "%m [%p] %q%a ",
	// In the data directory, so that nothing stays elsewhere after a kill.
	"dynamic_shared_memory_type": "mmap",
	// A standby looks for its primary so often.
	"wal_retrieve_retry_interval": "200ms",
}

// careless are the settings of servers that need not outlive a power loss. What a
// killed process wrote is with the system, and stays.
var careless = map[string]string{"fsync": "off", "full_page_writes": "off"}

// makeDirectory makes the directory of a server in which nothing is yet.
func makeDirectory(i installation) (string, error) {
	dir, err := os.MkdirTemp("", "audiences-postgres-")
	if err != nil {
		return "", fmt.Errorf("make a directory: %w", err)
	}
	if err := i.give(dir); err != nil {
		_ = os.RemoveAll(dir)
		return "", fmt.Errorf("make a directory: %w", err)
	}
	return dir, nil
}

// create makes the files of a server, with the relay's user and database.
func (s *Server) create(ctx context.Context) error {
	password := filepath.Join(s.dir, "password")
	if err := s.write(password, s.adminPassword); err != nil {
		return err
	}
	err := s.run(ctx, nil, "initdb", "--pgdata", s.data(), "--username", superuser, "--pwfile", password,
		"--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions")
	if err != nil {
		return err
	}
	conf, err := os.OpenFile(filepath.Join(s.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(conf, "include_if_exists = '%s'\n", settingsFile)
	if err := errors.Join(err, conf.Close()); err != nil {
		return err
	}
	// A server of one session, which takes a statement a line and no connection.
	statements := strings.NewReader("CREATE ROLE " + relayName + " LOGIN PASSWORD '" + s.relayPassword + "'\n" +
		"CREATE DATABASE " + relayName + " OWNER " + relayName + "\n")
	return s.run(ctx, statements, "postgres", "--single", "-D", s.data(), "-c", "exit_on_error=on", "-c", "fsync=off", "postgres")
}

// writeSettings writes the settings, the port among them. A server that runs must be told.
func (s *Server) writeSettings() error {
	var text strings.Builder
	settings := maps.Clone(s.settings)
	settings["port"] = strconv.Itoa(s.port)
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&text, "%s = '%s'\n", name, strings.ReplaceAll(settings[name], "'", "''"))
	}
	return s.write(filepath.Join(s.data(), settingsFile), text.String())
}

// write writes a file that the server can read, and nobody else.
func (s *Server) write(path, text string) error {
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	return s.installation.give(path)
}

// run runs one of PostgreSQL's programs to its end, on the server's own files.
func (s *Server) run(ctx context.Context, stdin *strings.Reader, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(s.installation.bin, program), args...)
	s.installation.prepare(cmd, s.dir)
	cmd.Env = append(cmd.Env, "PGPASSWORD="+s.adminPassword)
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // with what it started
	if stdin != nil {
		cmd.Stdin = stdin
	}
	said := &logEnd{}
	cmd.Stdout, cmd.Stderr = said, said
	running, err := begin(cmd)
	if err != nil {
		return fmt.Errorf("run %s: %w", program, err)
	}
	<-running.Ended
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("run %s: %w", program, err)
	}
	if !cmd.ProcessState.Success() {
		return fmt.Errorf("run %s: %v: %s", program, cmd.ProcessState, said)
	}
	return nil
}

// removeMemory frees the shared memory that a killed postmaster has left. One that
// ended by itself has freed it, and removed the file that names it.
func (s *Server) removeMemory() error {
	lines, err := s.postmasterFile()
	if err != nil || len(lines) < 7 {
		return nil
	}
	var key, id uintptr
	if _, err := fmt.Sscan(lines[6], &key, &id); err != nil {
		return nil // there was none
	}
	const remove = 0 // IPC_RMID
	if _, _, errno := syscall.Syscall(syscall.SYS_SHMCTL, id, remove, 0); errno != 0 && errno != syscall.EINVAL && errno != syscall.EIDRM {
		return fmt.Errorf("free shared memory %d: %w", id, errno)
	}
	return nil
}

// postmasterFile is postmaster.pid, in which a postmaster says what it is and has. Its
// lines are the number, data directory, time of the start, port, directory of sockets,
// address, shared memory and state.
func (s *Server) postmasterFile() ([]string, error) {
	text, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	if err != nil {
		return nil, err
	}
	return strings.Split(string(text), "\n"), nil
}
