//go:build e2e

package postgres

import (
	"slices"
	"strings"
	"testing"
)

// TestAllTablesAreKnown: no table, and nothing else that holds rows, is missing in the list of
// what the journal keeps, and each column that could hold keys or tokens is meant there.
func TestAllTablesAreKnown(t *testing.T) {
	c := newCluster(t)
	c.node()
	var want []string
	for _, kind := range recordKinds {
		want = append(want, kind.table)
		if !strings.HasSuffix(kind.what, ".") || !strings.HasSuffix(kind.removed, ".") {
			t.Errorf("%s is not told of in sentences", kind.table)
		}
	}
	slices.Sort(want)
	equal(t, "tables", sql[string](c, `SELECT string_agg(relname, ' ' ORDER BY relname COLLATE "C") FROM pg_class
		WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'm', 'S', 'f') AND NOT relispartition`), strings.Join(want, " "))
	var keys, tokens []string
	for _, kind := range recordKinds {
		if kind.keys {
			keys = append(keys, kind.table)
		}
		if kind.tokens {
			tokens = append(tokens, kind.table)
		}
	}
	slices.Sort(keys)
	const having = `SELECT string_agg(DISTINCT c.relname, ' ' ORDER BY c.relname) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
		WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attname = ANY($1)`
	equal(t, "with keys", sql[string](c, having, []string{"key", "keys", "question"}), strings.Join(keys, " "))
	equal(t, "with tokens", sql[string](c, having, []string{"token"}), strings.Join(tokens, " "))
}
