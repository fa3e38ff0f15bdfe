package config

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// syntax looks for the first fault of a text that is not JSON with comments and
// trailing commas. The parser proper has said that there is one; it does not say
// what a person forgot. What syntax says repeats nothing of the file, which may
// be the token (I7).
type syntax struct {
	text   []byte
	at     int   // the next byte
	end    int   // behind the last token
	open   []int // where the brackets stand that are not closed yet
	fault  string
	faulty int // where the fault is
}

// diagnose returns what is wrong and where; "" if it finds nothing.
func diagnose(text []byte) (problem string, at int) {
	s := &syntax{text: text}
	s.root()
	return s.fault, s.faulty
}

// say notes the fault; it returns false, so that whoever meets one ends with it.
func (s *syntax) say(at int, format string, args ...any) bool {
	s.fault, s.faulty = fmt.Sprintf(format, args...), at
	return false
}

func (s *syntax) root() {
	if !s.blanks() {
		return
	}
	if c := s.peek(); c != '{' && c != '[' {
		s.say(s.at, `it must be one JSON object in braces: { "port": 5010, ... }`)
		return
	}
	if !s.value() || !s.blanks() || s.at == len(s.text) {
		return
	}
	switch s.peek() {
	case '}', ']':
		s.say(s.at, "one closing %c too many", s.peek())
	default:
		s.say(s.at, "something stands behind the end of the object; a brace may have been closed too early")
	}
}

// value reads one value with all that is in it, without recursion: brackets nest
// as deep as somebody cares to write them.
func (s *syntax) value() bool {
	depth := len(s.open)
	for {
		opened, ok := s.one()
		if !ok {
			return false
		}
		if opened && s.in('{') {
			if ended, ok := s.name(); !ok {
				return false
			} else if !ended {
				continue
			}
		} else if opened {
			if ended, ok := s.element(); !ok {
				return false
			} else if !ended {
				continue
			}
		}
		for {
			if len(s.open) == depth {
				return true
			}
			more, ok := s.after()
			if !ok {
				return false
			}
			if more {
				break
			}
		}
	}
}

// in reports whether the innermost open bracket is this one.
func (s *syntax) in(bracket byte) bool {
	return len(s.open) > 0 && s.text[s.open[len(s.open)-1]] == bracket
}

func (s *syntax) closing() byte {
	if s.in('{') {
		return '}'
	}
	return ']'
}

func (s *syntax) close() {
	s.open = s.open[:len(s.open)-1]
	s.step(1)
}

// element gets to the next value of an array, or to its end.
func (s *syntax) element() (ended, ok bool) {
	if !s.blanks() {
		return false, false
	}
	return s.peek() == ']', true
}

// name reads up to the value of an object's next member, or to its end.
func (s *syntax) name() (ended, ok bool) {
	if !s.blanks() {
		return false, false
	}
	switch c := s.peek(); {
	case c == '}':
		return true, true
	case c == '"':
	case c == ',':
		return false, s.say(s.at, "one comma too many")
	case c == ':' || c == '=':
		return false, s.say(s.at, "the name of the key is missing before this")
	case c == ']':
		return false, s.mismatch()
	case s.at == len(s.text):
		return false, s.unclosed()
	case s.oddQuote():
		return false, false
	default:
		return false, s.say(s.at, `the name of a key must stand in double quotes`)
	}
	if !s.quoted() || !s.blanks() {
		return false, false
	}
	switch c := s.peek(); {
	case c == ':':
		s.step(1)
		return false, true
	case c == '=':
		return false, s.say(s.at, "a colon must stand here and not an equals sign")
	case c == ',' || c == '}' || s.at == len(s.text):
		return false, s.say(s.end, "the value is missing: a colon and a value must stand here")
	}
	if s.at == s.end {
		return false, s.say(s.end, "a quote or a colon is missing before this: a name ends in a quote and a colon")
	}
	return false, s.say(s.end, "a colon is missing here, between the name and its value")
}

// after reads what stands behind a value, or behind a comma that nothing follows: a
// comma and all up to the next value (more), or the end of the bracket.
func (s *syntax) after() (more, ok bool) {
	if !s.blanks() {
		return false, false
	}
	c := s.peek()
	switch {
	case c == ',':
		s.step(1)
		var ended bool
		if s.in('{') {
			ended, ok = s.name()
		} else {
			ended, ok = s.element()
		}
		return !ended, ok
	case s.at == len(s.text):
		return false, s.unclosed()
	case c == s.closing():
		s.close()
		return false, true
	case c == '}' || c == ']':
		return false, s.mismatch()
	case c == ';':
		return false, s.say(s.at, "a comma must stand here and not a semicolon")
	case c == ':' || c == '=':
		return false, s.say(s.at, "a value is followed by a comma; is the comma before this key missing, or a quote?")
	case s.at == s.end:
		return false, s.say(s.end, `a comma is missing here; a quote within a text must be written \"`)
	}
	return false, s.say(s.end, "a comma is missing here, before what follows")
}

var (
	jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)
	words      = map[string]string{
		"true": "true", "yes": "true", "on": "true", "false": "false", "no": "false", "off": "false",
		"none": "null", "null": "null", "nil": "null", "undefined": "null",
	}
)

