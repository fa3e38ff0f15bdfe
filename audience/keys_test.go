package audience

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestKeysAreWhatWasPut compares the packed list with a naive one: each key once,
// in the order in which they first came, text for text; what is no key is refused
// and leaves the list as it was.
func TestKeysAreWhatWasPut(t *testing.T) {
	texts := rapid.OneOf(
		rapid.Map(rapid.Int64(), func(n int64) string { return fmt.Sprint(n) }),
		rapid.Map(rapid.IntRange(-12, 12), func(n int) string { return fmt.Sprint(n) }),
		rapid.SampledFrom([]string{"", " ", "007", "-0", "a", "\x00", "\x00\x00", "9223372036854775807", "-9223372036854775808", "9223372036854775808",
			strings.Repeat("é", MaxKeyLength), strings.Repeat("😀", MaxKeyLength), strings.Repeat("k", MaxKeyLength+1), "\xff"}),
		rapid.StringN(0, 3, -1),
		rapid.String(),
	)
	rapid.Check(t, func(t *rapid.T) {
		var p Packer
		var want []string
		for _, text := range rapid.SliceOfN(texts, 0, 400).Draw(t, "texts") {
			key, refusal := ParseKey(text)
			given := []byte(text)
			if err := p.Add(given); err != refusal {
				t.Fatalf("Add(%.20q): %v, and ParseKey: %v", text, err, refusal)
			}
			for i := range given {
				given[i] = 'X' // the packer keeps nothing of it
			}
			if refusal == nil && !slices.Contains(want, text) {
				want = append(want, text)
			}
			if refusal == nil && len(text)%2 == 0 {
				p.Put(key)
			}
			if p.Len() != len(want) {
				t.Fatalf("after %.20q: %d keys, want %d", text, p.Len(), len(want))
			}
		}
		keys := p.Keys()
		if got := textsOf(keys); !slices.Equal(got, want) || keys.Len() != len(want) || p.Len() != 0 {
			t.Fatalf("%d keys: %q, want %q; %d left in the packer", keys.Len(), got, want, p.Len())
		}
		if again := textsOf(KeysOf(slices.Collect(keys.All())...)); !slices.Equal(again, want) {
			t.Fatalf("put once more: %q, want %q", again, want)
		}
	})
}

func textsOf(keys Keys) (texts []string) {
	for key := range keys.All() {
		texts = append(texts, key.Text())
	}
	return texts
}

// TestKeysStopWhenAsked: a loop over the keys may end early, in any chunk.
func TestKeysStopWhenAsked(t *testing.T) {
	var p Packer
	const n = 20_000 // several chunks
	for i := range int64(n) {
		p.Put(NumericKey(i << 32))
	}
	keys := p.Keys()
	for _, stop := range []int64{0, 1, n / 2, n - 1} {
		var last int64
		for key := range keys.All() {
			if last, _ = key.Numeric(); last == stop<<32 {
				break
			}
		}
		if last != stop<<32 {
			t.Errorf("stopped at %d, not at %d", last>>32, stop)
		}
	}
}

// TestKeysTakeNoMoreThanTheirJSON: a long list takes no more than its keys did in
// an array, comma included, but for what is free in its last chunk; a short one at
// most as much again.
func TestKeysTakeNoMoreThanTheirJSON(t *testing.T) {
	for name, text := range map[string]func(i int) string{
		"1 to 6 digits": func(i int) string { return fmt.Sprint(i) },
		"negative":      func(i int) string { return fmt.Sprint(-i) },
		"19 digits":     func(i int) string { return fmt.Sprint(math.MaxInt64 - i) },
		"20 digits":     func(i int) string { return fmt.Sprint(uint64(math.MaxUint64) - uint64(i)) },
		"short texts":   func(i int) string { return fmt.Sprintf("%q", string(rune('A'+i%50000))) },
		"long texts":    func(i int) string { return fmt.Sprintf("%q", strings.Repeat("k", 230)+fmt.Sprint(i)) },
	} {
		for _, n := range []int{1, 3, 100, 100_000} {
			before := heap()
			var p Packer
			json := 0
			for i := range n {
				if err := p.Add([]byte(strings.Trim(text(i), `"`))); err != nil {
					t.Fatal(err)
				}
				json += len(text(i)) + 1
			}
			keys := p.Keys()
			if most := firstChunk + json + min(json, largestChunk); keys.Bytes() > most {
				t.Errorf("%s, %d keys of %d bytes take %d, more than %d", name, n, json, keys.Bytes(), most)
			}
			if took := int(heap()) - int(before); n > 1000 && took > keys.Bytes()+50_000 {
				t.Errorf("%s, %d keys of %d bytes take %d, and say %d", name, n, json, took, keys.Bytes())
			}
			runtime.KeepAlive(&keys)
		}
	}
}

// BenchmarkPacker prints keys/s for keys that are all new and for the same few.
func BenchmarkPacker(b *testing.B) {
	for name, distinct := range map[string]int64{"new": math.MaxInt64, "10 in turn": 10} {
		b.Run(name, func(b *testing.B) {
			const n = 1_000_000
			b.ReportAllocs()
			for b.Loop() {
				var p Packer
				for i := range int64(n) {
					p.putNumber(i % distinct)
				}
			}
			b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "keys/s")
		})
	}
}
