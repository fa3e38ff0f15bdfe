// Package config reads the relay's configuration: defaults, under a file, under
// the environment. It is strict, because a misspelt key that is quietly ignored
// shows itself on the worst day; and it reports every fault at once, with its
// line and what would be right, because a person who is told one at a time
// restarts the process once for each.
//
// The file is the one of the server before this: a JSON object, in which comments
// and trailing commas are allowed. keys.go has the table of all keys.
package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Placeholder is the authToken of the configuration that the project ships.
const Placeholder = "change-me"

// Config is a complete configuration; [Keys] documents the fields.
type Config struct {
	Port                       int
	AuthToken                  Secret // empty only where there are AuthTokens
	AuthTokens                 []AuthToken
	SegmentsFlushRate          time.Duration // key segmentsFlushRateInSeconds
	KeyFile                    string
	MoreKeyFiles               []string // without KeyFile
	KeyPassword                Secret
	KeyEntryPassword           Secret // never empty unless KeyPassword is
	ClientCAFile               string // "": callers need no certificate
	TLSKeyExchange             string // "any", "classical"
	TLSMinVersion              string // "1.2", "1.3"
	Journal                    Secret // a URL, see JournalURL; "": in JournalDir
	JournalDir                 string
	JournalKeyFile             string // "": the journal makes one for itself
	EgressGroup                string
	NodeName                   string // never empty
	LeaseTime                  time.Duration
	Deliver                    bool
	SplitAPIURL                string // without a slash at its end
	AdminAddress               string // "": off
	AdminTLS                   bool
	AdminUsers                 []AdminUser
	AdminOpenMetrics           bool
	AdminPprof                 bool
	TenantNames                map[string]string // by fingerprint
	StrictSecretFiles          bool
	LogLevel                   string
	LogFormat                  string
	SplitTimeout               time.Duration
	DrainTimeout               time.Duration
	IdleTimeout                time.Duration
	MaxBodyBytes               int64
	MaxKeysPerPost             int
	MaxConcurrentCalls         int
	MaxCallsPerSecond          float64
	MaxCallsPerSecondPerTenant float64
	MaxRequestsInFlight        int
	MaxBytesInFlight           int64
	MaxConnections             int // 0: as many as the limit of open files leaves
	MaxConnectionsPerAddress   int // 0: no such limit
	MinFreeDiskBytes           int64
	ReceiptsMaxBytes           int64
	ReceiptsMaxAge             time.Duration

	Warnings []string // what works but should not stay so, one sentence each
}

// Load reads the file at path and the environment (as os.Environ tells it; nil:
// none), which beats the file. Relative paths in either are relative to the
// file's directory, except those of the *_FILE variables: these are relative to
// the working directory. The file may have at most 1 MiB, a secret file 64 KiB.
//
// A variable that looks like one of the relay's and is none is a warning only: it
// may be meant for somebody else.
//
// An error is always of type [Faults]. Beside it the Config holds what was sound, and
// defaults for the keys that have a fault, unless a fault is about no key: then the
// file could not be read or is not JSON.
func Load(path string, environ []string) (Config, error) {
	data, err := readFile(path, maxFileBytes)
	if err != nil {
		return Config{}, Faults{{Source: path, Problem: fmt.Sprintf("cannot read the configuration: %v", err)}}
	}
	return parse(path, data, environ)
}

func parse(path string, data []byte, environ []string) (Config, error) {
	members, fault := parseFile(path, data)
	if fault != nil {
		return Config{}, Faults{*fault}
	}
	vars := variablesOf(environ)
	l := loader{path: path, dir: filepath.Dir(path), inFile: layer{}, inEnvironment: layer{}}
	l.defaults()
	l.file(members)
	l.environment(vars)
	l.missing()
	if l.config.KeyEntryPassword.Reveal() == "" {
		l.config.KeyEntryPassword = l.config.KeyPassword
	}
	if l.config.NodeName == "" {
		l.config.NodeName = hostName()
	}
	l.contradictions()
	if len(l.faults) > 0 {
		return l.config, l.faults
	}
	l.warnings()
	l.config.Warnings = append(l.config.Warnings, vars.strays()...)
	return l.config, nil
}

// loader fills a Config and gathers faults.
type loader struct {
	path   string
	dir    string
	config Config
	faults Faults

	inFile, inEnvironment layer
}

// layer has each key that one source of the configuration gives.
type layer map[string]place

// place is where a key was given: a fault without a problem yet.
type place struct {
	Fault
	empty bool // with a text that says nothing
}

// given is where the value of a key that was given comes from.
func (l *loader) given(name string) (p place, ok bool) {
	if p, ok = l.inEnvironment[name]; !ok {
		p, ok = l.inFile[name]
	}
	return p, ok
}

func (l *loader) defaults() {
	for _, k := range table {
		if k.def != required {
			k.apply(&l.config, value{text: k.def, dir: l.dir})
		}
	}
}

