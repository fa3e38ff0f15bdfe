package config

import (
	"fmt"
	"io/fs"
	"os"
)

// others are the rights of who is neither the owner nor of the group. The group may read: as
// Kubernetes mounts secrets for a pod with fsGroup.
const others fs.FileMode = 0o007

// LoadToServe is Load for a relay that is to start, or to go on with what it reads. It also
// looks at the files that hold secrets: one that others than its owner and group may use is a
// fault under strictSecretFiles, and else a warning. One that is not there is not its matter.
func LoadToServe(path string, environ []string) (Config, error) {
	c, err := Load(path, environ)
	if err != nil {
		return c, err
	}
	var faults Faults
	for _, file := range c.secretFiles(path, variablesOf(environ)) {
		info, err := os.Stat(file.name)
		if err != nil || info.Mode()&others == 0 {
			continue
		}
		problem := fmt.Sprintf("holds %s, and everybody on this machine may use it (mode %04o); chmod o-rwx takes that away", file.what, info.Mode().Perm())
		if c.StrictSecretFiles {
			faults = append(faults, Fault{Source: file.name, Key: "strictSecretFiles", Problem: problem})
		} else {
			c.Warnings = append(c.Warnings, quoted(file.name)+" "+problem)
		}
	}
	if len(faults) > 0 {
		return c, faults
	}
	return c, nil
}

// secretFile is one that holds a secret.
type secretFile struct{ name, what string }

func (c Config) secretFiles(path string, vars variables) (files []secretFile) {
	defaults := &loader{}
	defaults.defaults()
	for _, k := range table {
		if !k.secret {
			continue
		}
		_, inEnvironment := vars[k.env()]
		file, ofItsOwn := vars[k.env()+fileSuffix]
		switch {
		case ofItsOwn:
			files = append(files, secretFile{file, k.name})
		case !inEnvironment && c.holds(k, &defaults.config):
			files = append(files, secretFile{path, k.name})
		}
	}
	files = onePerFile(files)
	files = append(files, secretFile{c.KeyFile, "the key of keyFile"})
	for _, file := range c.MoreKeyFiles {
		files = append(files, secretFile{file, "the key of moreKeyFiles"})
	}
	if c.JournalKeyFile != "" {
		files = append(files, secretFile{c.JournalKeyFile, "the key of journalKeyFile"})
	}
	return files
}

// holds reports whether the value of a key is a secret that is not known to everybody.
func (c Config) holds(k key, defaults *Config) bool {
	switch value := k.get(&c).(type) {
	case Secret:
		text := value.Reveal()
		known := text == k.get(defaults).(Secret).Reveal() || text == Placeholder
		return !known && !(k.name == "keyEntryPassword" && value == c.KeyPassword)
	case []AuthToken:
		for _, t := range value {
			if t.Token.Reveal() != "" {
				return true
			}
		}
	case []AdminUser:
		return len(value) > 0
	}
	return false // names of tenants
}

// onePerFile names all that a file holds at once.
func onePerFile(files []secretFile) (merged []secretFile) {
	at := map[string]int{}
	for _, f := range files {
		if i, seen := at[f.name]; seen {
			merged[i].what += ", " + f.what
			continue
		}
		at[f.name] = len(merged)
		merged = append(merged, f)
	}
	return merged
}
