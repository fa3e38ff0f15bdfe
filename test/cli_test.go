package test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"audiences/sandbox"
	"audiences/test/harness"
)

// Exit codes, as the usage text and the supervisors' units have them.
const (
	exitDone   = 0
	exitFailed = 1
	exitWrong  = 2

	exitNothing = 3
)

// TestExitCodes covers the command lines that start nothing.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, c := range []struct {
		args   []string
		code   int
		stderr string // contains
	}{
		{nil, exitWrong, "audiences keygen"},
		{[]string{"help"}, exitDone, ""},
		{[]string{"help", "nonsense"}, exitWrong, "see: audiences help"},
		{[]string{"help", "more", "nonsense"}, exitDone, ""},
		{[]string{"-h"}, exitDone, ""},
		{[]string{"serve"}, exitWrong, "see: audiences help serve"},
		{[]string{"serve", "a", "b"}, exitWrong, "see: audiences help serve"},
		{[]string{"-x"}, exitWrong, "see: audiences help"},
		{[]string{"check"}, exitWrong, "see: audiences help check"},
		{[]string{"healthcheck"}, exitWrong, "see: audiences help healthcheck"},
		{[]string{"keygen", "-nonsense"}, exitWrong, "see: audiences help keygen"},
		{[]string{"keygen", "--nonsense"}, exitWrong, "see: audiences help keygen"},
		{[]string{"keygen", "-nonsense", "-h"}, exitDone, ""},
		{[]string{"keygen", "-days", "0"}, exitWrong, "-days"},
		{[]string{"keygen", "-days", "x"}, exitWrong, "-days"},
		{[]string{"keygen", "-out"}, exitWrong, "-out"},
		{[]string{"keygen", filepath.Join(dir, "a.pem")}, exitWrong, "a.pem"},
		{[]string{"keygen", "-out", filepath.Join(dir, "a.pem")}, exitDone, "not encrypted"},
		{[]string{"keygen", "-out", filepath.Join(dir, "a.pem")}, exitFailed, "file exists"},
		{[]string{"keygen", "--days=3", "-out=" + filepath.Join(dir, "b.pem")}, exitDone, "not encrypted"},
		{[]string{"hash-password", "hunter2"}, exitWrong, "hash-password"},
		{[]string{"hash-password"}, exitWrong, "12 characters"},
		{[]string{"completion", "bash", "x"}, exitWrong, "bash"},
		{[]string{"completion", "none"}, exitWrong, "completion"},
		{[]string{"fingerprint"}, exitWrong, "apiToken"},
		{[]string{"version"}, exitDone, ""},
		{[]string{"version", "x"}, exitWrong, "version"},
		{[]string{"sandbox", "-traffic", "-1"}, exitWrong, "-traffic"},
		{[]string{filepath.Join(dir, "nothing.config")}, exitWrong, "nothing.config"},
		{[]string{"check", filepath.Join(dir, "nothing.config")}, exitWrong, "nothing.config"},
		{[]string{"healthcheck", dir}, exitWrong, dir},
	} {
		code, _, stderr := harness.Run(t, nil, c.args...)
		if code != c.code || !strings.Contains(stderr, c.stderr) {
			t.Errorf("%q: exit code %d, want %d and %q in\n%s", c.args, code, c.code, c.stderr, stderr)
		}
	}
}

// TestCompletion: each shell gets a script, which asks the program for what can come
// next.
func TestCompletion(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if code, stdout, stderr := harness.Run(t, nil, "completion", shell); code != exitDone || !strings.Contains(stdout, "__complete") || stderr != "" {
			t.Errorf("%s: exit code %d, %d bytes, %s", shell, code, len(stdout), stderr)
		}
	}
	for begun, want := range map[string][]string{"k": {"keygen"}, "keygen --o": {"--out"}, "sandbox --": {"--traffic", "--for"}} {
		_, stdout, _ := harness.Run(t, nil, append([]string{"__complete"}, strings.Fields(begun)...)...)
		for _, word := range want {
			if !strings.Contains("\n"+stdout, "\n"+word+"\t") {
				t.Errorf("%q is not completed with %q:\n%s", begun, word, stdout)
			}
		}
	}
}

// TestAllConfigurationFaultsAtOnce: one start tells all there is to mend, for
// every command that reads a configuration.
func TestAllConfigurationFaultsAtOnce(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "audiences.config")
	writeFile(t, config, `{
  "port": "many", // line 2
  "segmentsFlushRate": 5,
  "splitApiUrl": "api.split.io",
  "keyFile": "key.jks",
  "keyFile": "key2.jks",
  "drainTimeout": -1,
}`)
	faults := []string{
		`:2: key "port"`, `:3: key "segmentsFlushRate"`, "segmentsFlushRateInSeconds", `:4: key "splitApiUrl"`,
		`:6: key "keyFile"`, `:7: key "drainTimeout"`, `key "authToken"`, "AUDIENCES_AUTH_TOKEN", "AUDIENCES_MAX_BODY_BYTES",
	}
	for _, command := range [][]string{{config}, {"serve", config}, {"check", config}, {"healthcheck", config}} {
		code, _, stderr := harness.Run(t, []string{"AUDIENCES_MAX_BODY_BYTES=lots"}, command...)
		if code != exitWrong {
			t.Errorf("%q: exit code %d", command, code)
		}
		for _, fault := range faults {
			if !strings.Contains(stderr, fault) {
				t.Errorf("%q does not tell of %s:\n%s", command, fault, stderr)
			}
		}
	}
}