func (l *loader) file(members []member) {
	byName := make(map[string]key, len(table))
	names := make([]string, 0, len(table))
	for _, k := range table {
		byName[k.name] = k
		names = append(names, k.name)
	}
	for _, m := range members {
		at := Fault{Source: l.path, Line: m.line, Key: m.name}
		k, known := byName[m.name]
		first, again := l.inFile[m.name]
		switch {
		case !known:
			l.fault(at, unknown(m.name, names))
		case again:
			l.fault(at, fmt.Sprintf("stands here a second time; the first is on line %d", first.Line))
		default:
			m.value.dir = l.dir
			l.inFile[m.name] = place{at, m.value.isText() && m.value.text == ""}
			l.fault(at, k.apply(&l.config, m.value))
		}
	}
}

func unknown(name string, names []string) string {
	if near := nearest(name, names); near != "" {
		return fmt.Sprintf("unknown; did you mean %q?", near)
	}
	return "unknown; the keys are " + strings.Join(names, ", ")
}

// missing comes after the environment, which may give what the file does not.
func (l *loader) missing() {
	for _, k := range table {
		if _, given := l.given(k.name); k.def != required || given || k.name == SingleToken && len(l.config.AuthTokens) > 0 {
			continue
		}
		other := k.env()
		if k.secret {
			other += " or " + k.env() + fileSuffix
		}
		l.fault(Fault{Source: l.path, Key: k.name}, fmt.Sprintf("missing; it must be %s (or set %s)", k.right, other))
	}
}

// contradictions are values that are right one by one but not together.
func (l *loader) contradictions() {
	c := &l.config
	if c.MaxBodyBytes > c.MaxBytesInFlight {
		l.fault(l.place("maxBodyBytes", "maxBytesInFlight"), fmt.Sprintf("maxBodyBytes (%d) must not exceed maxBytesInFlight (%d): such a body could never be taken", c.MaxBodyBytes, c.MaxBytesInFlight))
	}
	if _, port, err := net.SplitHostPort(c.AdminAddress); err == nil && c.Port != 0 && port == strconv.Itoa(c.Port) {
		l.fault(l.place("adminAddress", "port"), fmt.Sprintf("adminAddress and port must not name the same port, %d", c.Port))
	}
	if _, written := l.given("adminTls"); len(c.AdminUsers) > 0 && c.AdminIsOpen() && !c.AdminTLS && !written {
		l.fault(l.place("adminUsers"), "their passwords and tokens would cross the network in clear to adminAddress; set adminTls to true, or write adminTls: false if a proxy in front speaks TLS")
	}
	if slices.Contains(c.MoreKeyFiles, c.KeyFile) {
		l.fault(l.place("moreKeyFiles"), "moreKeyFiles must not name the file that keyFile names")
	}
	if c.ClientCAFile != "" && c.AdminAddress == "" {
		l.fault(l.place("adminAddress", "clientCaFile"), "clientCaFile needs an adminAddress: `audiences healthcheck`, which has no certificate of a caller, asks there")
	}
	l.sameTokens()
	l.journals()
}

// AdminIsOpen reports whether other machines may reach the admin address.
func (c Config) AdminIsOpen() bool {
	host, _, err := net.SplitHostPort(c.AdminAddress)
	return err == nil && !isLoopback(host)
}

// place is where the first of the keys that was given stands; with none given,
// their defaults would contradict each other.
func (l *loader) place(names ...string) Fault {
	for _, name := range names {
		if p, given := l.given(name); given {
			return p.Fault
		}
	}
	return Fault{Source: l.path, Key: names[0]}
}

func (l *loader) fault(at Fault, problem string) {
	if problem != "" {
		at.Problem = problem
		l.faults = append(l.faults, at)
	}
}

func (l *loader) warnings() {
	c := &l.config
	if u, err := url.Parse(c.SplitAPIURL); err == nil && u.Scheme == "http" && !isLoopback(u.Hostname()) {
		c.Warnings = append(c.Warnings, "splitApiUrl begins with http: the apiTokens cross the network in clear; use https")
	}
	switch users, open := len(c.AdminUsers) > 0, c.AdminIsOpen(); {
	case open && !users && c.AdminOpenMetrics:
		c.Warnings = append(c.Warnings, "adminAddress can be reached by other machines and there are no adminUsers: it serves /livez, /readyz and /metrics only")
	case open && !users:
		c.Warnings = append(c.Warnings, "adminAddress can be reached by other machines and there are no adminUsers: it serves /livez and /readyz only")
	case users && !open && c.AdminAddress != "":
		c.Warnings = append(c.Warnings, "adminUsers are not asked for: only this machine reaches adminAddress, and there everybody is an operator")
	}
	if !c.Deliver {
		c.Warnings = append(c.Warnings, "deliver is false: changes are taken and kept in the journal, and nothing is sent to Split")
	}
	c.Warnings = append(c.Warnings, l.journalWarnings()...)
	c.Warnings = append(c.Warnings, l.tokenWarnings(time.Now())...)
}

// hostName is what the system calls this machine.
func hostName() string {
	if name, err := os.Hostname(); err == nil && name != "" {
		return name
	}
	return "unnamed"
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || (err == nil && addr.IsLoopback())
}
