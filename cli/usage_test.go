package cli

import (
	"strings"
	"testing"

	"audiences/api/admin"
)

// TestMistakesAreOneLine: what is wrong with a command line is one line, which says where
// there is more, and the exit code is that of a wrong command line, also where the relay
// would have to tell. It is not asked.
func TestMistakesAreOneLine(t *testing.T) {
	for line, want := range map[string]struct{ says, help string }{
		"segments --state bogus":                  {"it is one of token_refused, parked", "segments"},
		"tenants --state bogus":                   {"it is one of token_refused, parked", "tenants"},
		"flush acme --state bogus":                {"it is one of token_refused, parked", "flush"},
		"discard acme --yes --state=":             {"it is one of token_refused, parked", "discard"},
		"discard acme --yes --search=":            {"--search", "discard"},
		"segments --limit 0":                      {"a number from 1 to 1,000", "segments"},
		"segments --limit 1001":                   {"a number from 1 to 1,000", "segments"},
		"segments --limit x":                      {"a number from 1 to 1,000", "segments"},
		"segments --tenant=":                      {"--tenant", "segments"},
		"events --limit 0":                        {"a number from 1 to 1,000", "events"},
		"events --limit 0 --watch":                {"a number from 1 to 1,000", "events"},
		"events --before x":                       {"--before", "events"},
		"segments acme":                           {`unexpected argument "acme"`, "segments"},
		"segments --nonsense":                     {"--nonsense", "segments"},
		"show acme":                               {"ENVIRONMENT/SEGMENT", "show"},
		"pause acme --until yesterday":            {"--until", "pause"},
		"pause acme --until=":                     {"--until", "pause"},
		"pause acme --for=":                       {"--for", "pause"},
		"flush acme --state paused --workspace w": {"--workspace", "flush"},
		"move acme":                               {"the new one", "move"},
		"discard acme":                            {"--yes", "discard"},
		"parked --workspace w":                    {"--workspace", "parked"},
		"parked acme --reveal":                    {"--reveal", "parked"},
		"where 1 --workspace w":                   {"--workspace", "where"},
		"where 1 --segment e/s":                   {"--tenant", "where"},
		"where":                                   {"it takes a key", "where"},
		"keygen --days 0":                         {"--days", "keygen"},
		"sandbox --tenants 1":                     {"--tenants", "sandbox"},
		"sandbox --port 99999":                    {"65535", "sandbox"},
		"sandbox --flush 0s":                      {"--flush", "sandbox"},
		"sandbox --scenario bogus":                {"--scenario is one of healthy", "sandbox"},
		"completion none":                         {"shells", "completion"},
		"completion bash x":                       {`unexpected argument "x"`, "completion bash"},
		"help nonsense":                           {"nonsense", ""},
		"--nonsense":                              {"--nonsense", ""},
		"serve":                                   {"configuration file", "serve"},
	} {
		got := runOn(t, strings.Fields(line)...)
		end := strings.TrimSpace("; see: audiences help "+want.help) + "\n"
		if got.code != exitWrong || got.stdout != "" || !strings.Contains(got.stderr, want.says) || !strings.HasSuffix(got.stderr, end) || strings.Count(got.stderr, "\n") != 1 {
			t.Errorf("%s: %+v", line, got)
		}
	}
}

// TestNoCommandListsThem: who does not know any command is told which there are.
func TestNoCommandListsThem(t *testing.T) {
	if got := runOn(t); got.code != exitWrong || !strings.Contains(got.stderr, "audiences keygen") || strings.Contains(got.stderr, "Flags:") {
		t.Errorf("%+v", got)
	}
}

// TestWhatTheRelayFindsWrong with a command line has the same exit code as what the command
// finds itself.
func TestWhatTheRelayFindsWrong(t *testing.T) {
	for _, line := range []string{"segments --cursor junk", "pause acme --until 2001-01-01T00:00:00Z", "pause acme --for 2", "where 1 --tenant b"} {
		if got := runAgainst(t, 400, admin.Problem{Error: "it is wrong"}, strings.Fields(line)...); got.code != exitWrong || !strings.Contains(got.stderr, "it is wrong") {
			t.Errorf("%s: %+v", line, got)
		}
	}
	if got := runAgainst(t, 400, "HTTPS is spoken here", "segments"); got.code != exitFailed {
		t.Errorf("something else than the relay: %+v", got)
	}
}
