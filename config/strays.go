package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// elsewhere are variables of the program that are no keys.
var elsewhere = []string{"AUDIENCES_PROFILING_ADDRESS"}

// ofCommands are variables of the operator's commands, which may run where the relay
// does. The relay itself never means them.
var ofCommands = []string{"AUDIENCES_ADMIN_TOKEN", "AUDIENCES_ADMIN_TOKEN_FILE", "AUDIENCES_ADMIN_CA"}

// strays are the variables that look like one of ours and set nothing, a sentence
// each, by name. None shows a value: it may be a token under a misspelt name (I7).
func (vars variables) strays() (warnings []string) {
	known := map[string]bool{}
	names := slices.Clone(elsewhere)
	for _, k := range table {
		names = append(names, k.env())
		if k.secret {
			names = append(names, k.env()+fileSuffix)
		}
	}
	for _, name := range slices.Concat(names, ofCommands) {
		known[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		if known[name] || vars.isServiceLink(name) || len(name) > 100 {
			continue
		}
		if problem := stray(name, names); problem != "" {
			warnings = append(warnings, fmt.Sprintf("environment variable %s is ignored: %s", quoted(name), problem))
		}
	}
	return warnings
}

// stray says what was probably meant, "" if the variable is none of ours.
func stray(name string, names []string) string {
	upper := strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
	rest, ours := strings.CutPrefix(upper, envPrefix)
	if !ours {
		return misspeltPrefix(upper, names)
	}
	if slices.Contains(names, upper) {
		return "did you mean " + upper + "?"
	}
	if base, ok := strings.CutSuffix(upper, fileSuffix); ok && slices.Contains(names, base) {
		return base + " has no variant that names a file; set " + base + " itself"
	}
	short := make([]string, len(names))
	for i, known := range names {
		short[i] = strings.TrimPrefix(known, envPrefix)
	}
	if near := nearest(rest, short); near != "" {
		return "did you mean " + envPrefix + near + "?"
	}
	return "no key of the configuration has that name"
}

// misspeltPrefix finds AUDIENCE_PORT and the like. Of names that do not begin as
// ours do, only those count that are all but right.
func misspeltPrefix(upper string, names []string) string {
	const most = 2 // letters
	if !strings.HasPrefix(upper, "AUD") {
		return ""
	}
	best, bound := "", most+1
	for _, known := range names {
		if d := distance(upper, known); d < bound {
			best, bound = known, d
		}
	}
	if best == "" {
		return ""
	}
	return "did you mean " + best + "?"
}

// What Kubernetes and Docker put into the environment of a container about a
// service that is called audiences, or audiences-something (Kubernetes docs:
// environment variables of services; Docker docs: legacy links).
var (
	serviceLink = regexp.MustCompile(`_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)$|_PORT_[0-9]+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?$|_ENV_`)
	linkAddress = regexp.MustCompile(`^(tcp|udp|sctp)://`)
)

// isServiceLink tells such a variable from one that a person has set. The one
// that may bear a key's name, AUDIENCES_PORT=tcp://10.0.0.1:5010, never comes
// without companions; alone it is somebody's mistake, and a fault.
func (vars variables) isServiceLink(name string) bool {
	text, given := vars[name]
	switch {
	case !given:
		return false
	case serviceLink.MatchString(name):
		return true
	case strings.HasSuffix(name, "_NAME") && strings.HasPrefix(text, "/"):
		return true
	case !strings.HasSuffix(name, "_PORT") || !linkAddress.MatchString(text):
		return false
	}
	_, host := vars[strings.TrimSuffix(name, "_PORT")+"_SERVICE_HOST"]
	protocol, address, _ := strings.Cut(text, "://")
	port := address[strings.LastIndexByte(address, ':')+1:]
	_, link := vars[name+"_"+port+"_"+strings.ToUpper(protocol)]
	return host || link
}
