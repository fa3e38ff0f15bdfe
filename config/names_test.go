package config

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	acmeText  = `"7f3a12bc90de": "acme-prod"`
	otherText = `"0123456789ab": "Åse & sons"`
)

// TestTenantNamesFromEverywhere: written out or in a file, they are the same.
func TestTenantNamesFromEverywhere(t *testing.T) {
	dir := t.TempDir()
	object := "{ // who\n" + acmeText + ",\n" + otherText + ", }"
	file := filepath.Join(dir, "names.json")
	if err := os.WriteFile(file, []byte(object+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"7f3a12bc90de": "acme-prod", "0123456789ab": "Åse & sons"}
	for where, c := range map[string]Config{
		"the file":          mustParse(t, with(`"tenantNames": `+object), nil),
		"a path":            mustParse(t, with(`"tenantNames": "`+file+`"`), nil),
		"a variable":        mustParse(t, with(`"tenantNames": {}`), map[string]string{"AUDIENCES_TENANT_NAMES": object}),
		"a path in it":      mustParse(t, with(""), map[string]string{"AUDIENCES_TENANT_NAMES": file}),
		"the variable file": mustParse(t, with(""), map[string]string{"AUDIENCES_TENANT_NAMES_FILE": file}),
	} {
		if !maps.Equal(c.TenantNames, want) {
			t.Errorf("%s gave %v", where, c.TenantNames)
		}
	}
	if c := mustParse(t, with(""), nil); len(c.TenantNames) != 0 {
		t.Errorf("by default there are %v", c.TenantNames)
	}
}

// TestTenantNamesAreStrict: a name that never shows, or two tenants that look like one,
// would be seen on the worst day.
func TestTenantNamesAreStrict(t *testing.T) {
	large := filepath.Join(t.TempDir(), "large.json")
	if err := os.WriteFile(large, make([]byte, maxFileBytes+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for written, want := range map[string]string{
		`5`: "a map", `[]`: "a map", `null`: "a map", `""`: "a map", `"no-such-file"`: "cannot be read", `"` + large + `"`: "larger than",
		`"{"`: "not JSON", `"{\"7f3a12bc90de\": 1}"`: "name 1: it must be text",
		`{"7f3a": "acme"}`:                                    "name 1: its fingerprint must be 12 digits",
		`{"7F3A12BC90DE": "acme"}`:                            "name 1: its fingerprint must be",
		`{` + acmeText + `, ` + acmeText + `}`:                "name 2: its fingerprint stands there twice",
		`{` + acmeText + `, "0123456789ab": "acme-prod"}`:     "name 2: it is the same as name 1",
		`{"7f3a12bc90de": ""}`:                                "name 1: it must be text",
		`{"7f3a12bc90de": " acme"}`:                           "name 1: it must be text",
		`{"7f3a12bc90de": "a\u0007"}`:                         "name 1: it must be text",
		`{"7f3a12bc90de": ["acme"]}`:                          "name 1: it must be text",
		`{"7f3a12bc90de": "` + strings.Repeat("n", 65) + `"}`: "name 1: it must be text",
		`{"7f3a12bc90de": "0123456789ab"}`:                    "name 1: it looks like a fingerprint",
	} {
		faults := faultsOf(t, with(`"tenantNames": `+written), nil)
		if len(faults) != 1 || faults[0].Key != "tenantNames" || faults[0].Line != 4 || !strings.Contains(faults[0].Problem, want) {
			t.Errorf("%.200s\n\tgave %v\n\twant one fault on line 4 with %q", written, faults, want)
		}
	}
}
