package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// TestRules has one line of a file per rule: the fault names the key, the line
// and something of what would be right.
func TestRules(t *testing.T) {
	for line, want := range map[string]string{
		`"port": 65536`:                               "a whole number from 0 to 65535, not 65536",
		`"port": -1`:                                  "not -1",
		`"port": 1.5`:                                 "not 1.5",
		`"port": true`:                                "not true",
		`"port": null`:                                "not null",
		`"port": ""`:                                  `not ""`,
		`"port": "0x10"`:                              `not "0x10"`,
		`"port": [1]`:                                 "not an array",
		`"port": {"a": 1}`:                            "not an object",
		`"segmentsFlushRateInSeconds": 0`:             "a number of seconds",
		`"segmentsFlushRateInSeconds": -1`:            "not -1",
		`"segmentsFlushRateInSeconds": "NaN"`:         `not "NaN"`,
		`"segmentsFlushRateInSeconds": "Inf"`:         `not "Inf"`,
		`"segmentsFlushRateInSeconds": 1e300`:         "not 1e300",
		`"segmentsFlushRateInSeconds": "1y"`:          `text like "1m30s"`,
		`"segmentsFlushRateInSeconds": false`:         "not false",
		`"splitTimeout": "0s"`:                        `not "0s"`,
		`"keyPassword": 5`:                            "must be text",
		`"keyEntryPassword": ["x"]`:                   "must be text",
		`"journalDir": ""`:                            "a path",
		`"journalDir": "a\u0000b"`:                    "a path",
		`"journalKeyFile": 7`:                         "a path, not 7",
		`"splitApiUrl": "api.split.io"`:               "does not begin with https://",
		`"splitApiUrl": "ftp://h"`:                    "does not begin with https://",
		`"splitApiUrl": "https://"`:                   "names no host",
		`"splitApiUrl": "https://:443"`:               "names no host",
		`"splitApiUrl": "https://u:hunter2@h"`:        "holds a user name",
		`"splitApiUrl": "https://h/?a=b"`:             "something after ? or #",
		`"splitApiUrl": "https://h/#"`:                "something after ? or #",
		`"splitApiUrl": "https://h:99999"`:            "port",
		`"splitApiUrl": "https://h:hunter2"`:          "cannot be read as a URL",
		`"splitApiUrl": 1`:                            "not 1",
		`"adminAddress": "3010"`:                      `host:port such as 127.0.0.1:3010, or empty, not "3010"`,
		`"adminAddress": "h:http"`:                    "host:port",
		`"adminAddress": "h:65536"`:                   "host:port",
		`"adminAddress": null`:                        "host:port",
		`"adminTls": 1`:                               "true or false, not 1",
		`"adminTls": "yes"`:                           "true or false",
		`"adminPprof": null`:                          "true or false",
		`"adminOpenMetrics": [true]`:                  "true or false",
		`"logLevel": "INFO"`:                          "one of trace, debug, info, warn, error",
		`"logFormat": "xml"`:                          "one of auto, json, console",
		`"egressGroup": ""`:                           "text of 1 to 64 printable characters",
		`"egressGroup": 1`:                            "text of 1 to 64",
		`"nodeName": " a"`:                            "without blanks around them, or empty",
		`"leaseTime": "999ms"`:                        "from 1s to 60s",
		`"leaseTime": 60.5`:                           "from 1s to 60s",
		`"maxBodyBytes": 0`:                           "a whole number from 1024",
		`"maxConcurrentCalls": 1e1`:                   "a whole number",
		`"maxCallsPerSecond": 0`:                      "a number from 0.001",
		`"minFreeDiskBytes": 9e99`:                    "a whole number from 0",
		`"prot": 1`:                                   `unknown; did you mean "port"?`,
		`"Port": 1`:                                   `unknown; did you mean "port"?`,
		`"AUTHTOKEN": "hunter2"`:                      `did you mean "authToken"?`,
		`"splitApiURL": ""`:                           `did you mean "splitApiUrl"?`,
		`"segmentsFlushRate": 1`:                      `did you mean "segmentsFlushRateInSeconds"?`,
		`"flushInterval": "hunter2"`:                  `unknown; the keys are port, authToken`,
		`"": 1`:                                       `unknown`,
		`"keyFile": "again"`:                          "a second time; the first is on line 3",
		`"maxBodyBytes": 268435457`:                   "must not exceed maxBytesInFlight",
		`"moreKeyFiles": "b.pem"`:                     "a JSON list of paths",
		`"moreKeyFiles": 7`:                           "a list of different paths",
		`"moreKeyFiles": ["b.pem", 7]`:                "a JSON list of paths",
		`"moreKeyFiles": ["b.pem", null]`:             "path 2 is empty",
		`"moreKeyFiles": ["b.pem", "./b.pem"]`:        "path 2 is there twice",
		`"moreKeyFiles": ["k.jks"]`:                   "must not name the file that keyFile names",
		`"adminAddress": "", "clientCaFile": "c.pem"`: "clientCaFile needs an adminAddress",
		`"adminAddress": ":5010"`:                     "must not name the same port",
	} {
		faults := faultsOf(t, with(line), nil)
		key := line[1:strings.Index(line, `":`)]
		if len(faults) != 1 || faults[0].Key != key || faults[0].Line != 4 || faults[0].Source != path0 || !strings.Contains(faults[0].Problem, want) {
			t.Errorf("%s\n\tgave %v\n\twant one fault on line 4 with %q", line, faults, want)
		}
		if strings.Contains(faults.Error(), "hunter2") {
			t.Errorf("%s: a fault repeats a secret: %v", line, faults)
		}
	}
}

