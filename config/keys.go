package config

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

// required in place of a default: the key has none.
const required = "required"

// defaultJournalDir is set by the linker where the binary is to have another one, as in
// `-ldflags "-X audiences/config.defaultJournalDir=/var/lib/audiences"`: the image's is
// where its volume is. A variable of the environment there would be taken for the
// operator's word.
var defaultJournalDir = "audiences-journal"

// table has every key there is. The rest of the package knows none by name, apart
// from the few that are checked against each other.
var table = []key{
	whole("port", "5010", 0, 65535, "HTTPS port, on all interfaces; 0: any free one", func(c *Config) *int { return &c.Port }),
	live(secret("authToken", required, "what callers send in the Authorization header", "printable ASCII text without blanks around it", headerValue, func(c *Config) *Secret { return &c.AuthToken })),
	live(tokens("authTokens", "the same, several at once and each with an end, if it is to have one, so that they can be rotated; where there are any, authToken may be missing", func(c *Config) *[]AuthToken { return &c.AuthTokens })),
	live(duration("segmentsFlushRateInSeconds", "10", time.Millisecond, 24*time.Hour, "how long a segment gathers keys before they are sent to Split", func(c *Config) *time.Duration { return &c.SegmentsFlushRate })),
	live(path("keyFile", required, "certificate and private key of the HTTPS port: JKS, PKCS12 or PEM, told by content", func(c *Config) *string { return &c.KeyFile })),
	paths("moreKeyFiles", "more key files, with the same passwords; callers get the certificate that names the host they ask for, and that of keyFile if none does", func(c *Config) *[]string { return &c.MoreKeyFiles }),
	live(secret("keyPassword", "password", "password of the key file", "text", nil, func(c *Config) *Secret { return &c.KeyPassword })),
	live(secret("keyEntryPassword", "", "password of the private key in a JKS key file; empty: the same as keyPassword", "text", nil, func(c *Config) *Secret { return &c.KeyEntryPassword })),
	path("clientCaFile", "", "PEM file of authorities; callers must show a certificate of one of them on the HTTPS port; empty: they need none", func(c *Config) *string { return &c.ClientCAFile }),
	choice("tlsKeyExchange", "any", []string{"any", "classical"}, "key exchanges of the HTTPS port; classical: without the post-quantum ones, which take a third more processor time a handshake", func(c *Config) *string { return &c.TLSKeyExchange }),
	choice("tlsMinVersion", "1.2", []string{"1.2", "1.3"}, "least version of TLS that is spoken, also on adminAddress", func(c *Config) *string { return &c.TLSMinVersion }),
	secret("journal", "", "URL of the PostgreSQL database that holds what is accepted and not yet delivered, shared by several nodes; empty: it is in journalDir", "a URL such as postgres://user:password@host:5432/database, or empty", databaseURL, func(c *Config) *Secret { return &c.Journal }),
	path("journalDir", defaultJournalDir, "directory of what is accepted and not yet delivered", func(c *Config) *string { return &c.JournalDir }),
	path("journalKeyFile", "", "key that encrypts apiTokens in the journal; empty: one that the journal makes for itself. With journal it is required, and the same on all nodes", func(c *Config) *string { return &c.JournalKeyFile }),
	label("egressGroup", "default", "with journal: nodes of the same group leave through the same IP address and share what Split allows that address", func(c *Config) *string { return &c.EgressGroup }),
	label("nodeName", "", "with journal: what operators know this node by; empty: the host name", func(c *Config) *string { return &c.NodeName }),
	duration("leaseTime", "3s", time.Second, time.Minute, "with journal: after that time without a word from a node the others take its tenants over", func(c *Config) *time.Duration { return &c.LeaseTime }),
	flag("deliver", "true", "false: changes are taken and kept, and nothing is sent to Split, until a start with true", func(c *Config) *bool { return &c.Deliver }),
	httpURL("splitApiUrl", "https://api.split.io", "Split's Admin API", func(c *Config) *string { return &c.SplitAPIURL }),
	listenAddress("adminAddress", "127.0.0.1:3010", "address of the operator's side: probes, metrics, pages; empty: off", func(c *Config) *string { return &c.AdminAddress }),
	flag("adminTls", "false", "HTTPS on adminAddress, with the certificate of keyFile", func(c *Config) *bool { return &c.AdminTLS }),
	live(users("adminUsers", "who may come in on an adminAddress that other machines can reach", func(c *Config) *[]AdminUser { return &c.AdminUsers })),
	flag("adminOpenMetrics", "true", "metrics for everybody who reaches adminAddress; false: for adminUsers alone", func(c *Config) *bool { return &c.AdminOpenMetrics }),
	flag("adminPprof", "false", "profiles of the process under /debug/pprof on adminAddress, for operators", func(c *Config) *bool { return &c.AdminPprof }),
	live(tenantNames("tenantNames", "names that people know, by the fingerprints of tenants", func(c *Config) *map[string]string { return &c.TenantNames })),
	live(flag("strictSecretFiles", "false", "files with secrets that everybody on the machine may use are refused; false: a warning", func(c *Config) *bool { return &c.StrictSecretFiles })),
	live(choice("logLevel", "info", []string{"trace", "debug", "info", "warn", "error"}, "least level that is logged", func(c *Config) *string { return &c.LogLevel })),
	choice("logFormat", "auto", []string{"auto", "json", "console"}, "auto: console on a terminal, otherwise json", func(c *Config) *string { return &c.LogFormat }),
	duration("splitTimeout", "5s", time.Millisecond, 10*time.Minute, "longest wait for Split's answer to one call", func(c *Config) *time.Duration { return &c.SplitTimeout }),
	duration("drainTimeout", "20s", 0, time.Hour, "longest time for delivering what is pending when the process is told to stop", func(c *Config) *time.Duration { return &c.DrainTimeout }),
	duration("idleTimeout", "10m", time.Millisecond, 7*24*time.Hour, "how long a segment without work stays in memory", func(c *Config) *time.Duration { return &c.IdleTimeout }),
	whole("maxBodyBytes", "33554432", 1024, 1<<40, "largest request body in bytes", func(c *Config) *int64 { return &c.MaxBodyBytes }),
	whole("maxKeysPerPost", "1000000", 1, 2_000_000, "different keys in one request; beyond it 413", func(c *Config) *int { return &c.MaxKeysPerPost }), // 2,000,000 of the longest still fit into one batch of the store, which ends at 4 GiB
	live(whole("maxConcurrentCalls", "64", 1, 10_000, "calls to Split under way at once", func(c *Config) *int { return &c.MaxConcurrentCalls })),
	live(number("maxCallsPerSecond", "20", 0.001, 100_000, "calls to Split a second, all tenants together", func(c *Config) *float64 { return &c.MaxCallsPerSecond })),
	live(number("maxCallsPerSecondPerTenant", "10", 0.001, 100_000, "calls to Split a second for one apiToken", func(c *Config) *float64 { return &c.MaxCallsPerSecondPerTenant })),
	whole("maxRequestsInFlight", "4096", 1, 1_000_000, "requests being answered at once; beyond it 503", func(c *Config) *int { return &c.MaxRequestsInFlight }),
	whole("maxBytesInFlight", "268435456", 1024, 1<<40, "bytes that requests hold at once, as bodies or as keys; beyond it 503", func(c *Config) *int64 { return &c.MaxBytesInFlight }),
	whole("maxConnections", "0", 0, 1_000_000, "connections to the HTTPS port at once; 0: what the limit of open files leaves, at most 4096", func(c *Config) *int { return &c.MaxConnections }),
	whole("maxConnectionsPerAddress", "0", 0, 1_000_000, "the same from one address; 0: no such limit", func(c *Config) *int { return &c.MaxConnectionsPerAddress }),
	whole("receiptsMaxBytes", "536870912", 0, 1<<50, "bytes of the receipts of deliveries, which tell when a key was delivered; 0: none are kept", func(c *Config) *int64 { return &c.ReceiptsMaxBytes }),
	duration("receiptsMaxAge", "604800", 0, 366*24*time.Hour, "how long receipts are kept; 0: none are", func(c *Config) *time.Duration { return &c.ReceiptsMaxAge }),
	whole("minFreeDiskBytes", "536870912", 0, 1<<50, "free disk space in bytes under which requests get 503; the journal keeps what it needs itself in any case", func(c *Config) *int64 { return &c.MinFreeDiskBytes }),
}

