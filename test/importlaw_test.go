package test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"audiences/test/harness"
)

// module is the path that all packages of ours begin with.
const module = "audiences"

// The import law: whom of ours each package may import, and who may import the
// libraries that are to stay replaceable. A package that is not here is against
// the law, so that a new one has to be thought about.
var law = map[string][]string{
	"audiences":                         {"cli"},
	"audiences/actors":                  {"actors/batch", "actors/pace", "actors/standing", "audience", "histogram", "journal", "splitclient", "status"},
	"audiences/actors/batch":            {"audience", "journal"}, // pure: the plain types of the journal
	"audiences/actors/pace":             {"audience", "splitclient"},
	"audiences/actors/standing":         {"audience", "journal", "splitclient"}, // pure as well
	"audiences/api":                     {"actors", "api/connections", "audience", "histogram", "logging", "status"},
	"audiences/api/admin":               {"actors", "api/admin/access", "api/admin/dashboard", "api/admin/series", "api/connections", "audience", "status"},
	"audiences/api/admin/access":        {},
	"audiences/api/admin/dashboard":     {"api/admin/series", "status"},
	"audiences/api/admin/series":        {},
	"audiences/api/connections":         {},
	"audiences/api/keyfile":             {},
	"audiences/audience":                {},
	"audiences/cli":                     {"actors", "api", "api/admin", "api/admin/access", "api/keyfile", "audience", "cluster", "config", "journal", "journal/embedded", "journal/mover", "journal/postgres", "journal/vault", "logging", "memory", "placement", "replay", "sandbox", "sandbox/child", "sandbox/postgres", "splitclient", "status"},
	"audiences/cluster":                 {"actors", "audience", "placement", "status"},
	"audiences/config":                  {"audience"},
	"audiences/histogram":               {},
	"audiences/journal":                 {"audience"},
	"audiences/journal/embedded":        {"audience", "histogram", "journal", "journal/embedded/damage", "journal/embedded/disk", "journal/ordered", "journal/vault"},
	"audiences/journal/embedded/damage": {},
	"audiences/journal/embedded/disk":   {"journal", "journal/embedded/damage"},
	"audiences/journal/mover":           {"audience", "journal"}, // it knows no engine
	"audiences/journal/ordered":         {"audience"},
	"audiences/journal/postgres":        {"audience", "histogram", "journal", "journal/ordered", "journal/vault", "placement"},
	"audiences/journal/vault":           {"audience"},
	"audiences/logging":                 {},
	"audiences/memory":                  {},
	"audiences/placement":               {"audience", "histogram"},
	"audiences/replay":                  {}, // it knows no more of a server than the lambda does
	"audiences/sandbox":                 {"audience"},
	"audiences/sandbox/child":           {},
	"audiences/sandbox/postgres":        {"sandbox/child"},
	"audiences/splitclient":             {"audience", "histogram"},
	"audiences/status":                  {"audience"},
	"audiences/test":                    {},
	"audiences/test/bench":              {"sandbox", "sandbox/postgres", "test/harness"}, // starts the relay as a process
	"audiences/test/cluster":            {},
	"audiences/test/e2e":                {},
	"audiences/test/harness":            {"audience", "sandbox"},
	"audiences/test/mutants":            {},
}

// inTests is what the tests of a package may import beyond that.
var inTests = map[string][]string{
	"audiences/actors":           {"journal/embedded", "placement", "sandbox"}, // the model test delivers to the look-alike
	"audiences/journal/mover":    {"journal/embedded", "journal/postgres", "journal/vault", "placement", "sandbox/postgres"},
	"audiences/journal/postgres": {"sandbox/postgres"},
	// Black box: the vocabulary, the look-alike, and what documents are compared with.
	"audiences/test":         {"audience", "config", "sandbox", "splitclient", "test/harness"},
	"audiences/test/e2e":     {"sandbox", "test/harness"},
	"audiences/test/cluster": {"api/admin", "sandbox", "sandbox/postgres", "status", "test/harness"},
}

// homes are the only packages that may import a library, for tests as well.
var homes = map[string][]string{
	"github.com/asynkron/protoactor-go": {"audiences/actors"},                                             // and so in none of the packages below it
	"github.com/labstack/echo":          {"audiences/api", "audiences/api/admin", "audiences/test/bench"}, // the last one for a bare server to compare with
	"github.com/cockroachdb/pebble":     {"audiences/journal/embedded", "audiences/journal/embedded/damage", "audiences/journal/embedded/disk"},
	"github.com/jackc/pgx":              {"audiences/journal/postgres"},
	"github.com/spf13/cobra":            {"audiences/cli"},
}

// listed is what `go list -json` says of a package.
type listed struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

// TestImportLaw is the house's plan, kept.
func TestImportLaw(t *testing.T) {
	t.Parallel()
	packages := listPackages(t)
	for _, breach := range breaches(packages) {
		t.Error(breach)
	}
	var here []string
	for _, p := range packages {
		here = append(here, p.ImportPath)
	}
	for name := range law {
		if !slices.Contains(here, name) {
			t.Errorf("the law speaks of %s, which does not exist", name)
		}
	}
}