func TestTokenRules(t *testing.T) {
	for token, want := range map[string]string{
		`""`: "blank", `"  "`: "blank", `" hunter2"`: "blanks or line ends around", `"hunter2\n"`: "blanks or line ends around",
		`"hunter2\u0007x"`: "character number 8", `"hunter2é"`: "character number 8", `12345678`: "printable ASCII", `null`: "printable ASCII", `["hunter2"]`: "printable ASCII",
	} {
		faults := faultsOf(t, `{"keyFile": "k", "authToken": `+token+`}`, nil)
		if len(faults) != 1 || faults[0].Key != "authToken" || !strings.Contains(faults[0].Problem, want) {
			t.Errorf("%s: %v, want %q", token, faults, want)
		}
		if strings.Contains(faults.Error(), "hunter2") || strings.Contains(faults.Error(), "12345678") {
			t.Errorf("a fault repeats the token: %v", faults)
		}
	}
}

// TestAllFaultsAtOnce: nobody has to restart once for each, and comments do not
// shift the lines.
func TestAllFaultsAtOnce(t *testing.T) {
	text := `{
		// a comment
		"prot": 1, /* one
		over three
		lines */ "logLevel":
			"loud",
		"logLevel": "info",
		"splitTimeout": "soon", // the last
	}`
	faults := faultsOf(t, text, map[string]string{
		"AUDIENCES_PORT": "tcp://10.0.0.1:5010", "AUDIENCES_KEY_PASSWORD": "hunter2", "AUDIENCES_KEY_PASSWORD_FILE": "x", "AUDIENCES_MAX_BODY_BYTES": "",
	})
	var got []string
	for _, fault := range faults {
		got = append(got, fmt.Sprintf("%s %d %s", fault.Source, fault.Line, fault.Key))
	}
	want := []string{
		path0 + " 3 prot", path0 + " 5 logLevel", path0 + " 7 logLevel", path0 + " 8 splitTimeout",
		"environment variable AUDIENCES_PORT 0 port", "environment variable AUDIENCES_KEY_PASSWORD 0 keyPassword",
		"environment variable AUDIENCES_MAX_BODY_BYTES 0 maxBodyBytes", path0 + " 0 authToken", path0 + " 0 keyFile",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%v\nwant\n%s", faults, strings.Join(want, "\n"))
	}
	lines := strings.Split(faults.Error(), "\n")
	if len(lines) != len(want) || lines[0] != path0+`:3: key "prot": unknown; did you mean "port"?` {
		t.Errorf("as text:\n%v", faults)
	}
	if !strings.Contains(faults.Error(), "enableServiceLinks") || strings.Contains(faults.Error(), "hunter2") {
		t.Errorf("as text:\n%v", faults)
	}
}

// TestMissing: a fault about a key that is not there names every way to give it.
func TestMissing(t *testing.T) {
	faults := faultsOf(t, "{}", nil)
	for i, want := range []string{"(or set AUDIENCES_AUTH_TOKEN or AUDIENCES_AUTH_TOKEN_FILE)", "(or set AUDIENCES_KEY_FILE)"} {
		if len(faults) != 2 || !strings.HasSuffix(faults[i].Problem, want) {
			t.Errorf("%v; want number %d with %q", faults, i, want)
		}
	}
}