// TestEnvironmentBeatsFile, and a secret may come from a file.
func TestEnvironmentBeatsFile(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{}, map[string]any{"port": harness.FreePort(t), "authToken": nil})
	if code, _, _ := harness.Run(t, nil, "check", s.Config()); code != exitWrong {
		t.Errorf("without a token: exit code %d", code)
	}
	secret := filepath.Join(s.Dir, "token")
	writeFile(t, secret, "from-a-file\n")
	port := harness.FreePort(t)
	p := s.LaunchWith([]string{"AUDIENCES_AUTH_TOKEN_FILE=" + secret, "AUDIENCES_PORT=" + strconv.Itoa(port)})
	p.Listening()
	if _, got, _ := net.SplitHostPort(p.HTTPS); got != strconv.Itoa(port) {
		t.Errorf("port %s, want %d", got, port)
	}
	if a, err := p.Send(t.Context(), "POST", "/audiences", "from-a-file", []byte(body())); err != nil || a.Status != 200 {
		t.Errorf("%d %s %v", a.Status, a.Body, err)
	}
}

// TestCheck looks at what start needs, says all of it, and leaves nothing behind.
func TestCheck(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{}, nil)
	expired, broken := filepath.Join(s.Dir, "expired.pem"), filepath.Join(s.Dir, "broken.jks")
	writeCertificate(t, expired, time.Now().Add(-time.Hour))
	writeFile(t, broken, "\xfe\xed\xfe\xed\x00\x00")
	years, err := filepath.Abs(filepath.Join(harness.Project, "api/keyfile/testdata/pkcs12-years.p12"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what     string
		settings map[string]any
		code     int
		says     []string
	}{
		{"good", nil, exitDone, []string{"testkey.jks", s.Journal()}},
		{"wrong password", map[string]any{"keyPassword": "wrong-one"}, exitWrong, []string{"FAULT", "testkey.jks"}},
		{"no key file", map[string]any{"keyFile": "none.jks"}, exitWrong, []string{"FAULT", "none.jks"}},
		{"cut key file", map[string]any{"keyFile": broken}, exitWrong, []string{"FAULT", "broken.jks"}},
		{"expired", map[string]any{"keyFile": expired}, exitDone, []string{"WARNING", "expired"}},
		{"entries of two years", map[string]any{"keyFile": years}, exitDone, []string{`entry "relay-2026"`, "to 2081-08-28"}},
		{"no directory", map[string]any{"journalDir": "audiences.config/journal"}, exitWrong, []string{"FAULT", "audiences.config"}},
		{"all at once", map[string]any{"keyFile": "none.jks", "journalDir": "audiences.config"}, exitWrong, []string{"none.jks", "audiences.config"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			s.Configure(c.settings)
			before := tree(t, s.Dir)
			code, stdout, stderr := harness.Run(t, nil, "check", s.Config())
			if code != c.code {
				t.Errorf("exit code %d, want %d\n%s%s", code, c.code, stdout, stderr)
			}
			for _, text := range c.says {
				if !strings.Contains(stdout, text) {
					t.Errorf("no word of %q in\n%s", text, stdout)
				}
			}
			if strings.Contains(stdout+stderr, "wrong-one") {
				t.Error("the password shows")
			}
			sameTree(t, before, tree(t, s.Dir))
		})
	}
}

// TestKeygenServeHealthcheck is the way of a new installation: make a key, start
// with it, and let the supervisor ask whether it lives. Another certificate on
// the port is another server.
func TestKeygenServeHealthcheck(t *testing.T) {
	t.Parallel()
	const password = "correct horse"
	env := []string{"AUDIENCES_KEY_PASSWORD=" + password}
	s := harness.NewSite(t, sandbox.Options{}, nil)
	key := filepath.Join(s.Dir, "own.jks")
	if code, _, stderr := harness.Run(t, env, "keygen", "-out", key, "-hosts", "relay.example,192.0.2.1", "-days", "90"); code != exitDone {
		t.Fatalf("keygen: %d %s", code, stderr)
	}
	if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v, want 0600", info.Mode(), err)
	}
	if code, _, _ := harness.Run(t, env, "keygen", "-out", key); code != exitFailed {
		t.Errorf("keygen over a file that exists: %d", code)
	}
	if code, _, _ := harness.Run(t, []string{"AUDIENCES_KEY_PASSWORD="}, "keygen", "-out", key+"2"); code != exitWrong {
		t.Errorf("keygen with an empty password: %d", code)
	}
	settings := map[string]any{"port": harness.FreePort(t), "keyFile": key, "keyPassword": password}
	s.Configure(settings)
	if code, _, _ := harness.Run(t, nil, "healthcheck", s.Config()); code != exitFailed {
		t.Errorf("nobody there: healthcheck ends with %d", code)
	}
	p := s.Start("serve")
	if code, stdout, stderr := harness.Run(t, nil, "healthcheck", s.Config()); code != exitDone {
		t.Errorf("healthcheck: %d %s%s", code, stdout, stderr)
	}
	delete(settings, "keyFile")
	delete(settings, "keyPassword")
	s.Configure(settings) // the project's own key
	if code, _, _ := harness.Run(t, nil, "healthcheck", s.Config()); code != exitFailed {
		t.Errorf("another certificate: healthcheck ends with %d", code)
	}
	if code := p.Terminate(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
}

