package config

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
)

// verified is the sslmode of a URL that names none. PostgreSQL's own default, prefer,
// goes on without TLS where somebody on the way has it so.
const verified = "verify-full"

// sslModes are PostgreSQL's, with what each gives up.
var sslModes = map[string]string{
	"disable":   "nothing on the way to the database is encrypted: whoever is there reads and changes what passes, MPIDs and the login included",
	"allow":     "TLS is used only where the server insists on it, and its certificate is not checked: whoever is on the way can read and change what passes, or pose as the database",
	"prefer":    "TLS is used only where the server offers it, and its certificate is not checked: whoever is on the way can read and change what passes, or pose as the database",
	"require":   "the server's certificate is not checked: whoever is on the way can pose as the database, and then read and change what passes",
	"verify-ca": "",
	verified:    "",
}

// requireWithRoot is what require gives up with an sslrootcert, where PostgreSQL takes it
// for verify-ca.
const requireWithRoot = "the name in the server's certificate is not checked: every server with a certificate of sslrootcert can pose as the database"

// database is what the URL of a journal says, without its login.
type database struct {
	hosts  []string // names and addresses without ports, or directories of sockets
	places string   // the same as they stand there, with ports
	name   string   // of the database; "": that of the user
	mode   string   // sslmode; "": it is not there
	root   string   // sslrootcert
}

// databaseURL is the check of the key journal.
func databaseURL(text string) error {
	if text == "" {
		return nil // a journal on disk
	}
	_, err := databaseOf(text)
	return err
}

// databaseOf reads the URL as PostgreSQL's own library does, and is stricter: what two
// programs could read in two ways is refused, so that no part of a password is ever
// taken for the name of a host and asked for, or shown. Its errors repeat nothing of
// the URL (I7).
func databaseOf(text string) (d database, err error) {
	hosts, u, err := hostsOf(text)
	if err != nil {
		return d, err
	}
	if strings.ContainsFunc(u.Path, unicode.IsControl) {
		return d, errors.New("the name of its database has control characters")
	}
	parameters, err := parametersOf(u.RawQuery)
	if err != nil {
		return d, err
	}
	d = database{name: strings.TrimPrefix(u.Path, "/"), mode: parameters["sslmode"], root: parameters["sslrootcert"]}
	for _, name := range []string{"dbname", "database"} {
		if parameters[name] != "" {
			d.name = parameters[name]
		}
	}
	if err = d.takeHosts(hosts, parameters["host"]); err != nil {
		return d, err
	}
	return d, checkTLS(parameters)
}

// hostsOf takes the list of hosts out of the URL, which net/url does not know, and reads
// the rest beside each of them.
func hostsOf(text string) (hosts string, u *url.URL, err error) {
	switch {
	case !strings.HasPrefix(text, "postgres://") && !strings.HasPrefix(text, "postgresql://"):
		return "", nil, errors.New("it does not begin with postgres:// or postgresql://")
	case strings.ContainsAny(text, " \t\r\n"):
		return "", nil, errors.New("it has blanks or line ends; a blank is written %20")
	case strings.Contains(text, "#"):
		return "", nil, errors.New("it has a #, which is written %23")
	}
	scheme, rest, _ := strings.Cut(text, "//")
	authority := rest
	if end := strings.IndexAny(rest, "/?"); end >= 0 {
		authority = rest[:end]
	}
	at := strings.IndexByte(authority, '@') + 1
	login, hosts := authority[:at], authority[at:]
	if strings.Count(text, "@") != strings.Count(login, "@") {
		return "", nil, errors.New("it has an @ elsewhere than between login and host; in the user name and the password / ? @ are written %2F %3F %40")
	}
	for host := range strings.SplitSeq(hosts, ",") {
		if u, err = url.Parse(scheme + "//" + login + host + rest[len(authority):]); err != nil {
			return "", nil, errors.New("it cannot be read as a URL; in the user name and the password / ? : @ % and other marks are written %2F %3F %3A %40 %25 and so on")
		}
	}
	return hosts, u, nil
}

// parametersOf takes what is behind the question mark apart. Unlike in a web address a
// plus sign stands for itself.
func parametersOf(query string) (map[string]string, error) {
	parameters := map[string]string{}
	if query == "" {
		return parameters, nil
	}
	for pair := range strings.SplitSeq(strings.TrimSuffix(query, "&"), "&") {
		name, text, _ := strings.Cut(pair, "=")
		name, nameErr := url.PathUnescape(name)
		text, textErr := url.PathUnescape(text)
		_, again := parameters[name]
		switch {
		case strings.Count(pair, "=") != 1 || name == "" || nameErr != nil || textErr != nil:
			return nil, errors.New("behind its ? there must be name=value, with & between them; & = % in a value are written %26 %3D %25")
		case strings.ContainsFunc(name+text, unicode.IsControl):
			return nil, errors.New("a parameter behind its ? has control characters")
		case again:
			return nil, errors.New("a parameter behind its ? stands there twice")
		}
		parameters[name] = text
	}
	return parameters, nil
}

