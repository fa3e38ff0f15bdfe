package test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"audiences/config"
	"audiences/sandbox"
	"audiences/test/harness"
)

// sealKey puts a new key file there, with this password.
func sealKey(t *testing.T, path, password string) {
	t.Helper()
	made := path + ".new.jks"
	if code, _, stderr := harness.Run(t, []string{"AUDIENCES_KEY_PASSWORD=" + password}, "keygen", "-out", made); code != exitDone {
		t.Fatal(stderr)
	}
	if err := os.Rename(made, path); err != nil {
		t.Fatal(err)
	}
}

// servedBy is the serial number of the certificate that a process presents.
func servedBy(t *testing.T, p *harness.Process) string {
	t.Helper()
	return dialTLS(t, p).ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// reloadEvent is what the relay tells of a reload.
type reloadEvent struct {
	Kind, Who, Fault string
	Taken            []string
}

// eventsOf are those of one kind, the newest first.
func eventsOf(t *testing.T, p *harness.Process, kind string) (found []reloadEvent) {
	t.Helper()
	answer, err := p.AdminGet("/admin/api/v1/events")
	var list struct{ Events []reloadEvent }
	if err != nil || json.Unmarshal([]byte(answer.Body), &list) != nil {
		t.Fatalf("%d %v", answer.Status, err)
	}
	for _, event := range list.Events {
		if event.Kind == kind {
			found = append(found, event)
		}
	}
	return found
}

// TestReloadCommand: every key that needs no restart is taken, and one that does is named. The
// answer, the log and an event tell, and none of them a secret.
func TestReloadCommand(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{}, map[string]any{"segmentsFlushRateInSeconds": 3600})
	p := s.Start()
	p.MustPost(harness.Change{Segment: "sBefore", Keys: []string{"1"}})
	before := servedBy(t, p)
	key := filepath.Join(s.Dir, "own.jks")
	sealKey(t, key, secretPassword)
	s.Configure(map[string]any{
		"authToken": secretAuth, "authTokens": []any{map[string]any{"name": "a", "token": secretToken}},
		"segmentsFlushRateInSeconds": 0.05, "keyFile": key, "keyPassword": secretPassword, "keyEntryPassword": secretPassword,
		"maxConcurrentCalls": 8, "maxCallsPerSecond": 100, "maxCallsPerSecondPerTenant": 50, "logLevel": "debug",
		"tenantNames": map[string]any{"0123456789ab": "acme"}, "strictSecretFiles": true,
		"adminUsers":  []any{map[string]any{"name": "bot", "role": "viewer", "token": strings.Repeat(secretToken, 3)}},
		"idleTimeout": "9m",
	})
	code, said, stderr := harness.Run(t, nil, "reload", "--address", p.Admin)
	var live []string
	for _, k := range config.Keys() {
		if k.Live {
			live = append(live, k.Name)
		}
	}
	if want := "Taken: " + strings.Join(live, ", ") + "\nNeeds a restart: idleTimeout\n"; code != exitDone || !strings.HasPrefix(said, want) {
		t.Errorf("%d %s%s, want %s", code, said, stderr, want)
	}
	if servedBy(t, p) == before {
		t.Error("the certificate is the one of before")
	}
	if answer, err := p.Send(t.Context(), http.MethodPost, "/audiences", secretToken, harness.Change{Segment: "sAfter", Keys: []string{"2"}}.Body()); err != nil || answer.Status != http.StatusOK {
		t.Errorf("%d %v", answer.Status, err)
	}
	harness.Eventually(t, harness.Patience, "the new interval counts", func() bool { return len(s.Members("sAfter")) == 1 })
	if len(s.Members("sBefore")) > 0 {
		t.Error("a segment that gathered has sent early")
	}
	if !strings.Contains(p.Log(), `"level":"debug"`) {
		t.Error("the log's level is the one of before")
	}
	if events := eventsOf(t, p, "configuration_reloaded"); len(events) != 1 || strings.Join(events[0].Taken, ",") != strings.Join(live, ",") || events[0].Who != "loopback" {
		t.Errorf("%+v", events)
	}
	_, told, _ := harness.Run(t, nil, "events", "--address", p.Admin)
	if !strings.Contains(told, "The configuration was read again; taken: authToken, ") || !strings.Contains(told, "; needs a restart: idleTimeout by loopback.") {
		t.Error(told)
	}
	s.Configure(map[string]any{"authToken": secretAuth, "logLevel": "error"})
	if code, said, _ := harness.Run(t, nil, "reload", "--address", p.Admin); code != exitDone || !strings.Contains(said, "logLevel") {
		t.Errorf("%d %s", code, said)
	}
	quiet := strings.Count(p.Log(), "\n")
	if code, said, _ := harness.Run(t, nil, "reload", "--address", p.Admin); code != exitDone || !strings.Contains(said, "Taken: -\nNeeds a restart: -\n") {
		t.Errorf("%d %s", code, said)
	}
	if strings.Count(p.Log(), "\n") != quiet {
		t.Error("lines under the level are logged")
	}
	mustNotShow(t, "what is told of a reload", said+told+p.Log(), secretAuth, secretPassword, secretToken)
}