// key is one line of the table.
type key struct {
	name   string
	def    string // as text; required where there is none
	right  string // what would be right: "must be " + right
	doc    string
	secret bool
	live   bool // another value is taken while the relay runs
	set    func(c *Config, v value) error
	get    func(c *Config) any
	take   func(to, from *Config)
}

// env is the key's environment variable: splitApiUrl becomes AUDIENCES_SPLIT_API_URL.
func (k key) env() string {
	var b strings.Builder
	b.WriteString("AUDIENCES_")
	for _, r := range k.name {
		if unicode.IsUpper(r) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToUpper(r))
	}
	return b.String()
}

// apply stores the value, or says what is wrong with it.
func (k key) apply(c *Config, v value) (problem string) {
	switch err := k.set(c, v); {
	case err == nil:
		return ""
	case err != errWrong:
		return fmt.Sprintf("must be %s; %v", k.right, err)
	case k.secret:
		return "must be " + k.right
	}
	return fmt.Sprintf("must be %s, not %s", k.right, v.shown())
}

// KeyDoc describes one key to people.
type KeyDoc struct {
	Name     string // in the file
	Env      string // environment variable
	FileEnv  string // environment variable that names a file with the value; secrets only
	Default  string // as it would be written in the environment; "required" if Required
	Required bool
	Right    string // what the value must be
	Doc      string // what the key is for
	Live     bool   // another value is taken without a restart
}

