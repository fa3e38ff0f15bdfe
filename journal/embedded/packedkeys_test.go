package embedded

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"audiences/audience"
)

// drawKeys are keys of all kinds: close together, far apart, the extremes, and texts
// that share their beginnings.
func drawKeys(t *rapid.T, label string) []audience.Key {
	number := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-50, 50), rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64}))
	key := rapid.OneOf(
		rapid.Map(number, audience.NumericKey),
		rapid.Map(rapid.StringMatching(`a[a-c]{0,4}`), func(text string) audience.Key { return keys(text)[0] }),
	)
	return rapid.SliceOfN(key, 0, 300).Draw(t, label)
}

// TestPackedKeys: a block has the keys that were packed into it and no others, however
// they lie, and its filter is true for each of them.
func TestPackedKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		some, others := drawKeys(t, "keys"), drawKeys(t, "others")
		o := order(slices.Values(some))
		packed, filter := packKeys(o), makeFilter(o)
		for _, key := range slices.Concat(some, others) {
			want := slices.Contains(some, key)
			if has, err := packedHas(packed, key); has != want || err != nil {
				t.Fatalf("%q: %v, %v", key.Text(), has, err)
			}
			if want && !filterMayHave(filter, hashKey(key)) {
				t.Fatalf("%q is not in the filter", key.Text())
			}
		}
	})
}

// TestDamagedPackedKeys: whatever the bytes, looking into them ends without a panic.
func TestDamagedPackedKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		packed := packKeys(order(slices.Values(drawKeys(t, "keys"))))
		packed = slices.Concat(packed[:rapid.IntRange(0, len(packed)).Draw(t, "cut")], rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "junk"))
		for _, key := range keys(1, "a") {
			_, _ = packedHas(packed, key)
		}
	})
	for _, cut := range [][]byte{{}, {2}, {2, 0, 0, 0, 0, 0, 0, 0, 0, 1}, {0, 1, 1}, {0, 0, 5, 'a'}} {
		if _, err := packedHas(cut, keys("b")[0]); err == nil {
			t.Errorf("%v was read", cut)
		}
	}
}

// TestPackedKeysAreSmall: random numbers take 54 bits each and ten in the filter, which
// takes one of a hundred others for one of them.
func TestPackedKeysAreSmall(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	numbers := make([]audience.Key, blockKeys)
	for i := range numbers {
		numbers[i] = audience.NumericKey(int64(random.Uint64()))
	}
	o := order(slices.Values(numbers))
	if size := len(packKeys(o)); size > blockKeys*54/8 {
		t.Errorf("%d bytes for %d keys", size, blockKeys)
	}
	filter, wrong := makeFilter(o), 0
	for range 100_000 {
		if filterMayHave(filter, hashKey(audience.NumericKey(int64(random.Uint64())))) {
			wrong++
		}
	}
	if len(filter) != blockKeys*10/8 || wrong > 1_000 {
		t.Errorf("a filter of %d bytes takes %d of 100,000", len(filter), wrong)
	}
}

func BenchmarkReceiptBlock(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	numbers := make([]int64, blockKeys)
	for i := range numbers {
		numbers[i] = int64(random.Uint64())
	}
	slices.Sort(numbers)
	o := ordered{numbers: numbers}
	b.Run("pack", func(b *testing.B) {
		for b.Loop() {
			packKeys(o)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*blockKeys), "ns/key")
	})
	b.Run("filter", func(b *testing.B) {
		for b.Loop() {
			makeFilter(o)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*blockKeys), "ns/key")
	})
	packed := packKeys(o)
	b.Run("find", func(b *testing.B) {
		for b.Loop() {
			_, _ = packedHas(packed, audience.NumericKey(1))
		}
	})
}
