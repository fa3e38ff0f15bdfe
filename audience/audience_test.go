package audience

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestKeyHoldsItsTextDigitForDigit(t *testing.T) {
	numeric := []string{"0", "7", "-1", "-8735621876216983452", "9223372036854775807", "-9223372036854775808"}
	textual := []string{"007", "+7", "-0", "1e5", "9223372036854775808", "98765432109876543210", "x ", "é", "a\"b", "1.0", "-", strings.Repeat("é", MaxKeyLength)}
	for i, text := range append(numeric, textual...) {
		key, err := ParseKey(text)
		if err != nil || key.Text() != text {
			t.Errorf("ParseKey(%.20q) = %.20q, %v; want the same text", text, key.Text(), err)
		}
		if _, ok := key.Numeric(); ok != (i < len(numeric)) {
			t.Errorf("ParseKey(%.20q): held as a number: %v", text, ok)
		}
	}
}

func TestKeyRefusals(t *testing.T) {
	for text, want := range map[string]error{
		"": ErrBlankKey, " \t\u00a0": ErrBlankKey, "\xff": ErrNotUTF8, strings.Repeat("k", MaxKeyLength+1): ErrLongKey,
	} {
		if _, err := ParseKey(text); err != want {
			t.Errorf("ParseKey(%.10q): %v, want %v", text, err, want)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	for _, s := range []string{"0", "-0", "12", "x", "", "9223372036854775808"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if key, err := ParseKey(s); err == nil && key.Text() != s {
			t.Fatalf("%q became %q", s, key.Text())
		}
	})
}

func TestKeySetIsASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var set KeySet
		model := map[string]bool{}
		texts := rapid.SampledFrom([]string{"1", "2", "-1", "01", "a", strings.Repeat("b", 40)})
		for range rapid.IntRange(0, 40).Draw(t, "steps") {
			text := texts.Draw(t, "key")
			key, _ := ParseKey(text)
			if rapid.Bool().Draw(t, "add") {
				if set.Add(key) == model[text] {
					t.Fatalf("Add(%s) of a set with it: %v", text, model[text])
				}
				model[text] = true
			} else {
				if set.Remove(key) != model[text] {
					t.Fatalf("Remove(%s) of a set with it: %v", text, model[text])
				}
				delete(model, text)
			}
		}
		text := 0
		for key := range model {
			if strings.Trim(key, "12-") != "" {
				text += len(key)
			}
		}
		if set.Weight() != len(model)+text/NumericBytes {
			t.Fatalf("Weight %d with %d keys and %d bytes of text", set.Weight(), len(model), text)
		}
		if set.Len() != len(model) {
			t.Fatalf("Len %d, want %d", set.Len(), len(model))
		}
		for key := range set.All() {
			if !model[key.Text()] || !set.Has(key) {
				t.Fatalf("unexpected %s", key.Text())
			}
			delete(model, key.Text())
		}
		if len(model) != 0 {
			t.Fatalf("not yielded: %v", model)
		}
	})
}

// BenchmarkKeySetMemory prints the heap bytes that one numeric key takes in a
// set of a million.
func BenchmarkKeySetMemory(b *testing.B) {
	const n = 1_000_000
	for b.Loop() {
		before := heap()
		var set KeySet
		for i := range int64(n) {
			set.Add(NumericKey(math.MaxInt64 - i*7919))
		}
		b.ReportMetric(float64(heap()-before)/n, "B/key")
		runtime.KeepAlive(&set)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestNothingSecretPrints covers I7 at its root: however a token or a key is
// printed, logged or marshalled, it does not show.
func TestNothingSecretPrints(t *testing.T) {
	token, err := ParseToken("sekrit-token")
	if err != nil {
		t.Fatal(err)
	}
	key, tenant := NumericKey(123456789), NewTenant(token)
	change := Change{Token: tenant.Token, Segment: Segment{Tenant: tenant.ID, Name: "s"}, Verb: Add, Keys: KeysOf(key)}
	set := NewKeySet(1)
	set.Add(key)
	var out strings.Builder
	logger := slog.New(slog.NewJSONHandler(&out, nil))
	for _, v := range []any{token, key, tenant, change, set, []Key{key}, KeysOf(key), &change} {
		fmt.Fprintf(&out, "%v %+v %s %#v\n", v, v, v, v)
		if text, err := json.Marshal(v); err == nil {
			out.Write(text)
		}
		logger.Info("x", "v", v)
	}
	for _, secret := range []string{"sekrit", strconv.Itoa(123456789), "0x75bcd15", "nums"} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%q shows in\n%s", secret, out.String())
		}
	}
}

func TestTokensAndNames(t *testing.T) {
	for _, bad := range []string{"", "tok\nX: y", "токен", "a b", strings.Repeat("t", MaxTokenLength+1)} {
		if _, err := ParseToken(bad); err == nil {
			t.Errorf("token %.10q accepted", bad)
		}
	}
	for name, ok := range map[string]bool{"sX_-9": true, "g-add-one": true, "": false, "9a": false, "a b": false, "a%2Fb": false, "sé": false, "_a": false} {
		if (ValidSegmentName(name) == nil) != ok {
			t.Errorf("segment name %q: accepted %v", name, !ok)
		}
	}
	for id, ok := range map[string]bool{"env1": true, "0b1c-9": true, "": false, "..": false, "a/b": false, "a?b": false} {
		if (ValidID(id) == nil) != ok {
			t.Errorf("id %q: accepted %v", id, !ok)
		}
	}
	if verb, err := ParseVerb("DeLeTe"); verb != Delete || err != nil {
		t.Error(verb, err)
	}
	if _, err := ParseVerb("add "); err == nil || err.Error() != `invalid verb "add "; must be add or delete` {
		t.Error(err)
	}
}

// TestFingerprintIsAsDocumented: docs/configuration.md says how to make one.
//
//	(printf 'audiences tenant\0'; printf tok-a) | sha256sum | cut -c1-12
func TestFingerprintIsAsDocumented(t *testing.T) {
	token, err := ParseToken("tok-a")
	if err != nil {
		t.Fatal(err)
	}
	if got := NewTenant(token).ID.String(); got != "a49de1a537f4" {
		t.Errorf("%s, want a49de1a537f4", got)
	}
}
