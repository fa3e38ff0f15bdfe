//go:build e2e

package e2e

import (
	"os/exec"
	"strings"
	"testing"

	"audiences/sandbox"
	"audiences/test/harness"
)

// TestProtocols has openssl try versions of TLS and cipher suites on both ports: those without
// forward secrecy, without authentication, without encryption and with CBC are refused, whatever
// their callers would put up with.
func TestProtocols(t *testing.T) {
	const anything = "ALL:eNULL:@SECLEVEL=0"
	for least, tries := range map[string]map[string]bool{
		"1.2": {
			"-tls1 -cipher " + anything: false, "-tls1_1 -cipher " + anything: false, "-tls1_2": true, "-tls1_3": true,
			"-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256": true, "-tls1_2 -cipher ECDHE-ECDSA-AES256-GCM-SHA384": true, "-tls1_2 -cipher ECDHE-ECDSA-CHACHA20-POLY1305": true,
			"-tls1_2 -cipher kRSA:@SECLEVEL=0": false, "-tls1_2 -cipher aNULL:@SECLEVEL=0": false, "-tls1_2 -cipher eNULL:@SECLEVEL=0": false, "-tls1_2 -cipher kDHE:@SECLEVEL=0": false,
			"-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA": false, "-tls1_2 -cipher ECDHE-ECDSA-AES256-SHA": false, "-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA256": false,
			"-tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256": true, "-tls1_3 -ciphersuites TLS_CHACHA20_POLY1305_SHA256": true, "-tls1_3 -ciphersuites TLS_AES_128_CCM_SHA256": false,
		},
		"1.3": {"-tls1_2": false, "-tls1_2 -cipher " + anything: false, "-tls1_3": true},
	} {
		s := harness.NewSite(t, sandbox.Options{}, map[string]any{"tlsMinVersion": least, "adminTls": true})
		p := s.Start()
		for _, address := range []string{p.HTTPS, p.Admin} {
			for try, want := range tries {
				arguments := append([]string{"s_client", "-connect", address}, strings.Fields(try)...)
				text, err := exec.CommandContext(t.Context(), "openssl", arguments...).CombinedOutput() // nothing on standard input: it ends after the handshake
				if _, failed := err.(*exec.ExitError); err != nil && !failed {
					t.Fatal(err)
				}
				if said := string(text); strings.Contains(said, "no cipher match") || strings.Contains(said, "unknown option") {
					t.Fatalf("openssl %s: %s", try, said)
				}
				if (err == nil) != want {
					t.Errorf("least %s: openssl %s: %v, want a connection: %v\n%s", least, try, err, want, text)
				}
			}
		}
		if p.Ping(t.Context()) != nil {
			t.Error("it does not answer any more")
		}
	}
}
