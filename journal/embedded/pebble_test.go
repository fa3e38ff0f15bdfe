package embedded

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"audiences/audience"
	"audiences/journal"
)

// TestStoreShowsNoKey covers I7: Pebble's own messages name records, and show of
// theirs the kind and the segment, not the key.
func TestStoreShowsNoKey(t *testing.T) {
	id := idOf(audience.Segment{Environment: "env", Name: "s"})
	number := audience.NumericKey(987654321012345678)
	text, err := audience.ParseKey("sekrit")
	if err != nil {
		t.Fatal(err)
	}
	shows := open(t, inMemory()).storeOptions(true).Comparer.FormatKey
	for _, key := range []audience.Key{number, text} {
		encoded := journal.AppendKey(nil, key)
		record := append(head(prefixPending, id), encoded...)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			shown := fmt.Sprintf(verb, shows(record))
			if shown != hex.EncodeToString(head(prefixPending, id)) {
				t.Errorf("%s of a record shows %s", verb, shown)
			}
			for _, secret := range []string{key.Text(), hex.EncodeToString(encoded)} {
				if strings.Contains(shown, secret) {
					t.Errorf("%s of a record shows its key: %s", verb, shown)
				}
			}
		}
	}
}
