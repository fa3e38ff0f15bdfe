package api

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"audiences/audience"
)

// marker stands for what must not come back: it has letters and digits, as tokens
// and MPIDs do, and no part of it occurs in a message by chance.
const marker = "Zq7Xw9Kv3Jb5Yp1Hd8"

// breakers are what makes JSON go wrong where it stands.
var breakers = []string{
	`\ud83d`, `\ud83d\u0041`, `\ud83d\ud83d`, `\u12`, `\u`, `\q`, `\`, `\"`, `"`, "\n", "\x00", "\x7f", "\xff", "\xc3", "\xed\xa0\x80", "\ufeff",
	`'`, `{`, `}`, `[`, `]`, `,`, `:`, `//`, `/*`, `tru`, `1e999999`, `-`, `0x`, `NaN`, `\u0000`, strings.Repeat("[", 11000),
}

// brokenBodies has the marker in every place of a body, with each breaker before,
// within and behind it.
func brokenBodies() (bodies []string) {
	for _, breaker := range append(breakers, "") {
		for _, text := range []string{breaker + marker, marker[:9] + breaker + marker[9:], marker + breaker} {
			quoted := `"` + text + `"`
			for _, name := range []string{"apiToken", "workspaceId", "environmentId", "trafficTypeId", "verb", "mpids", "segment"} {
				bodies = append(bodies, body(name, quoted), body(name, text), body(name, "["+quoted+"]"), body(name, "{"+quoted+":"+quoted+"}"))
			}
			bodies = append(bodies,
				body("mpids", `["1", [`+quoted+`]]`), body("mpids", `["1",`+text+`]`), body("mpids", `["`+text+strings.Repeat("k", 300)+`"]`),
				body("mpids", `[8735621`+text+`]`), body("mpids", `[`+strings.Repeat("1", 300)+text+`]`),
				`{`+quoted+`:1,`+quoted+`:2}`, `{`+quoted+`:{`+quoted+`:[`+quoted+`,}}`, `{"x":{"mpids":`+quoted+`,"mpids":1}}`,
				body()+quoted, text+body(), text, quoted, "["+quoted+"]", `{"apiToken":`+quoted+`,"apiToken":`+quoted+`}`,
				"apiToken="+text+"&verb=add",
			)
		}
	}
	return bodies
}

// shows returns a part of the marker that text has, "" if it has none of four
// characters.
func shows(text string) string {
	for i := range len(marker) - 3 {
		if strings.Contains(text, marker[i:i+4]) {
			return marker[i : i+4]
		}
	}
	return ""
}

// TestNoRefusalRepeatsTheBody covers I7 on the way back to the caller, and in the
// log, for each of these bodies and for their beginnings.
func TestNoRefusalRepeatsTheBody(t *testing.T) {
	var log bytes.Buffer
	s := New(Options{Tokens: fooToken, Logger: zerolog.New(zerolog.SyncWriter(&log)).Level(zerolog.TraceLevel), Accept: func(reply chan<- error, _ ...audience.Change) { reply <- nil }})
	statuses := map[int]int{}
	look := func(text string) {
		r := httptest.NewRequest(http.MethodPost, "/audiences", strings.NewReader(text))
		r.Header.Set("Authorization", "foo")
		w := httptest.NewRecorder()
		s.echo.ServeHTTP(w, r)
		statuses[w.Code]++
		if part := shows(w.Body.String() + fmt.Sprint(w.Header()) + log.String()); part != "" {
			t.Fatalf("%.300q: %s shows in %s%s", text, part, w.Body, log.String())
		}
		log.Reset()
	}
	var d decoder
	for _, text := range brokenBodies() {
		look(text)
		if strings.Contains(text, marker) {
			continue // cut off, it is no other than the others are
		}
		from := strings.Index(text, marker[:4])
		for cut := from; cut < min(from+24, len(text)); cut++ { // from the marker's first byte to the end of what it is in
			_, err := d.decode([]byte(text[:cut]))
			if part := shows(fmt.Sprint(err)); part != "" {
				t.Fatalf("%.300q: %s shows in %v", text[:cut], part, err)
			}
		}
	}
	if statuses[400] < 3_000 || statuses[200] == 0 || len(statuses) != 2 {
		t.Errorf("answered %v", statuses)
	}
}
