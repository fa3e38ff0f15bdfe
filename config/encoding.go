package config

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// What to do about an encoding; each command writes the file anew in UTF-8.
const (
	asUTF8   = "; save it as UTF-8 (iconv -f %s -t UTF-8 OLD > NEW, or in PowerShell: Set-Content -Encoding utf8)"
	swapped  = "; are the configuration and the key file swapped?"
	markUTF8 = "\ufeff"
)

// beginnings tell by its first bytes what a file is that is no configuration.
// The longer mark of two that begin alike stands first.
var beginnings = []struct{ bytes, problem string }{
	{"\xff\xfe\x00\x00", "it is in UTF-32" + fmt.Sprintf(asUTF8, "UTF-32")},
	{"\x00\x00\xfe\xff", "it is in UTF-32" + fmt.Sprintf(asUTF8, "UTF-32")},
	{"\xff\xfe", "it is in UTF-16, as PowerShell's > writes it" + fmt.Sprintf(asUTF8, "UTF-16")},
	{"\xfe\xff", "it is in UTF-16" + fmt.Sprintf(asUTF8, "UTF-16")},
	{"\xfe\xed\xfe\xed", "it is a JKS key file" + swapped},
	{"\xce\xce\xce\xce", "it is a JCEKS key file" + swapped},
	{"-----BEGIN ", "it is a PEM key file" + swapped},
	{"\x1f\x8b", "it is compressed (gzip)"},
	{"PK\x03\x04", "it is compressed (zip)"},
	{"\x7fELF", "it is a program"},
}

// notText says why the bytes cannot be a configuration's text, "" if they can,
// and where, if it is about one place. A byte order mark has been taken off. It
// shows none of the bytes: they may be a secret's (I7).
func notText(data []byte) (problem string, at int) {
	for _, b := range beginnings {
		if bytes.HasPrefix(data, []byte(b.bytes)) {
			return b.problem, -1
		}
	}
	switch {
	case len(bytes.TrimSpace(data)) == 0:
		return `it is empty; it must be one JSON object: { "port": 5010, ... }`, -1
	case len(data) > 1 && data[0] == 0x30 && data[1] >= 0x80:
		return "it is a PKCS12 key file, or another binary one" + swapped, -1
	}
	if encoding := wide(data); encoding != "" {
		return "it is in " + encoding + " without a byte order mark" + fmt.Sprintf(asUTF8, encoding), -1
	}
	if at := bytes.IndexByte(data, 0); at >= 0 {
		return "a NUL byte; a configuration is text", at
	}
	if at := invalidUTF8(data); at >= 0 {
		return "a character that is not UTF-8; the file is in " + narrow(data), at
	}
	return "", -1
}

// wide tells UTF-16 and UTF-32 without a mark by the zeros of plain characters:
// a configuration begins with some.
func wide(data []byte) string {
	if len(data) < 4 {
		return ""
	}
	zeros := [4]bool{}
	for i := range zeros {
		zeros[i] = data[i] == 0
	}
	switch zeros {
	case [4]bool{false, true, true, true}:
		return "UTF-32LE"
	case [4]bool{true, true, true, false}:
		return "UTF-32BE"
	case [4]bool{false, true, false, true}:
		return "UTF-16LE"
	case [4]bool{true, false, true, false}:
		return "UTF-16BE"
	}
	return ""
}

func invalidUTF8(data []byte) int {
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

// narrow guesses which of the two encodings with one byte a character: Latin-1
// has no characters from 0x80 to 0x9f, where Windows has quotes and the euro.
func narrow(data []byte) string {
	for _, b := range data {
		if b >= 0x80 && b < 0xa0 {
			return "Windows-1252 or the like" + fmt.Sprintf(asUTF8, "WINDOWS-1252")
		}
	}
	return "Latin-1 (ISO 8859-1), Windows-1252 or the like" + fmt.Sprintf(asUTF8, "ISO-8859-1")
}
