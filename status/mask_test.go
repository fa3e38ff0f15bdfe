package status

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// TestMaskKey covers I7: a mask never shows more than a third of a key, nor more than
// four characters, nor how long it is.
func TestMaskKey(t *testing.T) {
	for key, want := range map[string]string{
		"": "***", "7": "***", "42": "***", "427": "4***", "123456": "1***6", "123456789": "12***9",
		"-8512839471928374650": "-8***50", "anna@example.com": "an***om", "äöüßäöüßäöüß": "äö***üß",
		strings.Repeat("x", 250): "xx***xx",
	} {
		if got := MaskKey(key); got != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
		if shown := utf8.RuneCountInString(strings.ReplaceAll(MaskKey(key), mask, "")); 3*shown > utf8.RuneCountInString(key) {
			t.Errorf("%s shows %d characters", key, shown)
		}
	}
}

// TestMaskWords covers I7: Split repeats keys in what it says of them.
func TestMaskWords(t *testing.T) {
	const key = "8512839471928374650"
	for words, want := range map[string]string{
		"":                                       "",
		"no room: 100 of 100 in segment buyers":  "no room: 100 of 100 in segment buyers",
		"key " + key + " is bad":                 "key 85***50 is bad",
		"keys [" + key + ", 1928374]: " + key:    "keys [85***50, 1***4]: 85***50",
		`"` + key + `" and "bob"`:                `"85***50" and "b***"`,
		"'" + key + "' and `anna@example.com` x": "'85***50' and `an***om` x",
		"x" + key + "y":                          "x85***50y",
		"transaction 12345 failed":               "transaction 12345 failed",
	} {
		got := MaskWords(words, key)
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	if got := MaskWords("user anna is unknown: anna", "anna"); got != "user a*** is unknown: a***" {
		t.Error(got)
	}
	if got := MaskWords("number 123456", ""); got != "number 1***6" {
		t.Error(got)
	}
}
