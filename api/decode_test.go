package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"audiences/audience"
)

// body is a good body with some members replaced; "" leaves one out.
func body(members ...string) string {
	all := map[string]string{
		"apiToken": `"tok-aaaa"`, "workspaceId": `"ws1"`, "environmentId": `"env1"`, "trafficTypeId": `"tt1"`,
		"verb": `"add"`, "mpids": `["1"]`, "segment": `"s1"`,
	}
	for i := 0; i < len(members); i += 2 {
		all[members[i]] = members[i+1]
	}
	var parts []string
	for _, name := range []string{"apiToken", "workspaceId", "environmentId", "trafficTypeId", "verb", "mpids", "segment"} {
		if all[name] != "" {
			parts = append(parts, fmt.Sprintf("%q: %s", name, all[name]))
		}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func mustDecode(t *testing.T, text string) request {
	t.Helper()
	req, err := newDecoder().decode([]byte(text))
	if err != nil {
		t.Fatalf("%.200s: %v", text, err)
	}
	return req
}

// newDecoder is one that takes any number of keys.
func newDecoder() *decoder { return &decoder{maxKeys: math.MaxInt} }

func texts(keys audience.Keys) []string {
	out := []string{}
	for key := range keys.All() {
		out = append(out, key.Text())
	}
	return out
}

// goodMPIDs are arrays and the keys in them.
var goodMPIDs = map[string][]string{
	`["1"]`:                                       {"1"},
	`["001","002","003"]`:                         {"001", "002", "003"},
	`["7", "7", 7, "07", 7]`:                      {"7", "07"},
	`[12345]`:                                     {"12345"},
	`[98765432109876543210]`:                      {"98765432109876543210"},
	`[-8735621876216983452]`:                      {"-8735621876216983452"},
	`[9007199254740993, 1.0, 1e5]`:                {"9007199254740993", "1.0", "1e5"},
	`[-0, -9223372036854775809]`:                  {"-0", "-9223372036854775809"},
	`["a\"b", "c\\d", "e\nf"]`:                    {"a\"b", "c\\d", "e\nf"},
	`["\u0041\u00e9", "\ud83d\ude00", "é,]"]`:     {"Aé", "😀", "é,]"},
	`["x ", "null", "true"]`:                      {"x ", "null", "true"},
	`["` + strings.Repeat("é", 250) + `"]`:        {strings.Repeat("é", 250)},
	`["` + strings.Repeat(`\u00e9`, 250) + `"]`:   {strings.Repeat("é", 250)},
	`["a", null, "", "b", " \t", null, "\u00a0"]`: {"a", "b"},
	`[]`:     {},
	`[null]`: {},
}

func TestDecodeKeepsKeysDigitForDigit(t *testing.T) {
	for mpids, want := range goodMPIDs {
		if got := texts(mustDecode(t, body("mpids", mpids)).change.Keys); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", mpids, got, want)
		}
	}
}

func TestDecodeFillsTheChange(t *testing.T) {
	req := mustDecode(t, body("verb", `"DeLeTe"`, "mpids", `[null, "", 5, null]`))
	token, _ := audience.ParseToken("tok-aaaa")
	tenant := audience.NewTenant(token)
	want := audience.Segment{Tenant: tenant.ID, Workspace: "ws1", Environment: "env1", TrafficType: "tt1", Name: "s1"}
	if req.change.Tenant() != tenant || req.change.Segment != want || req.change.Verb != audience.Delete {
		t.Errorf("%+v", req.change.Segment)
	}
	if req.verb != "DeLeTe" || req.ignored != (ignored{null: 2, blank: 1}) {
		t.Errorf("verb %q, ignored %+v", req.verb, req.ignored)
	}
	for _, optional := range []string{"", "null"} {
		segment := mustDecode(t, body("workspaceId", optional, "trafficTypeId", optional)).change.Segment
		if segment.Workspace != "" || segment.TrafficType != "" {
			t.Errorf("%q: %+v", optional, segment)
		}
	}
}

// TestDecodeKeepsNothingOfTheBody: bodies lie in memory that the next request
// overwrites, and a change lives longer than its request.
func TestDecodeKeepsNothingOfTheBody(t *testing.T) {
	text := []byte(body("mpids", `["key-one", 12, "k\u0065y"]`))
	req, err := newDecoder().decode(text)
	if err != nil {
		t.Fatal(err)
	}
	for i := range text {
		text[i] = 'X'
	}
	got := append(texts(req.change.Keys), req.verb, req.change.Segment.Name, req.change.Segment.Environment, req.change.Token.Reveal())
	if want := []string{"key-one", "12", "key", "add", "s1", "env1", "tok-aaaa"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestDecodeSkipsWhatItDoesNotKnow(t *testing.T) {
	good := body()
	for name, text := range map[string]string{
		"extra fields":  good[:len(good)-1] + `, "extra": "x", "nested": {"a": [1, 2, {"b": null}]}}`,
		"unknown twice": good[:len(good)-1] + `, "x": 1, "x": {"mpids": [1], "mpids": [2]}}`,
		"other case":    `{"APITOKEN": 5, "Segment": [], "MPIDS": 7, ` + good[1:],
		"escaped names": strings.Replace(good, "apiToken", `\u0061piToken`, 1),
		"blanks":        " \r\n\t" + good + "\n ",
		"9,000 deep":    good[:len(good)-1] + `, "x": ` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + "}",
	} {
		if req := mustDecode(t, text); req.change.Keys.Len() != 1 || req.change.Segment.Name != "s1" {
			t.Errorf("%s: %v", name, req.change)
		}
	}
}

// at is how a message names the place of a part of a body.
func at(part, body string) string { return fmt.Sprintf("at byte %d", strings.Index(body, part)) }

// refusals are bodies and what the message must name.
var refusals = map[string]struct{ body, message string }{
	"empty":             {"", "invalid POST body: it is empty"},
	"blank":             {" \n", "invalid POST body: it is empty"},
	"null":              {"null", "invalid POST body: it must be a JSON object, not null"},
	"array":             {"[" + body() + "]", "invalid POST body: it must be a JSON object, not an array"},
	"string":            {`"hello"`, "invalid POST body: it must be a JSON object, not a string"},
	"text":              {"hello world", "invalid POST body: invalid character at byte 0"},
	"form":              {"verb=add&mpids=1", "invalid POST body: "},
	"brace":             {"{", "invalid POST body: the JSON ends too early"},
	"cut in a string":   {`{"apiToken":"tok`, "invalid POST body: the JSON ends too early"},
	"cut after a colon": {`{"apiToken":`, "invalid POST body: the JSON ends too early"},
	"cut in mpids":      {`{"mpids":["1",`, "invalid POST body: the JSON ends too early"},
	"trailing text":     {body() + " xyz", "invalid POST body: invalid character at byte "},
	"two objects":       {body() + body(), fmt.Sprintf("there is more after the object's end at byte %d", len(body()))},
	"trailing comma":    {body("mpids", `["1",]`), at(",]", body("mpids", `["1",]`))},
	"unquoted":          {body("mpids", `[abc]`), at("abc", body("mpids", `[abc]`))},
	"single quotes":     {body("mpids", `['abc']`), at("'", body("mpids", `['abc']`))},
	"xssi prefix":       {")]}'\n" + body(), "at byte 0"},
	"arrow":             {strings.Replace(body(), ":", "=>", 1), "at byte 11"},
	"number as a name":  {`{5: 6}`, "at byte 1"},
	"bad UTF-8":         {body("mpids", "[\"\xff\"]"), "invalid UTF-8 " + at("\xff", body("mpids", "[\"\xff\"]"))},
	"half a surrogate":  {body("mpids", `["\ud800"]`), "invalid POST body: invalid surrogate pair at byte"},
	"two halves":        {body("mpids", `["\ud83d\ud83d"]`), "invalid POST body: invalid surrogate pair at byte"},
	"control character": {body("mpids", "[\"a\nb\"]"), "invalid POST body: "},
	"mpids twice":       {`{"mpids": ["1"], ` + body()[1:], "invalid POST body: mpids stands there twice"},
	"verb twice":        {`{"verb": "add", ` + body()[1:], "invalid POST body: verb stands there twice"},
	"null twice":        {`{"workspaceId": null, ` + body()[1:], "invalid POST body: workspaceId stands there twice"},
	"too deep":          {`{"x": ` + strings.Repeat("[", 20000), "invalid POST body: exceeded max depth"},

	"nothing in it":    {"{}", `invalid verb ""; must be add or delete`},
	"no verb":          {body("verb", ""), `invalid verb ""; must be add or delete`},
	"null verb":        {body("verb", "null"), `invalid verb ""; must be add or delete`},
	"number verb":      {body("verb", "5"), `invalid verb "5"; must be add or delete`},
	"boolean verb":     {body("verb", "true"), `invalid verb "true"; must be add or delete`},
	"object verb":      {body("verb", `{"a": 1}`), "invalid verb: it is an object; must be add or delete"},
	"verb remove":      {body("verb", `"remove"`), `invalid verb "remove"; must be add or delete`},
	"verb with blank":  {body("verb", `"add "`), `invalid verb "add "; must be add or delete`},
	"verb with quote":  {body("verb", `"a\"d"`), `invalid verb "a\"d"; must be add or delete`},
	"verb of 8":        {body("verb", `"RemoveIt"`), `invalid verb "RemoveIt"; must be add or delete`},
	"verb of 9":        {body("verb", `"RemoveIt!"`), `invalid verb of 9 characters; must be add or delete`},
	"long verb":        {body("verb", `"`+strings.Repeat("é", 5000)+`"`), `invalid verb of 5000 characters; must be add or delete`},
	"key as verb":      {body("verb", `1234`), `invalid verb of 4 characters; must be add or delete`},
	"short verb":       {body("verb", `123`), `invalid verb "123"; must be add or delete`},
	"broken escape":    {body("mpids", `["\q"]`), "invalid escape sequence at byte"},
	"no such number":   {body("mpids", `[1e]`), "invalid POST body: invalid character at byte"},
	"verb comes first": {body("verb", `"x"`, "apiToken", "", "mpids", "7"), `invalid verb "x"; must be add or delete`},

	"no token":           {body("apiToken", ""), "apiToken is missing"},
	"null token":         {body("apiToken", "null"), "apiToken must be a string, not null"},
	"empty token":        {body("apiToken", `""`), "apiToken must be 1 to 1024 printable"},
	"token with newline": {body("apiToken", `"tok\nX: y"`), "apiToken must be 1 to 1024 printable"},
	"token not ASCII":    {body("apiToken", `"токен"`), "apiToken must be 1 to 1024 printable"},
	"no environment":     {body("environmentId", ""), "environmentId is missing"},
	"number environment": {body("environmentId", "7"), "environmentId must be a string, not a number"},
	"dots":               {body("environmentId", `".."`), "environmentId must begin with"},
	"no segment":         {body("segment", ""), "segment is missing"},
	"null segment":       {body("segment", "null"), "segment must be a string, not null"},
	"empty segment":      {body("segment", `""`), "segment must begin with a letter"},
	"segment with blank": {body("segment", `"a b"`), "segment must begin with a letter"},
	"segment with %":     {body("segment", `"a%2Fb"`), "segment must begin with a letter"},
	"segment not ASCII":  {body("segment", `"sé-日"`), "segment must begin with a letter"},
	"bad workspace":      {body("workspaceId", `"a/b"`), "workspaceId must begin with"},
	"number workspace":   {body("workspaceId", "3"), "workspaceId must be a string, not a number"},
	"bad traffic type":   {body("trafficTypeId", `[]`), "trafficTypeId must be a string, not an array"},
	"fixed order":        {body("mpids", "[true]", "segment", "5", "environmentId", "6"), "environmentId must be"},

	"no mpids":       {body("mpids", ""), "mpids is missing"},
	"null mpids":     {body("mpids", "null"), "mpids must be an array of strings and numbers, not null"},
	"object mpids":   {body("mpids", `{"a": 1}`), "mpids must be an array of strings and numbers, not an object"},
	"number mpids":   {body("mpids", "7"), "mpids must be an array of strings and numbers, not a number"},
	"boolean inside": {body("mpids", `["1", true]`), "mpids[1]: must be a string or a number, not a boolean"},
	"object inside":  {body("mpids", `[{"id": "1"}, true]`), "mpids[0]: must be a string or a number, not an object"},
	"array inside":   {body("mpids", `["1", null, ["2"]]`), "mpids[2]: must be a string or a number, not an array"},
	"long key":       {body("mpids", `["1", "`+strings.Repeat("k", 251)+`"]`), "mpids[1]: key is longer than 250 characters"},
	"huge key":       {body("mpids", `["`+strings.Repeat("k", 100_000)+`"]`), "mpids[0]: key is longer than 250 characters"},
	"long number":    {body("mpids", `[`+strings.Repeat("1", 251)+`]`), "mpids[0]: key is longer than 250 characters"},
}

func TestDecodeRefusals(t *testing.T) {
	d := newDecoder() // one for all: a refused body must leave nothing behind in it
	for name, c := range refusals {
		req, err := d.decode([]byte(c.body))
		f, ok := errors.AsType[*failure](err)
		if !ok || f.status != 400 || !strings.Contains(f.message, c.message) {
			t.Errorf("%s: %v, want a 400 with %q", name, err, c.message)
		}
		if req.change.Keys.Len() != 0 {
			t.Errorf("%s: something was taken", name)
		}
		if req, err := d.decode([]byte(body())); err != nil || req.change.Keys.Len() != 1 {
			t.Errorf("a good body after %q: %v", name, err)
		}
	}
}

// TestRefusalsShowNoKeyAndNoToken covers I7 on the way back to the caller.
func TestRefusalsShowNoKeyAndNoToken(t *testing.T) {
	const key, token = "8735621876216983452", "tok-secret"
	for _, text := range []string{
		body("apiToken", `"`+token+`\u0007"`),
		body("apiToken", `"`+token+`"`, "mpids", `{"`+key+`": 1, "`+key+`": 1}`),
		body("apiToken", `"`+token+`"`, "mpids", `[`+key+`, tru]`),
		body("apiToken", `"`+token+`"`, "mpids", `["`+key+strings.Repeat("k", 300)+`"]`),
		`{"` + token + `": {"` + key + `": [1, 2, }}`,
		`{"` + token + `": 1, "` + token + `": 2}`,
		`{"apiToken": "` + token + `", "mpids": ["` + key,
		`{"mpids": [` + key + `x]}`,
	} {
		_, err := newDecoder().decode([]byte(text))
		if err == nil || strings.Contains(err.Error(), key) || strings.Contains(err.Error(), token) {
			t.Errorf("%.80s: %v", text, err)
		}
	}
}

// FuzzDecode holds the decoder against encoding/json: whatever is taken is an
// object whose mpids, decoded by the other, are the same texts.
func FuzzDecode(f *testing.F) {
	for mpids := range goodMPIDs {
		f.Add([]byte(body("mpids", mpids)))
	}
	for _, c := range refusals {
		if len(c.body) < 4096 {
			f.Add([]byte(c.body))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		req, err := newDecoder().decode(text)
		if err != nil {
			if f, ok := errors.AsType[*failure](err); !ok || f.status != 400 || !utf8.ValidString(f.message) || len(f.message) > 1000 {
				t.Fatalf("not a fit refusal: %v", err)
			}
			return
		}
		// a map, as encoding/json would take MPIDS for mpids in a struct
		var other map[string]json.RawMessage
		var entries []json.RawMessage
		if err := json.Unmarshal(text, &other); err != nil {
			t.Fatalf("encoding/json refuses it: %v", err)
		}
		if err := json.Unmarshal(other["mpids"], &entries); err != nil {
			t.Fatal(err)
		}
		want, repeats := wantedKeys(t, entries)
		if got := texts(req.change.Keys); !slices.Equal(got, want) {
			t.Fatalf("keys %q, want %q", got, want)
		}
		if req.ignored.null+req.ignored.blank+req.change.Keys.Len()+repeats != len(entries) {
			t.Fatalf("%d entries, %d keys, %d repeats, ignored %+v", len(entries), req.change.Keys.Len(), repeats, req.ignored)
		}
		if s := req.change.Segment; audience.ValidSegmentName(s.Name) != nil || audience.ValidID(s.Environment) != nil || s.Tenant != audience.NewTenant(req.change.Token).ID {
			t.Fatalf("taken with %+v", s)
		}
		if !strings.EqualFold(req.verb, req.change.Verb.String()) {
			t.Fatalf("verb %q became %v", req.verb, req.change.Verb)
		}
	})
}

// wantedKeys are the different keys of the entries, and how many more there are.
func wantedKeys(t *testing.T, entries []json.RawMessage) (want []string, repeats int) {
	want = []string{}
	seen := map[string]bool{}
	for _, entry := range entries {
		text := string(entry)
		if text == "null" {
			continue
		}
		if text[0] == '"' {
			if err := json.Unmarshal(entry, &text); err != nil {
				t.Fatal(err)
			}
		}
		switch {
		case strings.TrimSpace(text) == "":
		case seen[text]:
			repeats++
		default:
			seen[text] = true
			want = append(want, text)
		}
	}
	return want, repeats
}

// BenchmarkDecode prints keys/s for the lambda's post and for a large one.
func BenchmarkDecode(b *testing.B) {
	many := func(n int, form string) string {
		keys := make([]string, n)
		for i := range keys {
			keys[i] = fmt.Sprintf(form, 1_000_000_000_000_000_000+i)
		}
		return body("mpids", "["+strings.Join(keys, ", ")+"]")
	}
	for name, c := range map[string]struct {
		keys int
		body string
	}{
		"one":              {1, many(1, `"%d"`)},
		"100000-strings":   {100_000, many(100_000, `"%d"`)},
		"100000-numbers":   {100_000, many(100_000, `%d`)},
		"100000-not-int64": {100_000, many(100_000, `"k-%d"`)},
	} {
		b.Run(name, func(b *testing.B) {
			d := newDecoder()
			text := []byte(c.body)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := d.decode(text); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(c.keys)*float64(b.N)/b.Elapsed().Seconds(), "keys/s")
		})
	}
}
