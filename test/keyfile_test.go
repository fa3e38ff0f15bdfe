package test

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"audiences/sandbox"
	"audiences/test/harness"
)

// servedOn is the serial number of the certificate that a port presents.
func servedOn(t *testing.T, port int) string {
	t.Helper()
	conn, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// newKey makes a key file with the program.
func newKey(t *testing.T, dir, name string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if code, _, stderr := harness.Run(t, nil, "keygen", "-out", path); code != exitDone {
		t.Fatalf("keygen: %d %s", code, stderr)
	}
	return path
}

// TestKeyFileIsRenewedWhileItRuns: the supervisor's probe passes before, during and
// after, also while the file is broken or gone; and it passes for no other server.
func TestKeyFileIsRenewedWhileItRuns(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{}, nil)
	key, port := newKey(t, s.Dir, "key.p12"), harness.FreePort(t)
	s.Configure(map[string]any{"port": port, "keyFile": key})
	healthy := func(when string) {
		t.Helper()
		if code, stdout, stderr := harness.Run(t, nil, "healthcheck", s.Config()); code != exitDone {
			t.Errorf("healthcheck %s: %d %s%s", when, code, stdout, stderr)
		}
	}
	p := s.Start("serve")
	first := servedOn(t, port)
	healthy("before")
	for _, next := range []string{"next.p12", "next.pem", "next.jks"} { // the content tells the form
		if err := os.Rename(newKey(t, s.Dir, next), key); err != nil {
			t.Fatal(err)
		}
		healthy("right after " + next)
		harness.Eventually(t, 30*time.Second, "serve "+next, func() bool {
			healthy("during " + next)
			return servedOn(t, port) != first
		})
		healthy("after " + next)
		first = servedOn(t, port)
	}
	whole, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, key, string(whole[:len(whole)/2]))
	healthy("with half a file")
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	healthy("without the file")
	if servedOn(t, port) != first {
		t.Error("another certificate is served")
	}
	writeFile(t, key, string(whole))
	healthy("with the file back")
	if code := p.Terminate(); code != exitDone {
		t.Errorf("exit code %d", code)
	}

	other := harness.NewSite(t, sandbox.Options{}, nil)
	other.Configure(map[string]any{"port": port, "keyFile": newKey(t, other.Dir, "other.jks")})
	q := other.Start("serve")
	if code, _, stderr := harness.Run(t, nil, "healthcheck", s.Config()); code != exitFailed || !strings.Contains(stderr, "certificate") {
		t.Errorf("another relay on the port: healthcheck ends with %d %s", code, stderr)
	}
	if code := q.Terminate(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
}

// TestHealthcheckOfAnUnusualChain: what cannot be parsed is sent to callers all the
// same, and is no reason to call the relay that serves it sick.
func TestHealthcheckOfAnUnusualChain(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{}, nil)
	text, err := os.ReadFile(filepath.Join("..", "api", "keyfile", "testdata", "cases", "negchain.pem"))
	if err != nil {
		t.Fatal(err)
	}
	key, port := filepath.Join(s.Dir, "key.pem"), harness.FreePort(t)
	writeFile(t, key, string(text))
	s.Configure(map[string]any{"port": port, "keyFile": key})
	p := s.Start("serve")
	if code, stdout, stderr := harness.Run(t, nil, "healthcheck", s.Config()); code != exitDone {
		t.Errorf("healthcheck: %d %s%s", code, stdout, stderr)
	}
	if _, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port), &tls.Config{InsecureSkipVerify: true}); err == nil {
		t.Error("the whole chain was parsed by crypto/tls: this test no longer proves anything")
	}
	if code := p.Terminate(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
}

// TestKeygenForms: the ending decides; every form is for the owner alone and is
// what the relay can start with.
func TestKeygenForms(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{}, nil)
	for name, begins := range map[string]string{"a.jks": "\xfe\xed\xfe\xed", "b": "\xfe\xed\xfe\xed", "c.p12": "0", "d.PFX": "0", "e.pem": "-----BEGIN CERTIFICATE-----"} {
		path := newKey(t, s.Dir, name)
		text, err := os.ReadFile(path)
		if err != nil || !strings.HasPrefix(string(text), begins) {
			t.Errorf("%s: %v, begins with %.4q", name, err, text)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v, want 0600", name, info.Mode(), err)
		}
		s.Configure(map[string]any{"keyFile": path})
		if code, stdout, _ := harness.Run(t, nil, "check", s.Config()); code != exitDone || strings.Contains(stdout, "WARNING") && strings.Contains(stdout, "key file") {
			t.Errorf("%s: check ends with %d\n%s", name, code, stdout)
		}
	}
	path := filepath.Join(s.Dir, "f.der")
	if code, _, stderr := harness.Run(t, nil, "keygen", "-out", path); code != exitWrong || !strings.Contains(stderr, ".pem") {
		t.Errorf("an ending that tells no form: %d %s", code, stderr)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("it was written all the same")
	}
}

// TestCertificateOfEachName: with moreKeyFiles each host name of the relay has its own
// certificate, on both ports; a check names all files, and the supervisor's probe passes.
func TestCertificateOfEachName(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{}, nil)
	var files []string
	for _, name := range []string{"one", "two"} {
		file := filepath.Join(s.Dir, name+".p12")
		if code, _, stderr := harness.Run(t, nil, "keygen", "-out", file, "-hosts", name+".example"); code != exitDone {
			t.Fatalf("keygen: %d %s", code, stderr)
		}
		files = append(files, file)
	}
	s.Configure(map[string]any{"port": harness.FreePort(t), "keyFile": files[0], "moreKeyFiles": files[1:], "adminTls": true})
	if code, stdout, _ := harness.Run(t, nil, "check", s.Config()); code != exitDone || !strings.Contains(stdout, files[0]) || !strings.Contains(stdout, files[1]) {
		t.Errorf("check: %d\n%s", code, stdout)
	}
	p := s.Start()
	for name, want := range map[string]string{"one.example": "one.example", "two.example": "two.example", "other.example": "one.example", "": "one.example"} {
		for _, address := range []string{p.HTTPS, p.Admin} {
			dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, ServerName: name}}
			conn, err := dialer.DialContext(t.Context(), "tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			if err := conn.(*tls.Conn).ConnectionState().PeerCertificates[0].VerifyHostname(want); err != nil {
				t.Errorf("%q at %s: %v", name, address, err)
			}
			_ = conn.Close()
		}
	}
	if code, stdout, stderr := harness.Run(t, nil, "healthcheck", s.Config()); code != exitDone {
		t.Errorf("healthcheck: %d %s%s", code, stdout, stderr)
	}
}

// TestCertificateThatEnds: an operator is told on the page and by status, before callers are
// refused.
func TestCertificateThatEnds(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{}, nil)
	path := filepath.Join(s.Dir, "short.pem")
	if code, _, stderr := harness.Run(t, nil, "keygen", "--out", path, "--days", "5"); code != exitDone {
		t.Fatalf("keygen: %d %s", code, stderr)
	}
	s.Configure(map[string]any{"keyFile": path})
	p := s.Start()
	_, said, stderr := harness.Run(t, nil, "status", "--address", p.Admin)
	page, err := p.AdminGet("/admin/dashboard")
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{"status": said, "the page": page.Body} {
		if !strings.Contains(text, "The certificate of "+path+" expires on ") {
			t.Errorf("%s: %s %s", what, text, stderr)
		}
	}
}
