//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"audiences/sandbox"
	"audiences/test/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// site is a place for one relay as its users have it: with a key file of its own,
// relay.jks, in the default configuration but for its addresses, which are known
// before it starts: it may run in a container.
type site struct {
	*harness.Site
	at harness.Addresses
}

// newSite writes a configuration with these settings on top, and starts nothing.
func newSite(t *testing.T, settings map[string]any) *site {
	t.Helper()
	port, admin := harness.FreePort(t), fmt.Sprint("127.0.0.1:", harness.FreePort(t))
	all := map[string]any{
		"port": port, "adminAddress": admin, "keyFile": "relay.jks",
		"journalDir": nil, "segmentsFlushRateInSeconds": nil, "minFreeDiskBytes": nil,
		"maxCallsPerSecond": nil, "maxCallsPerSecondPerTenant": nil,
	}
	maps.Copy(all, settings)
	s := &site{harness.NewSite(t, sandbox.Options{}, all), harness.Addresses{HTTPS: fmt.Sprint("127.0.0.1:", port), Admin: admin}}
	if code, _, stderr := harness.Run(t, nil, "keygen", "-out", s.keyFile()); code != 0 {
		t.Fatalf("make a key: code %d, %s", code, stderr)
	}
	return s
}

func (s *site) keyFile() string { return filepath.Join(s.Dir, "relay.jks") }
