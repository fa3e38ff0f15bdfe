//go:build e2e

package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf16"

	"audiences/test/harness"
)

// TestConversions: each key file of a form that the relay does not read is refused
// with a command. It is run as it stands, the passwords typed in, and what comes
// of it is served.
func TestConversions(t *testing.T) {
	const given = "../../api/keyfile/testdata/"
	s := newSite(t, nil)
	wide := filepath.Join(s.Dir, "wide.pem")
	writeUTF16(t, filepath.Join(given, "pem-sec1.pem"), wide)
	// Versions of openssl differ in how often they ask, so old and new are the same.
	again := []string{"password", "password", "password", "password"}
	for _, c := range []struct {
		file, password string
		typed          []string // at the prompts of the command
		after          string   // the password of the new file
		chain          int
	}{
		{given + "cases/nss.p12", "password", []string{"password"}, "", 2},
		{given + "cases/mac-sha384.p12", "password", []string{"password"}, "", 1},
		{given + "cases/kt-hmac384.p12", "password", []string{"password"}, "", 1},
		{given + "pkcs12-mac-sha224.p12", "password", []string{"password"}, "", 1},
		{given + "pkcs12-mac-sha384.p12", "password", []string{"password"}, "", 1},
		{given + "pkcs12-mac-sha512-256.p12", "password", []string{"password"}, "", 1},
		{given + "pkcs12-no-mac.p12", "password", []string{"password"}, "", 1},
		{given + "pkcs12-emoji.p12", "🔑password", []string{"🔑password"}, "", 1},
		{given + "pkcs12-legacy-trusted.p12", "password", []string{"password"}, "", 1},
		{given + "cases/euro.jks", "pass€word", []string{"new-one", "new-one"}, "new-one", 1},
		{given + "cases/cyr.jks", "пароль123", []string{"new-one", "new-one"}, "new-one", 1},
		{given + "jceks.jks", "password", again, "password", 1},
		{given + "pem-encrypted.pem", "password", again, "password", 1},
		{given + "pem-encrypted-old.pem", "password", again, "password", 1},
		{wide, "password", nil, "", 2},
	} {
		t.Run(filepath.Base(c.file), func(t *testing.T) {
			made := filepath.Join(t.TempDir(), "new")
			environment := func(file, password string) []string {
				return []string{"AUDIENCES_KEY_FILE=" + file, "AUDIENCES_KEY_PASSWORD=" + password}
			}
			old, err := filepath.Abs(c.file)
			if err != nil {
				t.Fatal(err)
			}
			code, report, stderr := harness.Run(t, environment(old, c.password), "check", s.Config())
			_, command, found := strings.Cut(report, "convert it with: ")
			if code == 0 || !found {
				t.Fatalf("code %d, %s; no command in\n%s", code, stderr, report)
			}
			command, _, _ = strings.Cut(command, "\n")
			command = strings.NewReplacer("OLD", old, "NEW", made).Replace(command)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			convert := exec.CommandContext(ctx, "sh", "-c", command)
			convert.Env = append(os.Environ(), environment(old, c.password)...)
			convert.Stdin = strings.NewReader(strings.Join(append(c.typed, ""), "\n"))
			convert.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no terminal: passwords are read from stdin
			if _, err := output(convert); err != nil {
				t.Fatalf("%s: %v", command, err)
			}
			s.serves(t, environment(made, c.after), c.chain)
		})
	}
}

// serves runs the relay with the key file of that environment: a health check
// passes, and a client sees the whole chain.
func (s *site) serves(t *testing.T, environment []string, chain int) {
	t.Helper()
	p := s.LaunchWith(environment)
	harness.Eventually(t, harness.Patience, "a health check passes", func() bool {
		code, _, _ := harness.Run(t, environment, "healthcheck", s.Config())
		return code == 0
	})
	defer func() {
		if code := p.Terminate(); code != 0 {
			t.Errorf("exit code %d", code)
		}
	}()
	conn, err := tls.Dial("tcp", s.at.HTTPS, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if n := len(conn.ConnectionState().PeerCertificates); n != chain {
		t.Errorf("a chain of %d is served, want %d", n, chain)
	}
}

// writeUTF16 writes a text as PowerShell's > does.
func writeUTF16(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	wide := []byte{0xff, 0xfe}
	for _, unit := range utf16.Encode([]rune(string(text))) {
		wide = append(wide, byte(unit), byte(unit>>8))
	}
	if err := os.WriteFile(to, wide, 0o600); err != nil {
		t.Fatal(fmt.Errorf("write %s: %w", to, err))
	}
}
