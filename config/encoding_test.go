package config

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/tailscale/hujson"
)

// wideText is the text in UTF-16 or, with four bytes a unit, in UTF-32.
func wideText(text string, order binary.AppendByteOrder, bytes int) string {
	var out []byte
	if bytes == 4 {
		for _, r := range text {
			out = order.AppendUint32(out, uint32(r))
		}
		return string(out)
	}
	for _, unit := range utf16.Encode([]rune(text)) {
		out = order.AppendUint16(out, unit)
	}
	return string(out)
}

// TestNotUTF8: what is no text in UTF-8 is called what it is, and what to do.
func TestNotUTF8(t *testing.T) {
	good := with(`"keyPassword": "hunter2"`)
	for name, c := range map[string]struct{ text, at, want string }{
		"UTF-16LE":           {"\xff\xfe" + wideText(good, binary.LittleEndian, 2), "0:0", "UTF-16, as PowerShell"},
		"UTF-16BE":           {"\xfe\xff" + wideText(good, binary.BigEndian, 2), "0:0", "iconv -f UTF-16 -t UTF-8"},
		"UTF-16LE, no mark":  {wideText(good, binary.LittleEndian, 2), "0:0", "iconv -f UTF-16LE -t UTF-8"},
		"UTF-16BE, no mark":  {wideText(" "+good, binary.BigEndian, 2), "0:0", "iconv -f UTF-16BE -t UTF-8"},
		"UTF-32LE":           {"\xff\xfe\x00\x00" + wideText(good, binary.LittleEndian, 4), "0:0", "iconv -f UTF-32 -t UTF-8"},
		"UTF-32BE":           {"\x00\x00\xfe\xff" + wideText(good, binary.BigEndian, 4), "0:0", "iconv -f UTF-32 -t UTF-8"},
		"UTF-32LE, no mark":  {wideText(good, binary.LittleEndian, 4), "0:0", "iconv -f UTF-32LE -t UTF-8"},
		"UTF-32BE, no mark":  {wideText(good, binary.BigEndian, 4), "0:0", "iconv -f UTF-32BE -t UTF-8"},
		"only a UTF-16 mark": {"\xff\xfe", "0:0", "UTF-16"},
		"only a UTF-8 mark":  {"\ufeff", "0:0", "it is empty"},

		"Latin-1":                 {with("\"keyPassword\": \"hunt\xe4r2\""), "4:21", "Latin-1 (ISO 8859-1), Windows-1252"},
		"Windows-1252":            {with("\"keyPassword\": \"hunter2\x80\""), "4:24", "Windows-1252 or the like; save it as UTF-8 (iconv -f WINDOWS-1252"},
		"Latin-1 in a comment":    {with("// \xfcber"), "4:4", "Latin-1"},
		"UTF-8 with a broken end": {good + "// \xc3", "5:5", "not UTF-8"},
		"a surrogate":             {with("\"keyPassword\": \"\xed\xa0\xbd\""), "4:17", "not UTF-8"},
		"NUL":                     {with("\"keyPassword\": \"hun\x00ter2\""), "4:20", "NUL"},
		"NUL behind":              {good + "\x00", "5:2", "NUL"},
		"zeros":                   {strings.Repeat("\x00", 4096), "1:1", "NUL"},

		"JKS":    {"\xfe\xed\xfe\xed\x00\x00\x00\x02", "0:0", "a JKS key file; are the configuration and the key file swapped?"},
		"JCEKS":  {"\xce\xce\xce\xce\x00", "0:0", "swapped"},
		"PKCS12": {"\x30\x82\x0a\x00\x02\x01\x03", "0:0", "swapped"},
		"BER":    {"\x30\x80\x02\x01\x03", "0:0", "swapped"},
		"PEM":    {"-----BEGIN CERTIFICATE-----\n", "0:0", "swapped"},
		"gzip":   {"\x1f\x8b\x08\x00", "0:0", "gzip"},
	} {
		faults := faultsOf(t, c.text, nil)
		if at := fmt.Sprintf("%d:%d", faults[0].Line, faults[0].Column); len(faults) != 1 || at != c.at || !strings.Contains(faults[0].Problem, c.want) {
			t.Errorf("%s: %v; want it at %s with %q", name, faults, c.at, c.want)
		}
		if strings.Contains(faults.Error(), "hun") {
			t.Errorf("%s: the fault repeats the text: %v", name, faults)
		}
	}
	for name, text := range map[string]string{
		"mark": "\ufeff" + good, "CRLF": strings.ReplaceAll(good, "\n", "\r\n"), "mark, CRLF": "\ufeff" + strings.ReplaceAll(good, "\n", "\r\n"),
		"other letters": with(`"keyPassword": "пароль€" // ü`),
	} {
		if _, err := parse(path0, []byte(text), nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzSyntax: the diagnosis agrees with the parser on what is a fault, but for
// a line separator in a comment, and its places are within the text.
func FuzzSyntax(f *testing.F) {
	for _, text := range []string{
		"{}", with(`"port": 1`), `{"a": [1, {"b": [], "c": {},},], // x` + "\n}", `{"a": "\u00e4\"\\"}`, "[1 2]", `{"a" "b"}`, `{"a": -0.5e+7, "b": 1e5}`, "{/**/}/*", "{\"a\": \"\u2028\"}",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if problem, _ := notText([]byte(text)); problem != "" || strings.ContainsAny(text, "\u2028\u2029") || strings.HasPrefix(text, markUTF8) {
			return
		}
		value, err := hujson.Parse([]byte(text + "\n"))
		problem, at := diagnose([]byte(text))
		if at < 0 || at > len(text) {
			t.Fatalf("%q: at %d", text, at)
		}
		if err == nil && value.Value.Kind() != '{' && value.Value.Kind() != '[' {
			return // JSON, but no object: not the parser's business
		}
		if (err != nil) != (problem != "") {
			t.Errorf("%q: the parser says %v, the diagnosis %q", text, err, problem)
		}
	})
}
