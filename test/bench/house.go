package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"audiences/test/harness"
)

// smaller are the flags of a build as it is in the image.
var smaller = []string{"-trimpath", "-pgo=audiences.pgo", "-ldflags", "-s -w"}

// house is where all processes of a run live: a directory, the built binaries and
// the keys.
type house struct {
	options
	dir        string
	self       string // this program
	relay      string // the relay as it is in the image
	profiled   string // the relay with profiling; built where it is needed
	ecdsa, rsa string // key files
	children   []*harness.Child
	sites      int
}

func newHouse(ctx context.Context, o options) (_ *house, err error) {
	h := &house{options: o}
	if h.dir, err = os.MkdirTemp("", "audiences-bench-"); err != nil {
		return nil, err
	}
	if h.self, err = os.Executable(); err != nil {
		return nil, err
	}
	h.relay, h.profiled = filepath.Join(h.dir, "audiences"), filepath.Join(h.dir, "audiences-profiled")
	h.ecdsa, h.rsa = filepath.Join(h.dir, "ecdsa.pem"), filepath.Join(h.dir, "rsa.pem")
	return h, errors.Join(harness.Build(ctx, h.relay, smaller...), writeECDSA(h.ecdsa), writeRSA(h.rsa))
}

func (h *house) close() {
	for _, c := range h.children {
		c.Kill()
	}
	_ = os.RemoveAll(h.dir) // a temporary directory
}

// start starts a process and waits until it has said where it listens. Its standard
// input stays open as long as this process lives: our own roles end with it.
func (h *house) start(name string, env []string, args ...string) (*harness.Child, error) {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	if _, err := cmd.StdinPipe(); err != nil {
		return nil, err
	}
	c, err := harness.Begin(cmd)
	if err != nil {
		return nil, err
	}
	h.children = append(h.children, c)
	return c, c.AwaitListening()
}

// startReference starts a server that the relay is compared with: a role of this
// program, and its arguments.
func (h *house) startReference(l *ledger, role ...string) (target, *harness.Child, error) {
	c, err := h.start(h.self, nil, role...)
	if err != nil {
		return target{}, nil, err
	}
	return target{address: c.HTTPS, pid: c.PID(), ledger: l}, c, nil
}

// site is a relay with its journal, and its look-alike.
type site struct {
	house    *house
	dir      string
	settings map[string]any
	split    *harness.Child
	relay    *harness.Child
	binary   string
	env      []string
}

// Without limits: what Split would never allow, for scenarios that measure the relay.
var unlimited = map[string]any{"maxCallsPerSecond": 100_000, "maxCallsPerSecondPerTenant": 100_000}

// newSite starts a look-alike and a relay before it, which is configured as by
// default but for its addresses and these settings.
func (h *house) newSite(key string, settings map[string]any) (*site, error) {
	split, err := h.start(h.self, nil, splitRole)
	if err != nil {
		return nil, err
	}
	h.sites++
	s := &site{house: h, dir: filepath.Join(h.dir, fmt.Sprint("site-", h.sites)), split: split, binary: h.relay}
	s.settings = map[string]any{
		"port": 0, "authToken": harness.AuthToken, "keyFile": key, "journalDir": "journal",
		"adminAddress": "127.0.0.1:0", "splitApiUrl": split.Split, "logLevel": "info", "logFormat": "json", "minFreeDiskBytes": 0,
	}
	maps.Copy(s.settings, settings)
	return s, os.Mkdir(s.dir, 0o700)
}

// start starts the relay with these settings on top.
func (s *site) start(settings map[string]any) error {
	all := maps.Clone(s.settings)
	maps.Copy(all, settings)
	text, err := json.Marshal(all)
	if err != nil {
		return err
	}
	path := filepath.Join(s.dir, "audiences.config")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return err
	}
	s.relay, err = s.house.start(s.binary, s.env, path)
	return err
}

func (s *site) target(l *ledger) target {
	return target{address: s.relay.HTTPS, pid: s.relay.PID(), ledger: l}
}

// stop ends both processes.
func (s *site) stop() error {
	err := s.relay.Stop()
	s.split.Kill()
	return errors.Join(err, os.RemoveAll(s.dir))
}

// ready waits until all that was pending is active again.
func (s *site) ready(ctx context.Context) error {
	return harness.Until(ctx, time.Minute, "the relay is ready", func() (bool, error) { return s.relay.IsReady(), nil })
}

// settle starts the relay anew without ceilings, and waits until the look-alike has
// every key of the ledger.
func (s *site) settle(ctx context.Context, l *ledger) error {
	if err := s.relay.Stop(); err != nil {
		return err
	}
	if err := s.start(unlimited); err != nil {
		return err
	}
	return s.arrived(ctx, l)
}

// arrived waits until every key of the ledger is in the look-alike, and wants none
// that is not, and no promise to Split broken.
func (s *site) arrived(ctx context.Context, l *ledger) error {
	var differs error
	err := harness.Until(ctx, arrivalPatience, "every accepted key is in the look-alike", func() (bool, error) {
		state, err := s.splitState()
		if err != nil || state.Keys < l.total() {
			return false, err
		}
		has := map[string]sum{}
		if err := getJSON(s.split.Watch+"/sums", &has); err != nil {
			return false, err
		}
		differs = l.compare(has) // a chunk that was sent twice counts twice: look again
		return differs == nil, nil
	})
	if err != nil {
		return errors.Join(err, differs)
	}
	state, err := s.splitState()
	if err == nil && len(state.Violations) > 0 {
		err = fmt.Errorf("%d broken promises to Split, the first: %s", len(state.Violations), state.Violations[0])
	}
	return err
}

const arrivalPatience = 5 * time.Minute

func (s *site) splitState() (state splitState, err error) {
	return state, getJSON(s.split.Watch+"/state", &state)
}

// fault has the look-alike misbehave; an empty rule heals it.
func (s *site) fault(rule string) error {
	method := http.MethodPost
	if rule == "" {
		method = http.MethodDelete
	}
	request, err := http.NewRequest(method, s.split.Split+"/sandbox/faults", strings.NewReader(rule))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("look-alike: %s", response.Status)
	}
	return nil
}

func getJSON(url string, into any) error {
	response, err := http.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("get %s: %s", url, response.Status)
	}
	return json.NewDecoder(response.Body).Decode(into)
}
