package status

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// Keys are shown masked until an operator has them revealed (I7). A mask is enough to
// tell two keys of a page apart, and not to know one: of a long key it has four
// characters, of a shorter one a third at most, of one under three characters nothing. It does
// not tell how long the key is.

const (
	mask          = "***"
	mostUnmasked  = 4
	leastUnmasked = 3 // of so many characters one is shown
)

// MaskKey hides the most of a key.
func MaskKey(key string) string {
	shown := min(utf8.RuneCountInString(key)/leastUnmasked, mostUnmasked)
	if shown == 0 {
		return mask
	}
	runes := []rune(key)
	last := shown / 2
	return string(runes[:shown-last]) + mask + string(runes[len(runes)-last:])
}

// maybeKeys is what may be a key in Split's own words: what stands in quotes, and
// numbers of six digits or more.
const maybeKeys = `"[^"]*"|'[^']*'|` + "`[^`]*`" + `|[0-9]{6,}`

var anyKeys = regexp.MustCompile(maybeKeys)

// MaskWords hides what is or may be a key in Split's own words about this key. An empty
// key stands for one that is not known.
func MaskWords(words, key string) string {
	hidden := anyKeys
	if key != "" {
		hidden = regexp.MustCompile(maybeKeys + "|" + regexp.QuoteMeta(key))
	}
	return hidden.ReplaceAllStringFunc(words, maskOne)
}

// maskOne keeps the quotes around what it hides.
func maskOne(found string) string {
	if last := len(found) - 1; last > 0 && strings.IndexByte("\"'`", found[0]) >= 0 && found[last] == found[0] {
		return found[:1] + MaskKey(found[1:last]) + found[last:]
	}
	return MaskKey(found)
}
