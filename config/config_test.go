package config

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

const path0 = "some/dir/audiences.config"

// with is a correct file with one more line.
func with(line string) string {
	return "{\n\"authToken\": \"t0ken\",\n\"keyFile\": \"k.jks\",\n" + line + "\n}"
}

func environ(pairs map[string]string) (list []string) {
	for name, text := range pairs {
		list = append(list, name+"="+text)
	}
	return list
}

func mustParse(t *testing.T, text string, env map[string]string) Config {
	t.Helper()
	c, err := parse(path0, []byte(text), environ(env))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func faultsOf(t *testing.T, text string, env map[string]string) Faults {
	t.Helper()
	c, err := parse(path0, []byte(text), environ(env))
	var faults Faults
	if !errors.As(err, &faults) || len(faults) == 0 {
		t.Fatalf("no faults but %+v, %v", c, err)
	}
	return faults
}

func TestDefaults(t *testing.T) {
	got := mustParse(t, with(""), nil)
	want := Config{
		Port: 5010, AuthToken: NewSecret("t0ken"), SegmentsFlushRate: 10 * time.Second, KeyFile: "some/dir/k.jks",
		KeyPassword: NewSecret("password"), KeyEntryPassword: NewSecret("password"), JournalDir: "some/dir/audiences-journal",
		EgressGroup: "default", NodeName: hostName(), LeaseTime: 3 * time.Second,
		Deliver: true, SplitAPIURL: "https://api.split.io", AdminAddress: "127.0.0.1:3010", AdminOpenMetrics: true, LogLevel: "info", LogFormat: "auto", TLSKeyExchange: "any", TLSMinVersion: "1.2",
		SplitTimeout: 5 * time.Second, DrainTimeout: 20 * time.Second, IdleTimeout: 10 * time.Minute, MaxBodyBytes: 32 << 20, MaxKeysPerPost: 1_000_000,
		MaxConcurrentCalls: 64, MaxCallsPerSecond: 20, MaxCallsPerSecondPerTenant: 10, MaxRequestsInFlight: 4096,
		MaxBytesInFlight: 256 << 20, MinFreeDiskBytes: 512 << 20, ReceiptsMaxBytes: 512 << 20, ReceiptsMaxAge: 7 * 24 * time.Hour,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestShippedFile: the file at the project's root runs as it is, and says that
// its token is not for keeps.
func TestShippedFile(t *testing.T) {
	c, err := Load("../audiences.config", nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Port != 5010 || c.SegmentsFlushRate != 10*time.Second || c.KeyFile != filepath.Join("..", "testkey.jks") || len(c.Warnings) != 1 {
		t.Errorf("%+v", c)
	}
	if _, err := os.Stat(c.KeyFile); err != nil {
		t.Error(err)
	}
}

func TestOldServersFile(t *testing.T) {
	c := mustParse(t, `{"port":5011,"authToken":"foo","segmentsFlushRateInSeconds":"7","keyFile":"testkey.jks"}`, nil)
	if c.Port != 5011 || c.AuthToken != NewSecret("foo") || c.SegmentsFlushRate != 7*time.Second || c.KeyFile != "some/dir/testkey.jks" {
		t.Errorf("%+v", c)
	}
}

func TestAcceptedValues(t *testing.T) {
	for line, want := range map[string]func(Config) bool{
		`"port": 0`:                             func(c Config) bool { return c.Port == 0 },
		`"port": "443"`:                         func(c Config) bool { return c.Port == 443 },
		`"port": 5011, // the other one`:        func(c Config) bool { return c.Port == 5011 },
		`/* "port": 1 */`:                       func(c Config) bool { return c.Port == 5010 },
		`"segmentsFlushRateInSeconds": 0.25`:    func(c Config) bool { return c.SegmentsFlushRate == 250*time.Millisecond },
		`"segmentsFlushRateInSeconds": "1m30s"`: func(c Config) bool { return c.SegmentsFlushRate == 90*time.Second },
		`"drainTimeout": 0`:                     func(c Config) bool { return c.DrainTimeout == 0 },
		`"keyPassword": "pä ss\"\\ "`:           func(c Config) bool { return c.KeyEntryPassword == NewSecret(`pä ss"\ `) },
		`"keyEntryPassword": "entry"`: func(c Config) bool {
			return c.KeyEntryPassword == NewSecret("entry") && c.KeyPassword == NewSecret("password")
		},
		`"journalDir": "/var/lib/audiences"`:        func(c Config) bool { return c.JournalDir == "/var/lib/audiences" },
		`"journalDir": "../j/"`:                     func(c Config) bool { return c.JournalDir == "some/j" },
		`"journalKeyFile": "secret.key"`:            func(c Config) bool { return c.JournalKeyFile == "some/dir/secret.key" },
		`"splitApiUrl": "https://h:8443/base/"`:     func(c Config) bool { return c.SplitAPIURL == "https://h:8443/base" && len(c.Warnings) == 0 },
		`"splitApiUrl": "http://127.0.0.1:80"`:      func(c Config) bool { return len(c.Warnings) == 0 },
		`"splitApiUrl": "http://[::1]:80"`:          func(c Config) bool { return len(c.Warnings) == 0 },
		`"splitApiUrl": "http://LocalHost"`:         func(c Config) bool { return len(c.Warnings) == 0 },
		`"deliver": false`:                          func(c Config) bool { return !c.Deliver && len(c.Warnings) == 1 },
		`"splitApiUrl": "http://split.internal"`:    func(c Config) bool { return len(c.Warnings) == 1 },
		`"adminAddress": ""`:                        func(c Config) bool { return c.AdminAddress == "" },
		`"adminAddress": ":0"`:                      func(c Config) bool { return c.AdminAddress == ":0" },
		`"adminTls": true`:                          func(c Config) bool { return c.AdminTLS },
		`"adminTls": "false", "adminPprof": "true"`: func(c Config) bool { return !c.AdminTLS && c.AdminPprof },
		`"adminOpenMetrics": false`:                 func(c Config) bool { return !c.AdminOpenMetrics },
		`"adminAddress": "[::1]:3010"`:              func(c Config) bool { return c.AdminAddress == "[::1]:3010" },
		`"maxCallsPerSecond": 0.5`:                  func(c Config) bool { return c.MaxCallsPerSecond == 0.5 },
		`"maxBodyBytes": 268435456`:                 func(c Config) bool { return c.MaxBodyBytes == c.MaxBytesInFlight },
		`"minFreeDiskBytes": 0`:                     func(c Config) bool { return c.MinFreeDiskBytes == 0 },
		`"moreKeyFiles": ["b.pem", "/c.pem", ]`:     func(c Config) bool { return slices.Equal(c.MoreKeyFiles, []string{"some/dir/b.pem", "/c.pem"}) },
		`"clientCaFile": "callers.pem"`:             func(c Config) bool { return c.ClientCAFile == "some/dir/callers.pem" },
		`"tlsMinVersion": "1.3"`:                    func(c Config) bool { return c.TLSMinVersion == "1.3" },
		`"tlsKeyExchange": "classical"`:             func(c Config) bool { return c.TLSKeyExchange == "classical" },
		`"egressGroup": "nat 1"`:                    func(c Config) bool { return c.EgressGroup == "nat 1" },
		`"nodeName": "relay-ä"`:                     func(c Config) bool { return c.NodeName == "relay-ä" },
		`"nodeName": ""`:                            func(c Config) bool { return c.NodeName == hostName() },
		`"leaseTime": 60`:                           func(c Config) bool { return c.LeaseTime == time.Minute },
		`"leaseTime": "1s"`:                         func(c Config) bool { return c.LeaseTime == time.Second },
		`"journal": ""`:                             func(c Config) bool { return !c.JournalInDatabase() && len(c.Warnings) == 0 },
		`"logLevel": "debug", "logFormat": "json"`:  func(c Config) bool { return c.LogLevel == "debug" && c.LogFormat == "json" },
	} {
		if c := mustParse(t, with(line), nil); !want(c) {
			t.Errorf("%s gave %+v", line, c)
		}
	}
	if c := mustParse(t, "\ufeff"+with("")+" // no line end after this", nil); c.Port != 5010 {
		t.Errorf("%+v", c)
	}
}

func TestEnvironmentBeatsFile(t *testing.T) {
	dir := t.TempDir()
	token, password := filepath.Join(dir, "token"), filepath.Join(dir, "password")
	for file, text := range map[string]string{token: "from-file\n", password: "  kept blanks \r\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := mustParse(t, with(`"port": 1, "journalDir": "j", "adminAddress": "h:1"`), map[string]string{
		"AUDIENCES_PORT": "5012", "AUDIENCES_AUTH_TOKEN_FILE": token, "AUDIENCES_KEY_PASSWORD_FILE": password,
		"AUDIENCES_SEGMENTS_FLUSH_RATE_IN_SECONDS": "2", "AUDIENCES_KEY_FILE": "env.p12", "AUDIENCES_ADMIN_ADDRESS": "",
		"AUDIENCES_SPLIT_API_URL": "http://localhost:1/", "AUDIENCES_KEY_ENTRY_PASSWORD": "entry", "AUDIENCES_IDLE_TIMEOUT": "1h",
	})
	want := mustParse(t, `{"authToken": "from-file", "keyFile": "env.p12", "keyPassword": "  kept blanks ", "keyEntryPassword": "entry", "port": 5012,
		"segmentsFlushRateInSeconds": 2, "splitApiUrl": "http://localhost:1", "adminAddress": "", "journalDir": "j", "idleTimeout": 3600}`, nil)
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
	if c := mustParse(t, "{}", map[string]string{"AUDIENCES_AUTH_TOKEN": "a", "AUDIENCES_KEY_FILE": "/k"}); c.KeyFile != "/k" {
		t.Errorf("%+v", c)
	}
}

// TestKeysAreDocumented: the table is complete, its defaults pass its own rules,
// and the names of the variables are the documented ones.
func TestKeysAreDocumented(t *testing.T) {
	if fields, keys := reflect.TypeFor[Config]().NumField()-1, len(Keys()); fields != keys {
		t.Errorf("%d fields, %d keys", fields, keys)
	}
	for i, doc := range Keys() {
		if doc.Doc == "" || doc.Right == "" || doc.Required != (doc.Default == "required") {
			t.Errorf("incomplete: %+v", doc)
		}
		if problem := table[i].apply(new(Config), value{text: doc.Default}); !doc.Required && problem != "" {
			t.Errorf("default of %s: %s", doc.Name, problem)
		}
	}
	variables := map[string]string{}
	for _, doc := range Keys() {
		variables[doc.Env] = doc.FileEnv
	}
	for variable, file := range map[string]string{
		"AUDIENCES_PORT": "", "AUDIENCES_AUTH_TOKEN": "AUDIENCES_AUTH_TOKEN_FILE", "AUDIENCES_SEGMENTS_FLUSH_RATE_IN_SECONDS": "",
		"AUDIENCES_KEY_FILE": "", "AUDIENCES_KEY_PASSWORD": "AUDIENCES_KEY_PASSWORD_FILE", "AUDIENCES_JOURNAL_DIR": "",
		"AUDIENCES_SPLIT_API_URL": "", "AUDIENCES_ADMIN_ADDRESS": "", "AUDIENCES_KEY_ENTRY_PASSWORD": "AUDIENCES_KEY_ENTRY_PASSWORD_FILE",
		"AUDIENCES_ADMIN_USERS": "AUDIENCES_ADMIN_USERS_FILE", "AUDIENCES_ADMIN_TLS": "",
		"AUDIENCES_JOURNAL": "AUDIENCES_JOURNAL_FILE", "AUDIENCES_EGRESS_GROUP": "", "AUDIENCES_NODE_NAME": "", "AUDIENCES_LEASE_TIME": "",
	} {
		if got, ok := variables[variable]; !ok || got != file {
			t.Errorf("%s: %v, file variable %q; the variables are %v", variable, ok, got, slices.Sorted(maps.Keys(variables)))
		}
	}
}

// TestReadFaults: what cannot be read is a fault that names it, once.
func TestReadFaults(t *testing.T) {
	dir := t.TempDir()
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, make([]byte, maxFileBytes+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{filepath.Join(dir, "absent"), dir, large} {
		var faults Faults
		if _, err := Load(file, nil); !errors.As(err, &faults) || len(faults) != 1 || faults[0].Source != file || strings.Contains(faults[0].Problem, file) {
			t.Errorf("%s: %v", file, err)
		}
		faults = faultsOf(t, with(""), map[string]string{"AUDIENCES_AUTH_TOKEN_FILE": file})
		if len(faults) != 1 || faults[0].Source != "environment variable AUDIENCES_AUTH_TOKEN_FILE" || strings.Count(faults[0].Problem, file) != 1 {
			t.Errorf("%s: %v", file, faults)
		}
	}
}
