package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const (
	goodHash  = "$2a$12$hunter2hunter2hunter2uO8yDq0xkB6lqzN1xS1mO3eV0pJb1Zy2"
	goodToken = "hunter2hunter2hunter2hunter2hunter2"
	annaText  = `{"name": "anna", "role": "operator", "passwordHash": "` + goodHash + `"}`
	promText  = `{"name": "prometheus", "role": "viewer", "token": "` + goodToken + `"}`
)

var (
	anna = AdminUser{Name: "anna", Role: "operator", PasswordHash: NewSecret(goodHash)}
	prom = AdminUser{Name: "prometheus", Role: "viewer", Token: NewSecret(goodToken)}
)

// TestUsersFromEverywhere: the file, a variable and a file of its own give the same.
func TestUsersFromEverywhere(t *testing.T) {
	list := "[ // who\n" + annaText + ",\n" + promText + ", ]"
	file := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(file, []byte(list+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := []AdminUser{anna, prom}
	for where, c := range map[string]Config{
		"the file":   mustParse(t, with(`"adminUsers": `+list), nil),
		"a variable": mustParse(t, with(`"adminUsers": [`+annaText+`]`), map[string]string{"AUDIENCES_ADMIN_USERS": list + "// end"}),
		"a text":     mustParse(t, with(`"adminUsers": `+fmt.Sprintf("%q", strings.ReplaceAll(list, "// who\n", ""))), nil),
		"its file":   mustParse(t, with(""), map[string]string{"AUDIENCES_ADMIN_USERS_FILE": file}),
	} {
		if !reflect.DeepEqual(c.AdminUsers, want) {
			t.Errorf("%s gave %v", where, c.AdminUsers)
		}
		if shown := fmt.Sprintf("%v %+v %#v", c, c, c); strings.Contains(shown, "hunter2") {
			t.Errorf("a configuration prints secrets: %s", shown)
		}
	}
	if c := mustParse(t, with(`"adminUsers": [`+annaText+`]`), map[string]string{"AUDIENCES_ADMIN_USERS": "[]"}); len(c.AdminUsers) != 0 {
		t.Errorf("the empty list does not beat the file: %v", c.AdminUsers)
	}
}

// TestUserRules: what is wrong is a fault that repeats nothing of it (I7).
func TestUserRules(t *testing.T) {
	changed := func(old, by string) string {
		return "[" + promText + ", " + strings.Replace(annaText, old, by, 1) + "]"
	}
	token := func(text string) string { return `[{"name": "p", "role": "viewer", "token": "` + text + `"}]` }
	cost := func(n string) string { return changed("$12$", "$"+n+"$") }
	for list, want := range map[string]string{
		`{"name": "hunter2"}`: "a list of users", `"hunter2"`: "not JSON", `true`: "a list of users", `null`: "a list of users", `""`: "it is not JSON", `"[hunter2"`: "not JSON",
		`["hunter2"]`:                                 "user 1: it must be an object",
		changed(`"name"`, `"hunter2"`):                "user 2: it has an unknown field; the fields are name, role",
		changed(`"anna"`, `5`):                        "user 2: name must be text",
		changed(`"anna"`, `["hunter2"]`):              "user 2: name must be text",
		changed(`"anna"`, `"hunter2\n"`):              "user 2: name must be",
		changed(`"anna"`, `" hunter2"`):               "user 2: name must be",
		changed(`"anna"`, `""`):                       "user 2: name must be",
		changed(`anna`, strings.Repeat("n", 65)):      "user 2: name must be",
		changed(`"anna"`, `"prometheus"`):             "user 2: its name is that of user 1",
		changed(`"name"`, `"role": "viewer", "name"`): "user 2: role stands there twice",
		changed(`"operator"`, `"hunter2"`):            "user 2: role must be viewer or operator",
		changed(`}`, `, "token": "`+goodToken+`"}`):   "user 2: one of passwordHash and token",
		`[{"name": "a", "role": "viewer"}]`:           "user 1: one of passwordHash and token",
		cost("09"):                                    "user 2: passwordHash must be a bcrypt hash of a cost from 10 to 14",
		cost("15"):                                    "user 2: passwordHash must be",
		changed("hunter2", "hunter"):                  "user 2: passwordHash must be",
		changed("hunter2", "hunter2x"):                "user 2: passwordHash must be",
		changed("hunter2", "hunter!"):                 "user 2: passwordHash must be",
		changed("$2a", "$1a"):                         "user 2: passwordHash must be",
		token(goodToken[:31]):                         "user 1: token must be 32 characters",
		token(goodToken + " "):                        "user 1: token must be",
		token(goodToken + "é"):                        "user 1: token must be",
		"[" + strings.Repeat(promText+",", 101) + "]": "more than 100 users",
	} {
		faults := faultsOf(t, with(`"adminUsers": `+list), nil)
		if len(faults) != 1 || faults[0].Key != "adminUsers" || faults[0].Line != 4 || !strings.Contains(faults[0].Problem, want) {
			t.Errorf("%.200s\n\tgave %v\n\twant one fault on line 4 with %q", list, faults, want)
		}
		if strings.Contains(faults.Error(), "hunter") {
			t.Errorf("%.200s: a fault repeats a secret: %v", list, faults)
		}
	}
}

// TestUsersAndTheAddress: secrets do not cross a network in clear unless somebody has
// written so, and what an address serves is said.
func TestUsersAndTheAddress(t *testing.T) {
	users := `, "adminUsers": [` + annaText + `]`
	for line, c := range map[string]struct {
		fault    bool
		warnings int
	}{
		`"adminAddress": ":3010"` + users:                           {fault: true},
		`"adminAddress": "10.0.0.7:3010"` + users:                   {fault: true},
		`"adminAddress": "relay.example:3010"` + users:              {fault: true},
		`"adminAddress": ":3010", "adminTls": false` + users:        {},
		`"adminAddress": ":3010", "adminTls": true` + users:         {},
		`"adminAddress": ":3010"`:                                   {warnings: 1},
		`"adminAddress": "0.0.0.0:3010", "adminOpenMetrics": false`: {warnings: 1},
		`"adminAddress": "[::]:3010", "adminTls": true`:             {warnings: 1},
		`"adminAddress": "127.0.0.1:3010"`:                          {},
		`"adminAddress": "localhost:3010"`:                          {},
		`"adminAddress": "[::1]:3010"` + users:                      {warnings: 1},
		`"adminAddress": ""` + users:                                {},
	} {
		if c.fault {
			faults := faultsOf(t, with(line), nil)
			if len(faults) != 1 || faults[0].Key != "adminUsers" || !strings.Contains(faults[0].Problem, "adminTls") {
				t.Errorf("%s gave %v", line, faults)
			}
			continue
		}
		if got := mustParse(t, with(line), nil); len(got.Warnings) != c.warnings {
			t.Errorf("%s warned %q", line, got.Warnings)
		}
	}
}