// Keys lists every key in the order of the documentation.
func Keys() []KeyDoc {
	docs := make([]KeyDoc, len(table))
	for i, k := range table {
		docs[i] = KeyDoc{Name: k.name, Env: k.env(), Default: k.def, Required: k.def == required, Right: k.right, Doc: k.doc, Live: k.live}
		if k.secret {
			docs[i].FileEnv = k.env() + fileSuffix
		}
	}
	return docs
}

// The kinds of keys; each of these makes one line of the table. They differ in
// how they read a value; at tells where it goes.

// live marks a key of which another value is taken while the relay runs.
func live(k key) key {
	k.live = true
	return k
}

func whole[T int | int64](name, def string, lowest, highest T, doc string, at func(*Config) *T) key {
	return typed(name, def, fmt.Sprintf("a whole number from %d to %d", lowest, highest), doc, at, func(v value) (T, error) {
		n, err := v.whole(int64(lowest), int64(highest))
		return T(n), err
	})
}

func number(name, def string, lowest, highest float64, doc string, at func(*Config) *float64) key {
	return typed(name, def, fmt.Sprintf("a number from %g to %.0f", lowest, highest), doc, at, func(v value) (float64, error) {
		return v.number(lowest, highest)
	})
}

func duration(name, def string, shortest, longest time.Duration, doc string, at func(*Config) *time.Duration) key {
	right := fmt.Sprintf(`a number of seconds or text like "1m30s", from %gs to %.0fs`, shortest.Seconds(), longest.Seconds())
	return typed(name, def, right, doc, at, func(v value) (time.Duration, error) { return v.duration(shortest, longest) })
}

func path(name, def, doc string, at func(*Config) *string) key {
	empty := def == "" // then no path at all is an answer too
	return typed(name, def, "a path", doc, at, func(v value) (string, error) {
		if v.text == "" && !empty {
			return "", errWrong
		}
		return v.path()
	})
}

func paths(name, doc string, at func(*Config) *[]string) key {
	return typed(name, "[]", `a list of different paths, ["path", ...]`, doc, at, value.paths)
}

// label is a name that people give. Where the default is empty, it may be.
func label(name, def, doc string, at func(*Config) *string) key {
	right := fmt.Sprintf("text of 1 to %d printable characters without blanks around them", maxUserName)
	if def == "" {
		right += ", or empty"
	}
	return typed(name, def, right, doc, at, func(v value) (string, error) {
		if !v.isText() || !isUserName(v.text) && (v.text != "" || def != "") {
			return "", errWrong
		}
		return v.text, nil
	})
}

func httpURL(name, def, doc string, at func(*Config) *string) key {
	return typed(name, def, "a URL such as "+def, doc, at, value.httpURL)
}

func listenAddress(name, def, doc string, at func(*Config) *string) key {
	return typed(name, def, "host:port such as "+def+", or empty", doc, at, value.listenAddress)
}

func flag(name, def, doc string, at func(*Config) *bool) key {
	return typed(name, def, "true or false", doc, at, value.flag)
}

// users hold secrets, so that the list may come from a file of its own.
func users(name, doc string, at func(*Config) *[]AdminUser) key {
	k := typed(name, "[]", `a list of users, each {"name": ..., "role": "viewer" or "operator", "passwordHash": ...}, or with "token" in the place of "passwordHash"`, doc, at, value.users)
	k.secret = true
	return k
}

// tokens are users of the other port.
func tokens(name, doc string, at func(*Config) *[]AuthToken) key {
	k := typed(name, "[]", `a list of tokens, each {"name": ..., "token": ..., "until": ...}, with "tokenHash" in the place of "token" where the token itself is not to stand there, and without "until" where it has no end`, doc, at, value.tokens)
	k.secret = true
	return k
}

// tenantNames may have a file of their own, as lists may. Faults do not repeat them:
// they are customers of somebody.
func tenantNames(name, doc string, at func(*Config) *map[string]string) key {
	k := typed(name, "{}", `a map of names, {"fingerprint": "name", ...}, or the path of a JSON file with one`, doc, at, value.tenantNames)
	k.secret = true
	return k
}

func choice(name, def string, options []string, doc string, at func(*Config) *string) key {
	return typed(name, def, "one of "+strings.Join(options, ", "), doc, at, func(v value) (string, error) {
		if !v.isText() || !slices.Contains(options, v.text) {
			return "", errWrong
		}
		return v.text, nil
	})
}

// secret has a check that may be nil and must not repeat the value.
func secret(name, def, doc, right string, check func(string) error, at func(*Config) *Secret) key {
	k := typed(name, def, right, doc, at, func(v value) (Secret, error) {
		if !v.isText() {
			return Secret{}, errWrong
		}
		if check == nil {
			return NewSecret(v.text), nil
		}
		return NewSecret(v.text), check(v.text)
	})
	k.secret = true
	return k
}

func typed[T any](name, def, right, doc string, at func(*Config) *T, read func(value) (T, error)) key {
	return key{name: name, def: def, right: right, doc: doc, set: func(c *Config, v value) error {
		read, err := read(v)
		if err == nil {
			*at(c) = read
		}
		return err
	}, get: func(c *Config) any { return *at(c) }, take: func(to, from *Config) { *at(to) = *at(from) }}
}