// takeHosts reads the hosts in front of the path, or those of the parameter host, which
// may also be the directories of unix sockets.
func (d *database) takeHosts(authority, parameter string) error {
	if authority != "" && parameter != "" {
		return errors.New("it names hosts twice, behind its // and as a parameter")
	}
	d.places = authority + parameter
	for place := range strings.SplitSeq(d.places, ",") {
		host, port := place, ""
		if at := strings.LastIndexByte(place, ':'); authority != "" && at > strings.LastIndexByte(place, ']') {
			host, port = place[:at], place[at+1:]
		}
		host = strings.Trim(host, "[]")
		switch {
		case host == "":
			return errors.New("it names no host")
		case port != "" && !isPort(port):
			return errors.New("its port is not one of 1 to 65535")
		}
		d.hosts = append(d.hosts, host)
	}
	return nil
}

func checkTLS(parameters map[string]string) error {
	if _, given := parameters["ssl"]; given {
		return errors.New("its parameter ssl has several meanings; write sslmode in its place")
	}
	if mode, given := parameters["sslmode"]; given {
		if _, known := sslModes[mode]; !known {
			return errors.New("its sslmode must be one of verify-full, verify-ca, require, prefer, allow, disable")
		}
	}
	for _, name := range []string{"sslrootcert", "sslcert", "sslkey"} {
		file := parameters[name]
		if file != "" && !filepath.IsAbs(file) && (name != "sslrootcert" || file != "system") {
			return fmt.Errorf("its %s must be a path that begins with a slash", name)
		}
	}
	return nil
}

// away reports whether there is a network between this machine and one of the hosts.
func (d database) away() bool {
	return slices.ContainsFunc(d.hosts, func(host string) bool { return !strings.HasPrefix(host, "/") && !isLoopback(host) })
}

// warning is what the sslmode gives up, "" if nothing that counts.
func (d database) warning() string {
	loss := sslModes[d.mode]
	if d.mode == "require" && d.root != "" {
		loss = requireWithRoot
	}
	if loss == "" || !d.away() {
		return ""
	}
	return fmt.Sprintf("journal has sslmode=%s: %s; leave sslmode out, and name the database's authority with sslrootcert", d.mode, loss)
}

// JournalInDatabase reports whether the journal is in PostgreSQL, shared with other
// nodes. Then JournalDir does not count, and JournalKeyFile is there.
func (c Config) JournalInDatabase() bool { return c.Journal.Reveal() != "" }

// JournalURL is the URL to reach the journal's database with; it always names its
// sslmode, so that neither PostgreSQL's default nor a variable such as PGSSLMODE counts.
// Empty without such a journal.
func (c Config) JournalURL() Secret {
	text := c.Journal.Reveal()
	if d, err := databaseOf(text); err != nil || d.mode != "" {
		return c.Journal // err: there is none
	}
	switch {
	case !strings.Contains(text, "?"):
		text += "?"
	case !strings.HasSuffix(text, "?") && !strings.HasSuffix(text, "&"):
		text += "&"
	}
	return NewSecret(text + "sslmode=" + verified)
}

// JournalName is where the journal is, for people: nothing of it is secret.
func (c Config) JournalName() string {
	if !c.JournalInDatabase() {
		return c.JournalDir
	}
	d, err := databaseOf(c.Journal.Reveal())
	switch {
	case err != nil: // of a Config that was not loaded
		return "PostgreSQL"
	case d.name == "":
		return "PostgreSQL on " + d.places
	}
	return fmt.Sprintf("PostgreSQL on %s, database %s", d.places, d.name)
}

// journals are the contradictions between a journal on disk and one in PostgreSQL. Both
// in one place are a mistake. Where one is in the file and the other in the environment
// somebody has changed his mind, and the database's counts.
func (l *loader) journals() {
	for _, layer := range []layer{l.inFile, l.inEnvironment} {
		place, asked := layer["journal"]
		if dir, both := layer["journalDir"]; both && asked && !place.empty && !dir.empty {
			l.fault(place.Fault, "only one of journal and journalDir may be set: the journal is in PostgreSQL, or in a directory of this machine")
		}
	}
	key, given := l.given("journalKeyFile")
	if journal, asked := l.given("journal"); asked && !journal.empty && (!given || key.empty) {
		l.fault(l.place("journalKeyFile"), "with journal it must be set: all nodes must seal apiTokens with the same key, so that each can read what another has taken")
	}
}

// journalWarnings are for a configuration without faults.
func (l *loader) journalWarnings() (warnings []string) {
	if !l.config.JournalInDatabase() {
		return nil
	}
	if _, given := l.given("journalDir"); given {
		warnings = append(warnings, "journalDir is not used: journal is set, so what is accepted is kept in PostgreSQL")
	}
	if d, err := databaseOf(l.config.Journal.Reveal()); err == nil && d.warning() != "" {
		warnings = append(warnings, d.warning())
	}
	return warnings
}
