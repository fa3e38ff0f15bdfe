package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/tailscale/hujson"
)

// maxTenantNames bounds a map of names; a relay with more tenants has them made by
// programs, which can use fingerprints.
const maxTenantNames = 10_000

// fingerprintForm is a fingerprint as the relay shows it (audience.TenantID).
var fingerprintForm = regexp.MustCompile(`^[0-9a-f]{12}$`)

// tenantNames takes a map of fingerprints to names, or the path of a JSON file with one.
func (v value) tenantNames() (map[string]string, error) {
	if v.kind != '{' && !v.isText() {
		return nil, errWrong
	}
	text := v.text
	if v.isText() && !strings.HasPrefix(strings.TrimSpace(text), "{") {
		var err error
		if text, err = v.contents(); err != nil {
			return nil, err
		}
	}
	root, err := hujson.Parse([]byte(text + "\n")) // the line end is for a comment at the end
	if err != nil {
		return nil, errors.New("it is not JSON")
	}
	object, ok := root.Value.(*hujson.Object)
	switch {
	case !ok:
		return nil, errors.New("it is not a JSON object in braces")
	case len(object.Members) > maxTenantNames:
		return nil, fmt.Errorf("it has more than %d names", maxTenantNames)
	}
	return namesOf(object.Members)
}

// contents are those of the file that the value names.
func (v value) contents() (string, error) {
	path, err := v.path()
	if err != nil || path == "" {
		return "", errWrong
	}
	data, err := readFile(path, maxFileBytes)
	if err != nil {
		return "", fmt.Errorf("the file cannot be read: %w", err)
	}
	return string(data), nil
}

func namesOf(members []hujson.ObjectMember) (map[string]string, error) {
	if len(members) == 0 {
		return nil, nil
	}
	names, taken := make(map[string]string, len(members)), make(map[string]int, len(members))
	for i, m := range members {
		fingerprint, name := m.Name.Value.(hujson.Literal).String(), ""
		if text, ok := m.Value.Value.(hujson.Literal); ok && text.Kind() == '"' {
			name = text.String()
		}
		_, again := names[fingerprint]
		problem := ""
		switch {
		case !fingerprintForm.MatchString(fingerprint):
			problem = "its fingerprint must be 12 digits from 0-9 and a-f"
		case again:
			problem = "its fingerprint stands there twice"
		case !isUserName(name):
			problem = fmt.Sprintf("it must be text of 1 to %d printable characters without blanks around them", maxUserName)
		case fingerprintForm.MatchString(name):
			problem = "it looks like a fingerprint"
		case taken[name] > 0:
			problem = fmt.Sprintf("it is the same as name %d", taken[name])
		}
		if problem != "" {
			return nil, fmt.Errorf("name %d: %s", i+1, problem)
		}
		names[fingerprint], taken[name] = name, i+1
	}
	return names, nil
}