// TestNotJSON: one fault with line, column and what would be right, in which
// nothing of the file's text stands: it may be the token.
func TestNotJSON(t *testing.T) {
	for text, want := range map[string]string{
		// A comma that is missing is missing behind the value before it.
		"{\n\"authToken\": \"hunter2\"\n\"port\": 1}":            "2:23 a comma is missing",
		"{\n\"port\": 1 // 5010, hunter2\n\n\"keyFile\": \"k\"}": "2:10 a comma is missing",
		"{\r\n\"port\": 1\r\n\"keyFile\": \"k\"}":                "2:10 a comma is missing",
		"\ufeff{\"port\": 1 /* x\n */ \"keyFile\": \"k\"}":       "1:11 a comma is missing",
		"{\"authToken\": \"hunter2\" \"port\": 1}":               "1:24 a comma is missing",
		"{\"a\": {\"b\": [1]} \"port\": 1}":                      "1:17 a comma is missing",
		"{\"a\": true port: 1}":                                  "1:11 a comma is missing",
		"{\"a\": [1 2]}":                                         "1:9 a comma is missing",
		"{\"a\": [\n\"hunter2\"\n\"x\"]}":                        "2:10 a comma is missing",
		"{\"a\": [{} {}]}":                                       "1:10 a comma is missing",
		"{\"authToken\": \"hun\"ter2\"}":                         "1:20 quote within a text",
		"{\"authToken\": \"hunter2\";\n\"port\": 1}":             "1:24 not a semicolon",
		"{\"authToken\": \"hunter2\",,\n\"port\": 1}":            "1:25 one comma too many",
		"{,\"port\": 1}":                                         "1:2 one comma too many",
		"{\"a\": [1,,2]}":                                        "1:10 one comma too many",
		"{\"authToken\": \"x\": \"hunter2\"}":                    "1:18 is the comma before this key missing",
		"{\"authToken\" \"hunter2\"}":                            "1:13 a colon is missing",
		"{\"port\" 5010}":                                        "1:8 a colon is missing",
		"{\"port\"\n\"authToken\": \"hunter2\"}":                 "1:8 a colon is missing",
		"{\"authToken\" = \"hunter2\"}":                          "1:14 not an equals sign",
		"{\"authToken\" => \"hunter2\"}":                         "1:14 not an equals sign",
		"{\"authToken\": = \"hunter2\"}":                         "1:15 one = too many",
		"{\"authToken\":: \"hunter2\"}":                          "1:14 one : too many",
		"{\"authToken\": , \"port\": 1}":                         "1:15 a value is missing",
		"{\"port\": }":                                           "1:10 a value is missing",
		"{\"port\"}":                                             "1:8 the value is missing",
		"{\"port\", \"x\": 1}":                                   "1:8 the value is missing",
		"{: 5010}":                                               "1:2 name of the key is missing",
		"{\"port\":":                                             "1:9 ends where a value must stand",
		"{":                                                      "1:2 the { of line 1 has no }",
		"{\n\"authToken\": \"hunter2\"\n\n// hunter2\n":          "2:23 the { of line 1 has no }",
		"{\n\"a\": {\n\"port\": 1,\n}\n":                         "4:2 the { of line 1 has no }",
		"{\n\"a\": {\"port\": 1,\n":                              "2:17 the { of line 2 has no }",
		"{\"a\": [1, 2}":                                         "1:12 ] must stand here",
		"{\"a\": 1]":                                             "1:8 } must stand here",
		"{\"a\": 1,]":                                            "1:9 } must stand here",
		"{} hunter2":                                             "1:4 behind the end",
		"{\"port\": 1},\n\"authToken\": \"hunter2\"":             "1:12 behind the end",
		"{\"port\": 1}\n}":                                       "2:1 one closing } too many",
		"{}{}":                                                   "1:3 behind the end",
		"{\n\"authToken\": \"hun\nter2\"}":                       "2:14 no closing quote on its line",
		"{\n\"authToken\": \"hunter2,\n\"port\": 1}":             "2:14 no closing quote on its line",
		"{\n\"authToken: \"hunter2\",\n\"port\": 1}":             "2:14 a quote or a colon is missing",
		"{\"a\": \"hunter2}":                                     "1:7 no closing quote",
		"{\n\"authToken\": hunter2\n}":                           "2:14 text must stand in double quotes",
		"{\n\"authToken\": hunter2\",\n}":                        "2:14 text must stand in double quotes",
		"{\n\"authToken\": 'hunter2'\n}":                         "2:14 double quotes",
		"{\n'authToken': \"hunter2\"\n}":                         "2:1 double quotes",
		"{\n`authToken`: \"hunter2\"\n}":                         "2:1 double quotes",
		"{\n“authToken”: \"hunter2\"\n}":                         "2:1 typographic quote",
		"{\n\"authToken\": „hunter2“\n}":                         "2:14 typographic quote",
		"{\n\"authToken\": «hunter2»\n}":                         "2:14 typographic quote",
		"{\n\"authToken\": \"hunter2”\n}":                        "2:14 no closing quote on its line",
		"{\nauthToken: \"hunter2\"\n}":                           "2:1 name of a key must stand in double quotes",
		"{5010: 1}":                                              "1:2 name of a key must stand in double quotes",
		"{\"a\": True}":                                          "1:7 written true",
		"{\"a\": FALSE}":                                         "1:7 written false",
		"{\"a\": None}":                                          "1:7 written null",
		"{\"a\": undefined}":                                     "1:7 written null",
		"{\"a\": off}":                                           "1:7 written false",
		"{\"port\": 0x10}":                                       "1:10 no number",
		"{\"port\": +5}":                                         "1:10 no number",
		"{\"port\": 05010}":                                      "1:10 no number",
		"{\"port\": 5.}":                                         "1:10 no number",
		"{\"idleTimeout\": 10m}":                                 "1:17 no number",
		"{\"port\": 1_000}":                                      "1:10 no number",
		"{\"adminAddress\": 127.0.0.1}":                          "1:18 no number",
		"{\"a\": NaN}":                                           "1:7 double quotes",
		"{\n\"authToken\": \"\\hunter2\"}":                       "2:15 must be doubled",
		"{\"keyFile\": \"C:\\Users\"}":                           "1:16 must be doubled",
		"{\"keyFile\": \"\\u12\"}":                               "1:14 must be doubled",
		"{\"keyFile\": \"C:\\\"}":                                "1:13 no closing quote",
		"{\"keyFile\": \"C:\\":                                   "1:16 must be doubled",
		"{\"keyFile\": \"\\u00e4":                                "1:13 no closing quote",
		"{\"keyFile\": \"a\tb\"}":                                "1:15 a tab",
		"{\"keyFile\": \"a\x01b\"}":                              "1:15 control character",
		"{/* hunter2 }":                                          "1:2 has no */",
		"{\"port\": 1 /* hunter2 }\n":                            "1:12 has no */",
		"{ # hunter2\n}":                                         "1:3 a comment begins with //",
		"{ / hunter2\n}":                                         "1:3 a comment begins with //",
		"{\n\u00a0\"port\": 1}":                                  "2:1 invisible character (U+00A0)",
		"{\"port\":\u200b1}":                                     "1:9 invisible character (U+200B)",
		"{}\ufeff{}":                                             "1:3 invisible character (U+FEFF)",
		"{\"port\": 1,\x7f}":                                     "1:12 invisible character (U+007F)",
		"{\"port\": 1,\x0c}":                                     "1:12 invisible character (U+000C)",
		"port: 5010\nauthToken: hunter2":                         "1:1 one JSON object in braces",
		"\"authToken\": \"hunter2\"":                             "1:1 one JSON object in braces",
		"# hunter2\nport = 5010":                                 "1:1 a comment begins with //",
		"":                                                       "0:0 it is empty",
		" \r\n":                                                  "0:0 it is empty",
		"// hunter2":                                             "1:11 one JSON object in braces",
		// Of this the parser alone knows, and its place is told all the same.
		"{\n// hunter2\u2028\n}": "2:11 it is not JSON",
	} {
		faults := faultsOf(t, text, nil)
		at, words, _ := strings.Cut(want, " ")
		if got := fmt.Sprintf("%d:%d", faults[0].Line, faults[0].Column); len(faults) != 1 || got != at || !strings.Contains(faults[0].Problem, words) {
			t.Errorf("%q: %v; want it at %s, with %q", text, faults, at, words)
		}
		if strings.Contains(faults.Error(), "hun") || strings.Contains(faults.Error(), "ter2") {
			t.Errorf("%q: the fault repeats the text: %v", text, faults)
		}
	}
	for _, text := range []string{"[]", "5", "null", `"hunter2"`, strings.Repeat("[", 1<<19), strings.Repeat(`{"":`, 1<<18), "{" + strings.Repeat(`"x":0,`, 150_000) + "}"} {
		if faults := faultsOf(t, text, nil); len(faults) != 1 || strings.Contains(faults.Error(), "hunter2") {
			t.Errorf("%.20q: %v", text, faults)
		}
	}
}

