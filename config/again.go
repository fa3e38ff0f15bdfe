package config

import (
	"crypto/sha256"
	"fmt"
	"reflect"
)

// Changed lists the keys whose values differ between two configurations, in the order of
// [Keys].
func Changed(before, after Config) (names []string) {
	for _, k := range table {
		if !reflect.DeepEqual(k.get(&before), k.get(&after)) {
			names = append(names, k.name)
		}
	}
	return names
}

// Live reports whether another value of a key is taken while the relay runs.
func Live(name string) bool {
	for _, k := range table {
		if k.name == name {
			return k.live
		}
	}
	return false
}

// TakeLive has c take over from another configuration what may change while the relay runs.
func (c *Config) TakeLive(from Config) {
	for _, k := range table {
		if k.live {
			k.take(c, &from)
		}
	}
	c.Warnings = from.Warnings
}

// SecretFiles tells whether a file has changed that a variable of the environment (as
// os.Environ tells it) names with its *_FILE: it is another sum then.
func SecretFiles(environ []string) [sha256.Size]byte {
	vars, sum := variablesOf(environ), sha256.New()
	for _, k := range table {
		if file, given := vars[k.env()+fileSuffix]; given && k.secret {
			text, err := readFile(file, maxSecretBytes)
			_, _ = fmt.Fprintf(sum, "%s %v %d %s\n", k.name, err, len(text), text)
		}
	}
	return [sha256.Size]byte(sum.Sum(nil))
}
