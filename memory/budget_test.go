package memory

import (
	"reflect"
	"strings"
	"testing"
)

// TestForTooLittle: below the least the error says how much there is and how much it
// takes, in whole sentences for a person.
func TestForTooLittle(t *testing.T) {
	for limit, want := range map[int64]string{
		0:         "the memory limit is 0 bytes, and the relay needs at least 50331648 (48 MiB)",
		32 << 20:  "the memory limit is 33554432 bytes, and the relay needs at least 50331648 (48 MiB)",
		Least - 1: "the memory limit is 50331647 bytes, and the relay needs at least 50331648 (48 MiB)",
	} {
		if _, err := For(limit); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d: %v", limit, err)
		}
	}
	if Least > 64<<20 {
		t.Error("the least is more than was promised")
	}
}

// TestForGivesNoMoreThanThereIs: whatever the limit, all that may be held at once and
// the process itself stay below the Go runtime's part, with a fifth of what the
// process leaves for the collector, and nothing is so small that it could not work.
func TestForGivesNoMoreThanThereIs(t *testing.T) {
	for limit := int64(Least); limit < 1<<40; limit += limit/7 + 1 {
		b, err := For(limit)
		if err != nil {
			t.Fatal(err)
		}
		held := b.BytesInFlight + int64(b.RequestsInFlight)*ofRequest + int64(b.Connections)*ofConnection +
			int64(b.Calls)*ofCall + int64(b.KeysInMemory)*ofKey + int64(b.Pages)*ofPage + b.Cache + memTables*b.MemTable
		if free := b.Go - atRest - held; free < (b.Go-atRest)/6 {
			t.Errorf("%d MiB: %d of %d are given away: %+v", limit>>20, held, b.Go-atRest, b)
		}
		if b.Go > limit-limit/10 {
			t.Errorf("%d MiB: the runtime may take %d", limit>>20, b.Go)
		}
		// A post of the size that Split takes at once has to go through.
		if b.KeysPerPost < 10_000 || b.BodyBytes < 300_000 || b.KeysInMemory < 20_000 || b.RequestsInFlight < 32 || b.MemTable < 512<<10 || b.Cache < 256<<10 {
			t.Errorf("%d MiB: too little of something: %+v", limit>>20, b)
		}
	}
}

// TestForGrows: more memory never means less of anything, and with much of it the
// parts that have no key in the configuration are what they are without a limit.
func TestForGrows(t *testing.T) {
	var before Budget
	for limit := int64(Least); limit < 1<<40; limit += limit/5 + 1 {
		b, err := For(limit)
		if err != nil {
			t.Fatal(err)
		}
		for i := range reflect.TypeFor[Budget]().NumField() {
			if now, was := reflect.ValueOf(b).Field(i).Int(), reflect.ValueOf(before).Field(i).Int(); now < was {
				t.Errorf("%d MiB: %s fell from %d to %d", limit>>20, reflect.TypeFor[Budget]().Field(i).Name, was, now)
			}
		}
		before = b
	}
	if before.Garbage != usualGarbage || before.KeysInMemory != usualKeysInMemory || before.Pages != usualPages || before.Cache != usualCache || before.MemTable != usualMemTable {
		t.Errorf("with a terabyte: %+v", before)
	}
}