// TestReloadIsAtomic: where one value has a fault none is taken, whatever it is, and the
// command, the log and an event tell which.
func TestReloadIsAtomic(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{}, nil)
	p := s.Start()
	served := servedBy(t, p)
	broken := filepath.Join(s.Dir, "broken.jks")
	sealKey(t, broken, secretPassword)
	for fault, settings := range map[string]map[string]any{
		`"prot"`:         {"prot": 5},
		"password":       {"keyFile": broken},
		"none.jks":       {"keyFile": "none.jks"},
		"maxBytesInFlig": {"maxBodyBytes": 1 << 35},
	} {
		settings["authToken"], settings["logLevel"] = "other", "error"
		s.Configure(settings)
		code, _, stderr := harness.Run(t, nil, "reload", "--address", p.Admin)
		if code != 1 || !strings.Contains(stderr, "all stays as it was") || !strings.Contains(stderr, fault) {
			t.Errorf("%s: %d %s", fault, code, stderr)
		}
		p.MustPost(harness.Change{Segment: "s", Keys: []string{"1"}}) // with the token of before
		if events := eventsOf(t, p, "configuration_refused"); len(events) == 0 || !strings.Contains(events[0].Fault, fault) {
			t.Errorf("%s: %+v", fault, events)
		}
	}
	if servedBy(t, p) != served {
		t.Error("another certificate is served")
	}
	if logged := p.Log(); strings.Count(logged, "has a fault: all stays as it was") < 4 {
		t.Error(logged)
	}
}

// posting has callers post all the time with what is known to be the token then; what it
// returns ends that and tells how many posts there were, of which none may fail.
func posting(t *testing.T, p *harness.Process, segment string, known *atomic.Value) (end func() int) {
	t.Helper()
	ended := make(chan struct{})
	var posts atomic.Int64
	var callers sync.WaitGroup
	for n := range 4 {
		callers.Go(func() {
			for {
				select {
				case <-ended:
					return
				case <-time.After(5 * time.Millisecond):
				}
				answer, err := p.Send(t.Context(), http.MethodPost, "/audiences", known.Load().(string), harness.Change{Segment: segment, Keys: []string{fmt.Sprint(posts.Add(1))}}.Body())
				if err != nil || answer.Status != http.StatusOK {
					t.Errorf("caller %d: %d %v", n, answer.Status, err)
					return
				}
			}
		})
	}
	return func() int {
		close(ended)
		callers.Wait()
		return int(posts.Load())
	}
}

// TestReloadUnderLoad: while callers post, the configuration is read again and again, each
// time with other ceilings, intervals and certificates, and with faults. No post fails, and
// all keys are delivered.
func TestReloadUnderLoad(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{}, nil)
	p := s.Start()
	key := filepath.Join(s.Dir, "own.jks")
	sealKey(t, key, "password")
	var known atomic.Value
	known.Store(harness.AuthToken)
	end := posting(t, p, "sLoad", &known)
	for round := range 12 {
		settings := map[string]any{"segmentsFlushRateInSeconds": 0.05 + 0.1*float64(round%3), "maxCallsPerSecond": 5 + round,
			"maxCallsPerSecondPerTenant": 1000 - 90*round, "maxConcurrentCalls": 1 + 7*(round%4), "logLevel": []string{"info", "debug"}[round%2]}
		if round%2 == 0 {
			settings["keyFile"] = key
		}
		want := exitDone
		if round%5 == 4 {
			settings["prot"], want = 1, 1
		}
		s.Configure(settings)
		if code, said, stderr := harness.Run(t, nil, "reload", "--address", p.Admin); code != want {
			t.Errorf("round %d: %d %s%s", round, code, said, stderr)
		}
	}
	posts := end()
	harness.Eventually(t, harness.Patience, "all keys are delivered", func() bool { return len(s.Members("sLoad")) == posts })
	s.Judge()
}

