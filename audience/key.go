package audience

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"math"
	"strconv"
	"unicode/utf8"
)

// MaxKeyLength is the greatest length of a key in characters, not bytes
// (Split SDKs refuse longer ones: "key too long - must be 250 characters or less").
const MaxKeyLength = 250

// Errors of ParseKey. ErrBlankKey is apart because blank keys are skipped, the
// others refuse the whole request.
var (
	ErrBlankKey = errors.New("key is blank")
	ErrLongKey  = fmt.Errorf("key is longer than %d characters", MaxKeyLength)
	ErrNotUTF8  = errors.New("key is not valid UTF-8")
)

// Key is one member of a segment. MPIDs are signed 64-bit integers in nearly
// every case, so a key whose text is the canonical decimal form of an int64 is
// held as that integer; any other text is held as it is. Two keys are equal
// exactly when their texts are.
//
// A Key does not print itself: MPIDs must not reach logs (I7). Use Text where
// the digits are really wanted.
type Key struct {
	num int64
	str string // "" for a numeric key; a key is never blank, so there is no doubt
}

// ParseKey takes the text of a key as it is, without trimming: what was
// accepted is sent to Split digit for digit.
func ParseKey(text string) (Key, error) {
	if n, ok := canonicalInt(text); ok {
		return Key{num: n}, nil
	}
	if err := checkText([]byte(text)); err != nil {
		return Key{}, err
	}
	return Key{str: text}, nil
}

// checkText refuses what is no key.
func checkText(text []byte) error {
	switch {
	case len(text) > MaxKeyLength*utf8.UTFMax:
		return ErrLongKey
	case len(bytes.TrimSpace(text)) == 0:
		return ErrBlankKey
	case !utf8.Valid(text):
		return ErrNotUTF8
	case len(text) > MaxKeyLength && utf8.RuneCount(text) > MaxKeyLength:
		return ErrLongKey
	}
	return nil
}

// NumericKey is the key whose text is the decimal form of n.
func NumericKey(n int64) Key { return Key{num: n} }

// Numeric returns the integer of a numeric key; ok is false for any other key.
func (k Key) Numeric() (n int64, ok bool) { return k.num, k.str == "" }

// Text is the key as Split gets it.
func (k Key) Text() string {
	if k.str == "" {
		return strconv.FormatInt(k.num, 10)
	}
	return k.str
}

// String hides the key (I7).
func (k Key) String() string { return "[key]" }

// Format hides the key, whatever the verb (I7).
func (k Key) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, k.String()) }

// LogValue hides the key (I7).
func (k Key) LogValue() slog.Value { return slog.StringValue("[key]") }

// MarshalText hides the key (I7): a struct that holds keys and is dumped as
// JSON by a logger shows no MPID. The wire is written with Text.
func (k Key) MarshalText() ([]byte, error) { return []byte("[key]"), nil }

// canonicalInt accepts exactly the texts that strconv.FormatInt produces, so
// that no text is changed by being held as an integer ("007", "+7" and "-0"
// stay strings).
func canonicalInt[text string | []byte](s text) (int64, bool) {
	digits, negative := s, false
	if len(s) > 0 && s[0] == '-' {
		digits, negative = s[1:], true
	}
	if len(digits) == 0 || len(digits) > 19 || digits[0] == '0' && (len(digits) > 1 || negative) {
		return 0, false
	}
	var n uint64 // 19 digits always fit
	for i := range len(digits) {
		if !isDigit(digits[i]) {
			return 0, false
		}
		n = n*10 + uint64(digits[i]-'0')
	}
	if negative {
		return -int64(n), n <= -math.MinInt64
	}
	return int64(n), n <= math.MaxInt64
}

// KeySet is a set of keys; its zero value is empty and ready to use. It is not
// safe for concurrent use while it is being changed.
//
// Numeric keys are stored as byte arrays, not as int64: a map slot of an int64
// and nothing is padded to 16 bytes, one of [8]byte and nothing takes 9
// (BenchmarkKeySetMemory prints bytes per key).
type KeySet struct {
	nums map[[8]byte]struct{}
	strs map[string]struct{}
	text int // bytes of all strs
}

// NewKeySet returns a set with room for n numeric keys.
func NewKeySet(n int) *KeySet { return &KeySet{nums: make(map[[8]byte]struct{}, n)} }

// Add puts the key into the set and reports whether it was absent.
func (s *KeySet) Add(k Key) bool {
	before := s.Len()
	if k.str != "" {
		if s.strs == nil {
			s.strs = make(map[string]struct{})
		}
		s.strs[k.str] = struct{}{}
		if s.Len() > before {
			s.text += len(k.str)
		}
	} else {
		if s.nums == nil {
			s.nums = make(map[[8]byte]struct{})
		}
		s.nums[packed(k.num)] = struct{}{}
	}
	return s.Len() > before
}

// Remove takes the key out of the set and reports whether it was present.
func (s *KeySet) Remove(k Key) bool {
	before := s.Len()
	if k.str != "" {
		delete(s.strs, k.str)
		if s.Len() < before {
			s.text -= len(k.str)
		}
	} else {
		delete(s.nums, packed(k.num))
	}
	return s.Len() < before
}

// Has reports whether the key is in the set.
func (s *KeySet) Has(k Key) bool {
	if k.str != "" {
		_, ok := s.strs[k.str]
		return ok
	}
	_, ok := s.nums[packed(k.num)]
	return ok
}

// Weight is how many numeric keys take about as much memory as the set does: they
// take [NumericBytes] each, and a text as much and its bytes.
func (s *KeySet) Weight() int { return s.Len() + s.text/NumericBytes }

// NumericBytes is what a numeric key takes in a set, in bytes
// (BenchmarkKeySetMemory).
const NumericBytes = 21

// Len is the number of keys in the set.
func (s *KeySet) Len() int { return len(s.nums) + len(s.strs) }

// All yields every key once, in no order that may be relied on. A yielded key
// may be removed while iterating.
func (s *KeySet) All() iter.Seq[Key] {
	return func(yield func(Key) bool) {
		for p := range s.nums {
			if !yield(Key{num: unpacked(p)}) {
				return
			}
		}
		for str := range s.strs {
			if !yield(Key{str: str}) {
				return
			}
		}
	}
}

// String shows the size only (I7).
func (s KeySet) String() string { return fmt.Sprintf("[%d keys]", s.Len()) }

// Format shows the size only, whatever the verb (I7).
func (s KeySet) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue shows the size only (I7).
func (s KeySet) LogValue() slog.Value { return slog.StringValue(s.String()) }

func packed(n int64) (p [8]byte) {
	binary.NativeEndian.PutUint64(p[:], uint64(n))
	return p
}

func unpacked(p [8]byte) int64 { return int64(binary.NativeEndian.Uint64(p[:])) }
