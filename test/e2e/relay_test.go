//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"audiences/sandbox"
)

// Secrets of the relay under test and of its one tenant.
const (
	authToken = "foo" // as in the recorded cases
	apiToken  = "tok-aaaa"
)

// project is the root of the sources, seen from the directory of this package.
const project = "../.."

// site is a place for one relay: its configuration and key file, the addresses
// that it will listen on, and the Split look-alike that it delivers to.
type site struct {
	dir    string // has audiences.config and relay.jks
	binary string // built for this machine
	url    string // of POST /audiences
	readyz string // of /readyz
	split  *sandbox.Server
}

// newSite builds the relay, and writes a configuration with these settings and
// what every test needs.
func newSite(t *testing.T, settings map[string]any) *site {
	t.Helper()
	split, err := sandbox.Start(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := split.Close(); err != nil {
			t.Error(err)
		}
	})
	dir := t.TempDir()
	s := &site{dir: dir, binary: filepath.Join(dir, "audiences"), split: split}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	build := exec.CommandContext(ctx, "go", "build", "-o", s.binary, ".")
	build.Dir = project
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as in the image
	if _, err := output(build); err != nil {
		t.Fatalf("build the relay: %v", err)
	}
	if _, err := output(exec.CommandContext(ctx, s.binary, "keygen", "-out", filepath.Join(dir, "relay.jks"))); err != nil {
		t.Fatalf("make a key: %v", err)
	}
	port := freePort(t)
	s.url = fmt.Sprintf("https://127.0.0.1:%d/audiences", port)
	admin := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	s.readyz = "http://" + admin + "/readyz"
	all := map[string]any{
		"port":         port,
		"authToken":    authToken,
		"keyFile":      "relay.jks",
		"adminAddress": admin,
		"splitApiUrl":  split.URL,
	}
	maps.Copy(all, settings)
	config, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.config(), config, 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) config() string { return filepath.Join(s.dir, "audiences.config") }

// freePort is one that nobody listens on at the moment.
func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// up reports whether the relay answers its probe.
func (s *site) up() bool {
	return exec.Command(s.binary, "healthcheck", s.config()).Run() == nil
}

// post sends one change on a connection of its own, as the lambda does, and
// reports an error unless it was accepted.
func (s *site) post(segment, verb, key string) error {
	body, err := json.Marshal(map[string]any{
		"apiToken": apiToken, "workspaceId": "ws1", "environmentId": "env1", "trafficTypeId": "tt1",
		"verb": verb, "mpids": []string{key}, "segment": segment,
	})
	if err != nil {
		return err
	}
	request, err := http.NewRequest(http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", authToken)
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // as the lambda
	}}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", response.Status, answer)
	}
	return nil
}

// members are the keys that the look-alike has in a segment, in byte order.
func (s *site) members(segment string) []string { return s.split.Members(apiToken, "env1", segment) }

// judge fails the test if the relay broke one of its promises to Split.
func (s *site) judge(t *testing.T) {
	t.Helper()
	for _, violation := range s.split.Violations() {
		t.Errorf("broken promise: %v", violation)
	}
}
