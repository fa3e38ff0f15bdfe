package journal

import (
	"bytes"
	"testing"

	"audiences/audience"
)

func keys(texts ...string) (keys []audience.Key) {
	for _, text := range texts {
		key, err := audience.ParseKey(text)
		if err != nil {
			panic(err)
		}
		keys = append(keys, key)
	}
	return keys
}

// TestNumbersAreInOrder of their value, below all texts.
func TestNumbersAreInOrder(t *testing.T) {
	order := keys("-9223372036854775808", "-2", "-1", "0", "1", "255", "256", "9223372036854775807", "-0", "007", "a")
	for i := 1; i < len(order); i++ {
		if !CursorAt(order[i-1]).Before(CursorAt(order[i])) {
			t.Errorf("place %d", i)
		}
	}
}

// TestCursorsComeBack from their text, and nothing else does.
func TestCursorsComeBack(t *testing.T) {
	for _, key := range keys("-1", "0", "x", "01") {
		c := CursorAt(key)
		if again, err := ParseCursor(c.Text()); err != nil || again != c || CursorAfter([]byte(c.Encoded())) != c {
			t.Errorf("%v, %v", again == c, err)
		}
	}
	if start, err := ParseCursor(""); err != nil || start != (Cursor{}) {
		t.Error("the start does not come back")
	}
	for _, text := range []string{"!", "eA", "czE"} { // no base64; "x"; "s1", a number as a text
		if _, err := ParseCursor(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func FuzzDecodeKey(f *testing.F) {
	for _, key := range keys("0", "-1", "x", "01") {
		f.Add(AppendKey(nil, key))
	}
	f.Add([]byte("s1"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, encoded []byte) {
		key, err := DecodeKey(encoded)
		if err == nil && !bytes.Equal(AppendKey(nil, key), encoded) {
			t.Error("one key has two encodings")
		}
		_, _ = ParseCursor(string(encoded))
	})
}

// TestNoCursorIsBeforeItself, nor before the start.
func TestNoCursorIsBeforeItself(t *testing.T) {
	start, one, two := Cursor{}, CursorAt(audience.NumericKey(1)), CursorAt(audience.NumericKey(2))
	if one.Before(one) || start.Before(start) || two.Before(one) || one.Before(start) || !one.Before(two) || !start.Before(one) {
		t.Error("the order of cursors is not that of their keys")
	}
}
