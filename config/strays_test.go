package config

import (
	"strings"
	"testing"
)

// links are what Kubernetes writes for a service of that name.
func links(name string) map[string]string {
	return map[string]string{
		name + "_SERVICE_HOST": "10.0.0.1", name + "_SERVICE_PORT": "5010", name + "_SERVICE_PORT_HTTPS": "5010", name + "_SERVICE_PORT_ADMIN_UI": "3010",
		name + "_PORT": "tcp://10.0.0.1:5010", name + "_PORT_5010_TCP": "tcp://10.0.0.1:5010", name + "_PORT_5010_TCP_ADDR": "10.0.0.1",
		name + "_PORT_5010_TCP_PORT": "5010", name + "_PORT_5010_TCP_PROTO": "tcp", name + "_PORT_53_UDP": "udp://10.0.0.1:53", name + "_PORT_53_UDP_PROTO": "udp",
	}
}

func TestStrayVariables(t *testing.T) {
	for name, want := range map[string]string{
		"AUDIENCES_PROT": "did you mean AUDIENCES_PORT?", "AUDIENCES_POT": "AUDIENCES_PORT?", "audiences_port": "AUDIENCES_PORT?", "Audiences_Port": "AUDIENCES_PORT?",
		"AUDIENCES-PORT": "AUDIENCES_PORT?", "AUDIENCE_PORT": "AUDIENCES_PORT?", "AUDIENCES_AUTHTOKEN": "AUDIENCES_AUTH_TOKEN?",
		"AUDIENCES_TOKEN": "AUDIENCES_AUTH_TOKEN?", "AUDIENCES_AUTH_TOKEN_FIEL": "AUDIENCES_AUTH_TOKEN_FILE?", "AUDIENCES_KEYPASSWORD_FILE": "AUDIENCES_KEY_PASSWORD_FILE?",
		"AUDIENCES_PORT_FILE": "AUDIENCES_PORT has no variant that names a file", "AUDIENCES_KEY_FILE_FILE": "AUDIENCES_KEY_FILE has no variant",
		"AUDIENCES_MAX_CALLS": "AUDIENCES_MAX_CALLS_PER_SECOND?", "AUDIENCES_": "no key", "AUDIENCES_XYZ": "no key", "AUDIENCES_SERVICE": "no key",
	} {
		c, err := parse(path0, []byte(with("")), environ(map[string]string{name: "hunter2"}))
		if err != nil || len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], `"`+name+`"`) || !strings.Contains(c.Warnings[0], want) {
			t.Errorf("%s: %q, %v; want a warning with %q", name, c.Warnings, err, want)
		}
		if strings.Contains(strings.Join(c.Warnings, ""), "hunter2") {
			t.Errorf("%s: the warning repeats the value: %q", name, c.Warnings)
		}
	}
	for _, name := range []string{"PORT", "AUDIO_PORT", "AUDIT_LOG_LEVEL", "audience", "AUDIENCES", "MY_AUDIENCES_PORT", "AUDIENCES_PROFILING_ADDRESS", "AUDITORS_PORT"} {
		if c := mustParse(t, with(""), map[string]string{name: "x"}); len(c.Warnings) != 0 {
			t.Errorf("%s: %q", name, c.Warnings)
		}
	}
	c := mustParse(t, with(""), map[string]string{"AUDIENCES_PROT": "1", "AUDIENCES_LOGLEVEL": "x", "AUDIENCES_PORT": "5011"})
	if len(c.Warnings) != 2 || !strings.Contains(c.Warnings[0], "AUDIENCES_LOG_LEVEL") || c.Port != 5011 {
		t.Errorf("%q, port %d", c.Warnings, c.Port)
	}
}

// TestServiceLinks: what Kubernetes writes about services with our name is neither
// a value of ours nor worth a word.
func TestServiceLinks(t *testing.T) {
	for _, name := range []string{"AUDIENCES", "AUDIENCES_ADMIN", "AUDIENCES_RELAY_V2", "AUDIENCE"} {
		c := mustParse(t, with(`"port": 5017`), links(name))
		if c.Port != 5017 || len(c.Warnings) != 0 {
			t.Errorf("%s: port %d, %q", name, c.Port, c.Warnings)
		}
	}
	docker := map[string]string{
		"AUDIENCES_PORT": "tcp://172.17.0.5:5010", "AUDIENCES_PORT_5010_TCP": "tcp://172.17.0.5:5010", "AUDIENCES_NAME": "/web/audiences", "AUDIENCES_ENV_PATH": "/bin",
	}
	if c := mustParse(t, with(""), docker); c.Port != 5010 || len(c.Warnings) != 0 {
		t.Errorf("port %d, %q", c.Port, c.Warnings)
	}
	both := links("AUDIENCES")
	both["AUDIENCES_PORT"] = "5018" // a pod's own value takes the link's place
	if c := mustParse(t, with(""), both); c.Port != 5018 || len(c.Warnings) != 0 {
		t.Errorf("port %d, %q", c.Port, c.Warnings)
	}
	alone := faultsOf(t, with(""), map[string]string{"AUDIENCES_PORT": "tcp://0.0.0.0:5010"})
	if len(alone) != 1 || alone[0].Key != "port" || !strings.Contains(alone[0].Problem, "whole number") {
		t.Errorf("%v", alone)
	}
}

// TestFirstOfTwoVariables: as os.Getenv has it.
func TestFirstOfTwoVariables(t *testing.T) {
	c, err := parse(path0, []byte(with("")), []string{"AUDIENCES_PORT=1", "AUDIENCES_PORT=2", "noise", "=C:=x", ""})
	if err != nil || c.Port != 1 || len(c.Warnings) != 0 {
		t.Errorf("port %d, %q, %v", c.Port, c.Warnings, err)
	}
}