// TestBounds: a file with more brackets or keys than the parser could bear is
// refused as a whole; one with just as many is read, and its faults are its own.
func TestBounds(t *testing.T) {
	arrays := func(n int) string { return with(`"a": [` + strings.Repeat("[],", n) + "]") }
	objects := func(n int) string { return with(`"a": [` + strings.Repeat("{},", n) + "]") }
	keys := func(n int) string { return "{" + strings.Repeat(`"":0,`, n) + "}" }
	for name, c := range map[string]struct {
		text   string
		faults int
		want   string
	}{
		"arrays":           {arrays(maxBrackets - 2), 1, "unknown"},
		"an array more":    {arrays(maxBrackets - 1), 1, "too many brackets"},
		"objects":          {objects(maxBrackets - 2), 1, "unknown"},
		"an object more":   {objects(maxBrackets - 1), 1, "too many brackets"},
		"one in the other": {strings.Repeat(`[{"":`, maxBrackets), 1, "too many brackets"},
		"keys":             {keys(maxMembers), maxMembers + 2, "unknown"}, // each, and the two that are required
		"a key more":       {keys(maxMembers + 1), 1, "too many for a configuration"},
	} {
		if faults := faultsOf(t, c.text, nil); len(faults) != c.faults || !strings.Contains(faults[0].Problem, c.want) {
			t.Errorf("%s: %d faults, the first is %v; want %d with %q", name, len(faults), faults[0], c.faults, c.want)
		}
	}
}