// TestShippedConfigurationIsSound: audiences.config and testkey.jks work as they are.
func TestShippedConfigurationIsSound(t *testing.T) {
	t.Parallel()
	if code, stdout, stderr := harness.Run(t, nil, "check", filepath.Join(harness.Project, "audiences.config")); code != exitDone {
		t.Errorf("%d\n%s%s", code, stdout, stderr)
	}
}

// TestRefusedStarts: what cannot work is told in one sentence that names the place;
// nothing in the journal is changed by the attempt (I8), and a relay that runs
// there goes on.
func TestRefusedStarts(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{}, nil)
	first := s.Start()
	taken := first.HTTPS[strings.LastIndex(first.HTTPS, ":")+1:]

	refusedStart(t, s, s.Journal())
	port, err := strconv.Atoi(taken)
	if err != nil {
		t.Fatal(err)
	}
	s.Configure(map[string]any{"port": port, "journalDir": "other"})
	refusedStart(t, s, taken)
	s.Configure(map[string]any{"adminAddress": first.Admin, "journalDir": "other"})
	refusedStart(t, s, first.Admin)
	first.MustPost(harness.Change{Segment: "sFirst", Keys: []string{"1"}})
	harness.Eventually(t, harness.Patience, "the first relay goes on", func() bool { return len(s.Members("sFirst")) == 1 })
	if code := first.Terminate(); code != exitDone {
		t.Fatalf("exit code %d", code)
	}

	s.Configure(nil)
	format := filepath.Join(s.Journal(), "FORMAT")
	text, err := os.ReadFile(format)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, format, strings.Replace(string(text), `"format":2`, `"format":99`, 1))
	untouched(t, s, "99")
	writeFile(t, format, string(text))

	key := filepath.Join(s.Dir, "other.key")
	writeFile(t, key, strings.Repeat("0f", 32)+"\n")
	s.Configure(map[string]any{"journalKeyFile": key})
	untouched(t, s, key)

	s.Configure(nil)
	s.Start().Ready() // after all of that
	s.Judge()
}

// refusedStart starts the relay in vain; its last words name the place.
func refusedStart(t *testing.T, s *harness.Site, place string) {
	t.Helper()
	p := s.Launch()
	if code := p.Wait(harness.Patience); code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
	if words := lastLine(p.Log()); !strings.HasPrefix(words, "audiences: ") || !strings.Contains(words, place) {
		t.Errorf("%q does not name %q", words, place)
	}
}

func untouched(t *testing.T, s *harness.Site, place string) {
	t.Helper()
	before := tree(t, s.Journal())
	refusedStart(t, s, place)
	sameTree(t, before, tree(t, s.Journal()))
}

// TestSandboxCommand: relay and look-alike in one process, with traffic of its
// own, ended by a signal.
func TestSandboxCommand(t *testing.T) {
	t.Parallel()
	p := (&harness.Site{T: t}).Run([]string{"sandbox", "-flush", "50ms", "-traffic", "100"}, nil)
	harness.Eventually(t, harness.Patience, "calls with many keys are printed", func() bool { return strings.Count(p.Output(), " 200 ") > 10 })
	if !strings.Contains(p.Output(), "curl -k") {
		t.Errorf("no line to paste in\n%s", p.Output())
	}
	if code := p.Terminate(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndex(text, "\n")+1:]
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// tree is every file below a directory with its content.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		files[path] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func sameTree(t *testing.T, before, after map[string]string) {
	t.Helper()
	for path, text := range after {
		if was, there := before[path]; !there || was != text {
			t.Errorf("%s was made or changed", path)
		}
	}
	for path := range before {
		if _, there := after[path]; !there {
			t.Errorf("%s is gone", path)
		}
	}
}

// writeCertificate makes a PEM key file whose certificate ends at a time.
func writeCertificate(t *testing.T, path string, end time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "old"}, DNSNames: []string{"localhost"},
		NotBefore: end.Add(-time.Hour), NotAfter: end}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, fmt.Sprintf("%s%s", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
}