// TestImportLawCatches feeds the checker worlds that break the law in one way
// each: otherwise nobody would know whether it can fail.
func TestImportLawCatches(t *testing.T) {
	t.Parallel()
	const proto, echo, pebble, cobra = "github.com/asynkron/protoactor-go/actor", "github.com/labstack/echo/v4", "github.com/cockroachdb/pebble/v2/vfs", "github.com/spf13/cobra"
	for _, world := range []listed{
		{ImportPath: "audiences/audience", Imports: []string{"audiences/config"}},
		{ImportPath: "audiences/audience", Imports: []string{"golang.org/x/text"}},
		{ImportPath: "audiences/config", Imports: []string{"audiences/journal"}},
		{ImportPath: "audiences/api", Imports: []string{"audiences/config"}},
		{ImportPath: "audiences/api", Imports: []string{"audiences/journal"}},
		{ImportPath: "audiences/api/keyfile", Imports: []string{"audiences/audience"}},
		{ImportPath: "audiences/api/admin", Imports: []string{"audiences/config"}},
		{ImportPath: "audiences/api/admin/access", Imports: []string{"audiences/api/admin"}},
		{ImportPath: "audiences/actors", Imports: []string{"audiences/sandbox"}},
		{ImportPath: "audiences/actors", Imports: []string{echo}},
		{ImportPath: "audiences/api", Imports: []string{proto}},
		{ImportPath: "audiences/actors/batch", Imports: []string{proto}},
		{ImportPath: "audiences/actors/batch", Imports: []string{"audiences/actors"}},
		{ImportPath: "audiences/actors/standing", Imports: []string{"audiences/actors/batch"}},
		{ImportPath: "audiences/api", TestImports: []string{proto}},
		{ImportPath: "audiences/actors", Imports: []string{pebble}},
		{ImportPath: "audiences/actors/pace", Imports: []string{proto}},
		{ImportPath: "audiences/actors/pace", Imports: []string{"audiences/journal"}},
		{ImportPath: "audiences/splitclient", Imports: []string{"audiences/actors/pace"}},
		{ImportPath: "audiences/actors", Imports: []string{"audiences/journal/embedded"}},
		{ImportPath: "audiences/journal", Imports: []string{pebble}},
		{ImportPath: "audiences/journal", Imports: []string{"audiences/journal/embedded"}},
		{ImportPath: "audiences/journal/embedded/disk", Imports: []string{"audiences/journal/embedded"}},
		{ImportPath: "audiences/journal", TestImports: []string{"audiences/sandbox"}},
		{ImportPath: "audiences/journal", XTestImports: []string{"audiences/config"}},
		{ImportPath: "audiences/test", TestImports: []string{"audiences/journal"}},
		{ImportPath: "audiences", Imports: []string{"audiences/config"}},
		{ImportPath: "audiences", Imports: []string{cobra}},
		{ImportPath: "audiences/cli", Imports: []string{pebble}},
		{ImportPath: "audiences/logging", Imports: []string{"audiences/config"}},
		{ImportPath: "audiences/memory", Imports: []string{"audiences/config"}},
		{ImportPath: "audiences/util", Imports: []string{"fmt"}},
		{ImportPath: "audiences/api/common"},
	} {
		if found := breaches([]listed{world}); len(found) != 1 {
			t.Errorf("%+v: %d breaches found: %v", world, len(found), found)
		}
	}
	lawful := []listed{
		{ImportPath: "audiences/actors", Imports: []string{"fmt", proto, "audiences/journal"}, TestImports: []string{"audiences/sandbox", "audiences/actors"}},
		{ImportPath: "audiences", Imports: []string{"os", "audiences/cli"}},
		{ImportPath: "audiences/cli", Imports: []string{cobra, "audiences/config", "audiences/api/keyfile", "github.com/rs/zerolog"}},
	}
	if found := breaches(lawful); len(found) > 0 {
		t.Errorf("nothing is wrong here: %v", found)
	}
}

// breaches are the ways in which packages break the law, one sentence each.
func breaches(packages []listed) (found []string) {
	for _, p := range packages {
		allowed, known := law[p.ImportPath]
		if !known {
			found = append(found, p.ImportPath+" has no place in the law")
			continue
		}
		for _, imported := range p.Imports {
			if why := unlawful(p.ImportPath, imported, allowed); why != "" {
				found = append(found, why)
			}
		}
		allowed = slices.Concat(allowed, inTests[p.ImportPath])
		for _, imported := range slices.Concat(p.TestImports, p.XTestImports) {
			own := imported == p.ImportPath // package x_test of x
			// The vocabulary is free of libraries; its tests need not be.
			if why := unlawful(p.ImportPath, imported, allowed); why != "" && !own && why != libraryInVocabulary {
				found = append(found, "in tests: "+why)
			}
		}
	}
	return found
}

const libraryInVocabulary = "audiences/audience imports more than the standard library"

// unlawful says why an import is against the law; "" when it is not.
func unlawful(from, imported string, allowed []string) string {
	if name, ours := strings.CutPrefix(imported, module+"/"); ours {
		if !slices.Contains(allowed, name) {
			return from + " imports " + imported
		}
		return ""
	}
	for _, library := range slices.Sorted(maps.Keys(homes)) {
		if strings.HasPrefix(imported, library) && !slices.Contains(homes[library], from) {
			return from + " imports " + imported
		}
	}
	if from == "audiences/audience" && strings.Contains(strings.Split(imported, "/")[0], ".") {
		return libraryInVocabulary
	}
	return ""
}

// listPackages asks the go command, with the tags of all tests.
func listPackages(t *testing.T) (packages []listed) {
	t.Helper()
	if err := harness.LookAtSources(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
	defer cancel()
	list := exec.CommandContext(ctx, "go", "list", "-tags", "e2e", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	list.Dir = harness.Project
	text, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	for {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(fmt.Errorf("go list: %w", err))
		}
		packages = append(packages, p)
	}
}