// TestKeyFileAndTokenRotate: the key file, its password and the token are replaced at once,
// each in a file of its own that comes a while after the others. No post fails; all of it is
// taken without a signal, once it fits together.
func TestKeyFileAndTokenRotate(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{}, nil)
	file := func(name string) string { return filepath.Join(s.Dir, name) }
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(file(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("token", "the old one")
	write("password", "old password")
	sealKey(t, file("own.jks"), "old password")
	s.Configure(map[string]any{"authToken": nil, "keyFile": "own.jks"})
	p := s.LaunchWith([]string{"AUDIENCES_AUTH_TOKEN_FILE=" + file("token"), "AUDIENCES_KEY_PASSWORD_FILE=" + file("password")})
	p.Listening()
	served := servedBy(t, p)
	var known atomic.Value
	known.Store("the old one")
	end := posting(t, p, "sBoth", &known)
	write("token", "the new one")
	write("password", "new password") // the key file is still the old one
	harness.Eventually(t, harness.Patience, "the fault is told", func() bool { return strings.Contains(p.Log(), "has a fault: all stays as it was") })
	sealKey(t, file("own.jks"), "new password")
	harness.Eventually(t, harness.Patience, "the new certificate is served", func() bool { return servedBy(t, p) != served })
	harness.Eventually(t, harness.Patience, "the new token is taken", func() bool {
		answer, err := p.Send(t.Context(), http.MethodPost, "/audiences", "the new one", harness.Change{Segment: "sOther", Keys: []string{"0"}}.Body())
		return err == nil && answer.Status == http.StatusOK
	})
	known.Store("the new one")
	posts := end()
	if events := eventsOf(t, p, "configuration_refused"); len(events) != 1 {
		t.Errorf("the same fault is told %d times: %+v", len(events), events)
	}
	harness.Eventually(t, harness.Patience, "all keys are delivered", func() bool { return len(s.Members("sBoth")) == posts })
}

// TestSecretIsOwed: a token changed while the configuration had a fault, and was not taken
// when that was mended, until something else changed.
func TestSecretIsOwed(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{}, map[string]any{"authToken": nil})
	file := filepath.Join(s.Dir, "token")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("the old one")
	p := s.LaunchWith([]string{"AUDIENCES_AUTH_TOKEN_FILE=" + file})
	p.Listening()
	s.Configure(map[string]any{"authToken": nil, "prot": 1})
	write("the new one")
	harness.Eventually(t, harness.Patience, "the fault is told", func() bool { return strings.Contains(p.Log(), "prot") })
	s.Configure(map[string]any{"authToken": nil})
	harness.Eventually(t, harness.Patience, "the new token is taken", func() bool {
		answer, err := p.Send(t.Context(), http.MethodPost, "/audiences", "the new one", harness.Change{Segment: "s", Keys: []string{"0"}}.Body())
		return err == nil && answer.Status == http.StatusOK
	})
}

// TestStrictSecretFiles: a start, a reload and check tell of a file that everybody may read,
// and where that is asked for refuse it, and name it with its mode.
func TestStrictSecretFiles(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{}, nil)
	key := filepath.Join(s.Dir, "own.jks")
	sealKey(t, key, "password")
	configure := func(strict bool, mode os.FileMode) {
		t.Helper()
		s.Configure(map[string]any{"keyFile": key, "strictSecretFiles": strict, "logLevel": "info"})
		if err := os.Chmod(s.Config(), mode); err != nil {
			t.Fatal(err)
		}
	}
	const words = "holds authToken, and everybody on this machine may use it (mode 0644); chmod o-rwx"
	configure(false, 0o644)
	p := s.Start()
	if !strings.Contains(p.Log(), words) || !strings.Contains(p.Log(), s.Config()) {
		t.Error("no warning in the log")
	}
	if code, said, _ := harness.Run(t, nil, "check", s.Config()); strings.Count(said, words) != 1 {
		t.Errorf("check: %d %s", code, said)
	}
	configure(true, 0o644)
	if code, _, stderr := harness.Run(t, nil, "reload", "--address", p.Admin); code != 1 || !strings.Contains(stderr, words) {
		t.Errorf("reload: %d %s", code, stderr)
	}
	for _, args := range [][]string{{"check", s.Config()}, {"serve", s.Config()}} {
		if code, said, stderr := harness.Run(t, nil, args...); code != exitWrong || !strings.Contains(said+stderr, words) {
			t.Errorf("%s: %d %s%s", args[0], code, said, stderr)
		}
	}
	configure(true, 0o600)
	if code, said, stderr := harness.Run(t, nil, "reload", "--address", p.Admin); code != exitDone || !strings.Contains(said, "Taken: strictSecretFiles\n") {
		t.Errorf("reload: %d %s%s", code, said, stderr)
	}
}
