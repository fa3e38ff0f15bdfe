package ordered

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"audiences/audience"
)

// blockKeys is how many keys a block of a receipt has.
const blockKeys = 4096

func keys(list ...any) (keys []audience.Key) {
	for _, one := range list {
		key, err := audience.ParseKey(fmt.Sprint(one))
		if err != nil {
			panic(err)
		}
		keys = append(keys, key)
	}
	return keys
}

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
		o := Of(slices.Values(some))
		packed, filter := o.Pack(), o.Filter()
		for _, key := range slices.Concat(some, others) {
			want := slices.Contains(some, key)
			if has, err := PackedHas(packed, key); has != want || err != nil {
				t.Fatalf("%q: %v, %v", key.Text(), has, err)
			}
			if want && !FilterMayHave(filter, Hash(key)) {
				t.Fatalf("%q is not in the filter", key.Text())
			}
		}
	})
}

// TestDamagedPackedKeys: whatever the bytes, looking into them ends without a panic.
func TestDamagedPackedKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		packed := Of(slices.Values(drawKeys(t, "keys"))).Pack()
		packed = slices.Concat(packed[:rapid.IntRange(0, len(packed)).Draw(t, "cut")], rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "junk"))
		for _, key := range keys(1, "a") {
			_, _ = PackedHas(packed, key)
		}
	})
	for _, cut := range [][]byte{{}, {2}, {2, 0, 0, 0, 0, 0, 0, 0, 0, 1}, {0, 1, 1}, {0, 0, 5, 'a'}} {
		if _, err := PackedHas(cut, keys("b")[0]); err == nil {
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
	o := Of(slices.Values(numbers))
	if size := len(o.Pack()); size > blockKeys*54/8 {
		t.Errorf("%d bytes for %d keys", size, blockKeys)
	}
	filter, wrong := o.Filter(), 0
	for range 100_000 {
		if FilterMayHave(filter, Hash(audience.NumericKey(int64(random.Uint64())))) {
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
	o := Keys{numbers: numbers}
	b.Run("pack", func(b *testing.B) {
		for b.Loop() {
			o.Pack()
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*blockKeys), "ns/key")
	})
	b.Run("filter", func(b *testing.B) {
		for b.Loop() {
			o.Filter()
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*blockKeys), "ns/key")
	})
	packed := o.Pack()
	b.Run("find", func(b *testing.B) {
		for b.Loop() {
			_, _ = PackedHas(packed, audience.NumericKey(1))
		}
	})
}