// one reads a value that is no bracket, or steps into a bracket.
func (s *syntax) one() (opened, ok bool) {
	if !s.blanks() {
		return false, false
	}
	c := s.peek()
	switch {
	case c == '{' || c == '[':
		s.open = append(s.open, s.at)
		s.step(1)
		return true, true
	case c == '"':
		return false, s.quoted()
	case s.at == len(s.text):
		return false, s.say(s.end, "the file ends where a value must stand")
	case c == ',' || c == '}' || c == ']':
		if s.in('[') && c == ',' {
			return false, s.say(s.at, "one comma too many")
		}
		return false, s.say(s.at, "a value is missing before this")
	case c == ':' || c == '=':
		return false, s.say(s.at, "one %c too many", c)
	case s.oddQuote():
		return false, false
	}
	word := string(s.text[s.at:])
	if end := strings.IndexFunc(word, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(",:;={}[]\"", r) }); end >= 0 {
		word = word[:end]
	}
	right, known := words[strings.ToLower(word)]
	switch {
	case word == right && known, jsonNumber.MatchString(word):
		s.step(len(word))
		return false, true
	case known:
		return false, s.say(s.at, "this is written %s in JSON", right)
	case c >= '0' && c <= '9' || c == '-' || c == '+' || c == '.':
		return false, s.say(s.at, "this is no number as JSON writes it (digits, without a unit, a plus or zeros in front); text must stand in double quotes")
	}
	return false, s.say(s.at, "text must stand in double quotes")
}

// quoted reads a text in double quotes.
func (s *syntax) quoted() bool {
	for i := s.at + 1; i < len(s.text); i++ {
		switch c := s.text[i]; {
		case c == '"':
			s.step(i + 1 - s.at)
			return true
		case c == '\n' || c == '\r':
			return s.say(s.at, "the text that begins here has no closing quote on its line")
		case c == '\t':
			return s.say(i, `a tab within a text must be written \t`)
		case c < ' ':
			return s.say(i, "a control character within a text")
		case c == '\\':
			if i+1 < len(s.text) && s.text[i+1] == 'u' && hexadecimal(s.text[i+2:]) {
				i += 5
				continue
			}
			if i+1 == len(s.text) || !strings.ContainsRune(`"\/bfnrt`, rune(s.text[i+1])) {
				return s.say(i, `a backslash within a text must be doubled (\\)`)
			}
			i++
		}
	}
	return s.say(s.at, "the text that begins here has no closing quote")
}

func hexadecimal(text []byte) bool {
	return len(text) >= 4 && strings.Trim(string(text[:4]), "0123456789abcdefABCDEF") == ""
}

// oddQuote notes a quote of another kind than JSON's.
func (s *syntax) oddQuote() bool {
	r, _ := utf8.DecodeRune(s.text[s.at:])
	switch {
	case r == '\'' || r == '`':
		s.say(s.at, `text must stand in double quotes (")`)
	case strings.ContainsRune("“”„‟‘’‚‛«»‹›″＂", r):
		s.say(s.at, `this is a typographic quote, as word processors make them; a plain " must stand here`)
	default:
		return false
	}
	return true
}

// blanks skips blanks and comments.
func (s *syntax) blanks() bool {
	for s.at < len(s.text) {
		rest := s.text[s.at:]
		switch {
		case strings.IndexByte(" \t\r\n", rest[0]) >= 0:
			s.at++
		case bytes.HasPrefix(rest, []byte("//")):
			end := bytes.IndexByte(rest, '\n')
			if end < 0 {
				end = len(rest)
			}
			s.at += end
		case bytes.HasPrefix(rest, []byte("/*")):
			end := bytes.Index(rest[2:], []byte("*/"))
			if end < 0 {
				return s.say(s.at, "the comment that begins here has no */")
			}
			s.at += end + 4
		case rest[0] == '/' || rest[0] == '#':
			return s.say(s.at, "a comment begins with // or with /*")
		default:
			return s.visible(rest)
		}
	}
	return true
}

// visible notes characters that look like nothing or like a blank, and are none.
func (s *syntax) visible(rest []byte) bool {
	r, _ := utf8.DecodeRune(rest)
	if r > ' ' && r != 0x7f && !unicode.IsSpace(r) && !unicode.Is(unicode.Cf, r) {
		return true
	}
	return s.say(s.at, "an invisible character (U+%04X); a plain blank must stand here, or nothing", r)
}

func (s *syntax) mismatch() bool {
	return s.say(s.at, "%c must stand here, since the %c of line %d is open", s.closing(), s.text[s.open[len(s.open)-1]], s.line())
}

func (s *syntax) unclosed() bool {
	return s.say(s.end, "the file ends, and the %c of line %d has no %c", s.text[s.open[len(s.open)-1]], s.line(), s.closing())
}

// line is where the innermost open bracket stands.
func (s *syntax) line() int {
	line, _ := lineColumn(s.text, s.open[len(s.open)-1])
	return line
}

// peek is the next byte, 0 at the end.
func (s *syntax) peek() byte {
	if s.at == len(s.text) {
		return 0
	}
	return s.text[s.at]
}

// step goes behind a token.
func (s *syntax) step(n int) {
	s.at += n
	s.end = s.at
}

// lineColumn counts both from 1, columns in bytes.
func lineColumn(text []byte, at int) (line, column int) {
	return 1 + bytes.Count(text[:at], []byte("\n")), at - bytes.LastIndexByte(text[:at], '\n')
}
