package config

import (
	"fmt"
	"strings"
)

const (
	envPrefix      = "AUDIENCES_"
	fileSuffix     = "_FILE" // of a variable that names a file with the secret
	maxSecretBytes = 64 << 10
)

// variables are the environment by name. Of a name that stands there twice the
// first counts, as for os.Getenv.
type variables map[string]string

func variablesOf(environ []string) variables {
	vars := make(variables, len(environ))
	for _, pair := range environ {
		name, text, ok := strings.Cut(pair, "=")
		if _, again := vars[name]; ok && name != "" && !again {
			vars[name] = text
		}
	}
	return vars
}

// environment applies the environment over what the file gave.
func (l *loader) environment(vars variables) {
	for _, k := range table {
		if vars.isServiceLink(k.env()) {
			continue
		}
		variable, text, given, err := k.lookup(vars)
		if !given {
			continue
		}
		at := Fault{Source: "environment variable " + variable, Key: k.name}
		l.inEnvironment[k.name] = place{at, text == "" && err == nil}
		if err != nil {
			l.fault(at, err.Error())
			continue
		}
		l.fault(at, k.apply(&l.config, value{text: text, dir: l.dir}))
	}
}

// lookup finds the key's text in the environment, or in the file that the
// environment names, and the variable that gave it.
func (k key) lookup(vars variables) (variable, text string, given bool, err error) {
	variable = k.env()
	text, given = vars[variable]
	if !k.secret {
		return variable, text, given, nil
	}
	file, fileGiven := vars[variable+fileSuffix]
	switch {
	case !fileGiven:
		return variable, text, given, nil
	case given:
		return variable, "", true, fmt.Errorf("%s%s is set as well; only one of them may be", variable, fileSuffix)
	}
	variable += fileSuffix
	secret, err := readFile(file, maxSecretBytes)
	if err != nil {
		return variable, "", true, fmt.Errorf("cannot read the file %s: %w", quoted(file), err)
	}
	return variable, trimLineEnd(string(secret)), true, nil
}

// trimLineEnd takes off the one line end that editors and echo put there.
func trimLineEnd(s string) string {
	return strings.TrimSuffix(strings.TrimSuffix(s, "\n"), "\r")
}
