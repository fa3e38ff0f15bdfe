package postgres

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestProgramsGetNoSecrets: psql has its password in the environment alone, and no program of
// PostgreSQL's has what is in a variable of the relay.
func TestProgramsGetNoSecrets(t *testing.T) {
	t.Setenv("AUDIENCES_AUTH_TOKEN", "sekrit-token")
	t.Setenv("PGPASSWORD", "sekrit-other")
	s := &Server{adminPassword: "sekrit-password", relayPassword: "sekrit-relay"}
	psql, err := s.psqlCommand(t.Context(), "postgres://ana:sekrit-password@127.0.0.1:5/db?sslmode=disable", "SELECT 1")
	if err != nil {
		t.Fatal(err)
	}
	if args := strings.Join(psql.Args, " "); strings.Contains(args, "sekrit") || !strings.Contains(args, "postgres://ana@127.0.0.1:5/db?sslmode=disable") {
		t.Error(args)
	}
	if !slices.Contains(psql.Env, "PGPASSWORD=sekrit-password") {
		t.Error("psql has no password")
	}
	other := &exec.Cmd{}
	installation{}.prepare(other, t.TempDir())
	for _, cmd := range []*exec.Cmd{psql, other} {
		if env := strings.Join(cmd.Env, " "); strings.Contains(env, "sekrit-token") || strings.Contains(env, "sekrit-other") {
			t.Error(env)
		}
	}
}