func TestNearest(t *testing.T) {
	names := make([]string, len(table))
	for i, k := range table {
		names[i] = k.name
	}
	for name, want := range map[string]string{
		"prot": "port", "pot": "port", "pt": "", "PORT": "port", "auth_token": "authToken", "authtoken": "authToken", "keypass": "keyPassword", "flushRateInSeconds": "segmentsFlushRateInSeconds", "maxCalls": "maxCallsPerSecond", "key": "", "idle": "idleTimeout", "keyPasword": "keyPassword",
		"segmentFlushRateInSecond": "segmentsFlushRateInSeconds", "journaldir": "journalDir", "xyz": "", "": "", strings.Repeat("p", 1<<20): "",
	} {
		if got := nearest(name, names); got != want {
			t.Errorf("nearest(%.30q) = %q, want %q", name, got, want)
		}
	}
}

// TestSecretsDoNotPrint covers I7 for a whole configuration.
func TestSecretsDoNotPrint(t *testing.T) {
	c := mustParse(t, `{"authToken": "hunter2", "keyFile": "k", "keyPassword": "hunter2", "keyEntryPassword": "hunter2"}`, nil)
	var out strings.Builder
	logger := slog.New(slog.NewJSONHandler(&out, nil))
	for _, v := range []any{c, &c, c.AuthToken, &c.AuthToken, []Secret{c.AuthToken}, map[Secret]Secret{c.AuthToken: c.KeyPassword}} {
		fmt.Fprintf(&out, "%v %+v %#v %s %q %d %x %X %t\n", v, v, v, v, v, v, v, v, v)
		logger.Info("x", "v", v)
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(text)
	}
	for _, shape := range []string{"hunter2", "68756e74657232", "68756E74657232"} {
		if strings.Contains(out.String(), shape) {
			t.Errorf("%q shows in\n%s", shape, out.String())
		}
	}
	if c.AuthToken.Reveal() != "hunter2" || c.AuthToken.String() != hidden || c.AuthToken.GoString() != hidden {
		t.Error("the secret is lost, or shows")
	}
}

// FuzzLoad: no panic, no endless loop, and either a usable configuration or
// faults that name a place and a problem.
func FuzzLoad(f *testing.F) {
	for _, text := range []string{"", "{}", with(""), with(`"port": "5010", // x`), with(`"splitApiUrl": "http://[::1%25a]:1/"`), "{\"a\":[{}]}", "\ufeff{/**/}", with(`"idleTimeout": "1h"`)} {
		f.Add([]byte(text), "5010", "1.5s")
	}
	f.Fuzz(func(t *testing.T, data []byte, port, flush string) {
		c, err := parse(path0, data, environ(map[string]string{"AUDIENCES_PORT": port, "AUDIENCES_SEGMENTS_FLUSH_RATE_IN_SECONDS": flush}))
		if err == nil {
			if c.AuthToken.Reveal() == "" || c.KeyFile == "" || c.Port < 0 || c.Port > 65535 || c.SegmentsFlushRate <= 0 {
				t.Fatalf("accepted: %+v", c)
			}
			return
		}
		for _, fault := range err.(Faults) {
			if fault.Source == "" || fault.Problem == "" {
				t.Fatalf("incomplete: %+v", fault)
			}
		}
	})
}
