package splitclient

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"audiences/audience"
)

const (
	jsonType = "application/json; charset=utf-8"
	htmlType = "text/html; charset=utf-8"
	page     = "<html><body>Access denied by approvals of the segment limit</body></html>"
)

// reply is what a test's server answers.
type reply struct {
	status int
	media  string
	body   string
	header map[string]string
}

func (r reply) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	if r.media != "" {
		w.Header().Set("Content-Type", r.media)
	}
	for name, value := range r.header {
		w.Header()[name] = []string{value}
	}
	w.WriteHeader(r.status)
	if r.status != http.StatusNoContent && r.status != http.StatusNotModified {
		_, _ = w.Write([]byte(r.body))
	}
}

func message(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return `{"code":1,"message":` + string(quoted) + `}`
}

// Every answer that Split or something in its place may give, over a real
// connection.
func TestAnswersBecomeOutcomes(t *testing.T) {
	keys, segment, tenant := ScopeKeys, ScopeSegment, ScopeTenant
	for name, c := range map[string]struct {
		reply reply
		want  Outcome
	}{
		"200":                  {reply{200, jsonType, `{"name":"s1"}`, nil}, delivered(OK)},
		"200 of removeKeys":    {reply{200, jsonType, `{"code":200,"message":"Deleted 1 keys"}`, nil}, delivered(OK)},
		"200 with a status":    {reply{200, jsonType, `{"name":"s1","status":"ACTIVE","errors":[ ],"error":null,"success":true}`, nil}, delivered(OK)},
		"200 with a text code": {reply{200, jsonType, `{"code":"204"}`, nil}, delivered(OK)},
		"200 with no code":     {reply{200, jsonType, `{"code":null}`, nil}, delivered(OK)},
		"200 not so called":    {reply{200, "text/plain", `{"name":"s1"}`, nil}, delivered(OK)},
		"200 uncalled":         {reply{200, "", `{"name":"s1"}`, nil}, delivered(OK)},
		"200 with a mark":      {reply{200, jsonType, "\ufeff {}\n", nil}, delivered(OK)},
		"200 empty, of a type": {reply{200, htmlType, "", nil}, delivered(OK)},
		"200 empty":            {reply{200, "", "", nil}, delivered(OK)},
		"200 null":             {reply{200, jsonType, "null", nil}, delivered(OK)},
		"200 not quite JSON":   {reply{200, jsonType, "{\"name\":\"a\xffb\",\"name\":1}", nil}, delivered(OK)},
		"200 long":             {reply{200, jsonType, `{"name":"` + strings.Repeat("x", 2*maxAnswer) + `"}`, nil}, delivered(OK)},
		"200 long, denied":     {reply{200, jsonType, `{"code":500,"name":"` + strings.Repeat("x", 2*maxAnswer) + `"}`, nil}, transient(Unconfirmed)},
		"200 with much behind": {reply{200, jsonType, `{}` + strings.Repeat(" ", 2*maxAnswer), nil}, delivered(OK)},
		"200 of much header":   {reply{200, jsonType, `{}`, map[string]string{"X-Much": strings.Repeat("x", 60_000)}}, delivered(OK)},
		"201":                  {reply{201, jsonType, `{}`, nil}, delivered(OK)},
		"204":                  {reply{204, "", "", nil}, delivered(OK)},

		"200 with code 400":     {reply{200, jsonType, `{"code":400,"message":"Bad request"}`, nil}, transient(Unconfirmed)},
		"200 with code 429":     {reply{200, jsonType, `{"code":429}`, nil}, transient(Unconfirmed)},
		"200 with code 0":       {reply{200, jsonType, `{"code":0}`, nil}, transient(Unconfirmed)},
		"200 with code 302":     {reply{200, jsonType, `{"CODE":3.02e2}`, nil}, transient(Unconfirmed)},
		"200 with a quoted one": {reply{200, jsonType, `{"code":"400"}`, nil}, transient(Unconfirmed)},
		"200 with a word":       {reply{200, jsonType, `{"code":"UNAUTHORIZED"}`, nil}, transient(Unconfirmed)},
		"200 with code true":    {reply{200, jsonType, `{"code":true}`, nil}, transient(Unconfirmed)},
		"200 with two codes":    {reply{200, jsonType, `{"code":500,"code":200}`, nil}, transient(Unconfirmed)},
		"200 with a late code":  {reply{200, jsonType, `{"name":"s1","x":{"code":200},"code":500}`, nil}, transient(Unconfirmed)},
		"200 with status 403":   {reply{200, "application/problem+json", `{"title":"no","status":403}`, nil}, transient(Unconfirmed)},
		"200 with status error": {reply{200, jsonType, `{"status":"error"}`, nil}, transient(Unconfirmed)},
		"200 with an error":     {reply{200, jsonType, `{"error":"blocked"}`, nil}, transient(Unconfirmed)},
		"200 with errors":       {reply{200, jsonType, `{"code":200,"errors":[{"x":1}]}`, nil}, transient(Unconfirmed)},
		"200 of a function":     {reply{200, jsonType, `{"errorMessage":"timed out","errorType":"x"}`, nil}, transient(Unconfirmed)},
		"200 without success":   {reply{200, jsonType, `{"success":false}`, nil}, transient(Unconfirmed)},
		"201 with code 400":     {reply{201, jsonType, `{"code":400}`, nil}, transient(Unconfirmed)},

		"200 cut":             {reply{200, jsonType, `{"name":`, nil}, transient(UnexpectedAnswer)},
		"200 cut in a name":   {reply{200, jsonType, `{"name":"s1","na`, nil}, transient(UnexpectedAnswer)},
		"200 cut at its end":  {reply{200, jsonType, `{"name":"s1"`, nil}, transient(UnexpectedAnswer)},
		"200 cut in a text":   {reply{200, jsonType, `{"name":"s`, nil}, transient(UnexpectedAnswer)},
		"200 and more behind": {reply{200, jsonType, `{"name":"s1"} x`, nil}, transient(UnexpectedAnswer)},
		"200 two objects":     {reply{200, jsonType, `{}{}`, nil}, transient(UnexpectedAnswer)},
		"200 plain":           {reply{200, "text/plain", "Please log in", nil}, transient(UnexpectedAnswer)},
		"200 plain OK":        {reply{200, "text/plain", "OK", nil}, transient(UnexpectedAnswer)},
		"200 long and plain":  {reply{200, "text/plain", strings.Repeat("welcome ", maxAnswer), nil}, transient(UnexpectedAnswer)},
		"200 an array":        {reply{200, jsonType, `[{"name":"s1"}]`, nil}, transient(UnexpectedAnswer)},
		"200 a text":          {reply{200, jsonType, `"OK"`, nil}, transient(UnexpectedAnswer)},
		"200 false":           {reply{200, jsonType, `false`, nil}, transient(UnexpectedAnswer)},
		"200 binary":          {reply{200, jsonType, "\x1f\x8b\x08", nil}, transient(UnexpectedAnswer)},
		"200 deep":            {reply{200, jsonType, strings.Repeat(`{"x":`, 50_000), nil}, transient(UnexpectedAnswer)},
		"200 in brotli":       {reply{200, jsonType, "\x0b\x01\x80{}\x03", map[string]string{"Content-Encoding": "br"}}, transient(UnexpectedAnswer)},
		"202":                 {reply{202, jsonType, `{}`, nil}, transient(Unconfirmed)},
		"202 empty":           {reply{202, "", "", nil}, transient(Unconfirmed)},
		"203":                 {reply{203, jsonType, `{}`, nil}, transient(Unconfirmed)},
		"205":                 {reply{205, "", "", nil}, transient(Unconfirmed)},
		"206":                 {reply{206, jsonType, `{"name":"s1"}`, nil}, transient(Unconfirmed)},
		"207":                 {reply{207, jsonType, `{"code":200}`, nil}, transient(Unconfirmed)},
		"208":                 {reply{208, jsonType, `{}`, nil}, transient(Unconfirmed)},
		"218":                 {reply{218, jsonType, `{}`, nil}, transient(Unconfirmed)},
		"226":                 {reply{226, jsonType, `{}`, nil}, transient(Unconfirmed)},
		"299":                 {reply{299, "", "", nil}, transient(Unconfirmed)},
		"202 page":            {reply{202, htmlType, page, nil}, transient(UnexpectedAnswer)},

		"200 page":                {reply{200, htmlType, page, nil}, transient(UnexpectedAnswer)},
		"200 page, not so called": {reply{200, jsonType, "\ufeff \r\n" + page, nil}, transient(UnexpectedAnswer)},
		"200 text called a page":  {reply{200, "TEXT/HTML", "welcome", nil}, transient(UnexpectedAnswer)},

		"400 of success":   {reply{400, jsonType, `{"code":200,"message":"Deleted 1 keys"}`, nil}, transient(UnexpectedAnswer)},
		"401 of success":   {reply{401, jsonType, `{"code":"200"}`, nil}, transient(UnexpectedAnswer)},
		"404 of success":   {reply{404, jsonType, `{"status":200}`, nil}, transient(UnexpectedAnswer)},
		"404 of a segment": {reply{404, jsonType, `{"name":"s1"}`, nil}, permanent(NotFound, segment)},

		"301":             {reply{301, "", "", map[string]string{"Location": "/elsewhere"}}, transient(Redirected)},
		"302 page":        {reply{302, htmlType, page, map[string]string{"Location": "https://portal.invalid/"}}, transient(Redirected)},
		"304":             {reply{304, "", "", nil}, transient(Redirected)},
		"307 bad address": {reply{307, "", "", map[string]string{"Location": "http://[::bad"}}, transient(Redirected)},
		"308 no address":  {reply{308, "", "", nil}, transient(Redirected)},

		"400":           {reply{400, jsonType, message("Key is invalid"), nil}, permanent(BadRequest, keys)},
		"400 empty":     {reply{400, "", "", nil}, permanent(EmptyBadRequest, keys)},
		"400 blank":     {reply{400, htmlType, " \n", nil}, permanent(EmptyBadRequest, keys)},
		"400 plain":     {reply{400, "text/plain", "no", nil}, permanent(BadRequest, keys)},
		"400 key limit": {reply{400, jsonType, message("Segment key exceeds the maximum length"), nil}, permanent(BadRequest, keys)},
		"400 page":      {reply{400, htmlType, page, nil}, transient(UnexpectedAnswer)},
		"400 full":      {reply{400, jsonType, message("Segment would EXCEED 100000 keys"), nil}, permanent(SegmentFull, segment)},
		"400 full, too": {reply{400, jsonType, message("Maximum of 100,000 keys reached"), nil}, permanent(SegmentFull, segment)},
		"409 full":      {reply{409, jsonType, message("segment is over its limit"), nil}, permanent(SegmentFull, segment)},
		"413 full":      {reply{413, jsonType, message("too many keys in the segment"), nil}, permanent(SegmentFull, segment)},
		"400 full, in details": {reply{400, jsonType, `{"message":"Bad request","details":"segment limit exceeded"}`, nil},
			permanent(SegmentFull, segment)},
		"413 per call": {reply{413, jsonType, message("segment uploads are limited to 5000 keys per call"), nil}, permanent(TooLarge, keys)},

		"401":           {reply{401, jsonType, message("bad token"), nil}, permanent(Unauthorized, tenant)},
		"401 empty":     {reply{401, "", "", nil}, permanent(Unauthorized, tenant)},
		"401 page":      {reply{401, htmlType, page, nil}, transient(UnexpectedAnswer)},
		"403":           {reply{403, jsonType, message("no right"), nil}, permanent(Forbidden, segment)},
		"403 empty":     {reply{403, "", "", nil}, permanent(Forbidden, segment)},
		"403 approvals": {reply{403, jsonType, message("APPROVALS are required"), nil}, permanent(ApprovalsRequired, segment)},
		"403 approvals, in details": {reply{403, jsonType, `{"message":"Forbidden","details":"Approval needed"}`, nil},
			permanent(ApprovalsRequired, segment)},
		"403 page": {reply{403, htmlType, page, nil}, transient(UnexpectedAnswer)},
		"404":      {reply{404, jsonType, message("no such segment"), nil}, permanent(NotFound, segment)},
		"404 page": {reply{404, htmlType, page, nil}, transient(UnexpectedAnswer)},
		"405":      {reply{405, "", "", nil}, permanent(Refused, segment)},
		"407":      {reply{407, htmlType, page, nil}, transient(EgressRefused)},
		"407 JSON": {reply{407, jsonType, message("log in"), nil}, transient(EgressRefused)},
		"408":      {reply{408, "", "", nil}, transient(RequestTimeout)},
		"408 page": {reply{408, htmlType, page, nil}, transient(RequestTimeout)},
		"409":      {reply{409, jsonType, message("conflict"), nil}, transient(Conflict)},
		"410":      {reply{410, jsonType, message("gone"), nil}, permanent(Refused, segment)},
		"413":      {reply{413, "", "", nil}, permanent(TooLarge, keys)},
		"413 page": {reply{413, htmlType, page, nil}, permanent(TooLarge, keys)},
		"421":      {reply{421, "", "", nil}, transient(UnexpectedAnswer)},
		"422":      {reply{422, jsonType, message("key"), nil}, permanent(Unprocessable, keys)},
		"425":      {reply{425, "", "", nil}, transient(UnexpectedAnswer)},
		"451":      {reply{451, jsonType, "{}", nil}, permanent(Refused, segment)},

		"500": {reply{500, jsonType, message("oops"), nil}, transient(ServerError)},
		"502": {reply{502, htmlType, page, nil}, transient(ServerError)},
		"503": {reply{503, htmlType, page, nil}, transient(ServerError)},
		"504": {reply{504, "", "", nil}, transient(ServerError)},
		"511": {reply{511, htmlType, page, nil}, transient(EgressRefused)},
		"599": {reply{599, "", "", nil}, transient(ServerError)},
		"600": {reply{600, "", "", nil}, transient(UnexpectedAnswer)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := newClient(t, serve(t, c.reply)).Do(t.Context(), call(audience.Add, "1"))
			if out.Limits != noLimits || out.Delay != 0 || out.DelayIP != 0 || out.Cause != "" {
				t.Errorf("an answer without limits gave %+v", out)
			}
			sameVerdict(t, out, c.want)
		})
	}
}

// Removing keys cannot fill a segment, whatever the words: the halving must go
// on, for the limit of removeKeys is not documented.
func TestRemovingNeverFillsASegment(t *testing.T) {
	full := reply{400, jsonType, message("segment limit exceeded"), nil}
	out := newClient(t, serve(t, full)).Do(t.Context(), call(audience.Delete, "1"))
	sameVerdict(t, out, permanent(BadRequest, ScopeKeys))
}

func TestThrottledAnswers(t *testing.T) {
	const remOrg, remIP = "X-Ratelimit-Remaining-Org", "X-Ratelimit-Remaining-Ip"
	const resOrg, resIP = "X-Ratelimit-Reset-Seconds-Org", "X-Ratelimit-Reset-Seconds-Ip"
	type h map[string]string
	for name, c := range map[string]struct {
		header         h
		reason         Reason
		delay, delayIP time.Duration
		doubt          string // of the tenant's wait, of everybody's
	}{
		"organisation":       {h{remOrg: "0", remIP: "90", resOrg: "17.5", resIP: "3"}, ThrottledOrg, 17500 * time.Millisecond, 0, ""},
		"address":            {h{remOrg: "9", remIP: "0", resOrg: "3", resIP: "8"}, ThrottledIP, 8 * time.Second, 8 * time.Second, ""},
		"both":               {h{remOrg: "0", remIP: "0", resOrg: "30", resIP: "4"}, ThrottledIP, 30 * time.Second, 4 * time.Second, ""},
		"a fraction left":    {h{remOrg: "0.4", remIP: "7.9"}, ThrottledOrg, DefaultThrottle, 0, ""},
		"one left":           {h{remOrg: "1", remIP: "7"}, ThrottledUnsaid, DefaultThrottle, 0, ""},
		"overdrawn":          {h{remOrg: "5", remIP: "-3"}, ThrottledIP, DefaultThrottle, DefaultThrottle, ""},
		"one reset, org":     {h{resOrg: "6"}, ThrottledOrg, 6 * time.Second, 0, ""},
		"one reset, IP":      {h{resIP: "6"}, ThrottledIP, 6 * time.Second, 6 * time.Second, ""},
		"one reset, org, 0":  {h{resOrg: "0"}, ThrottledOrg, MinThrottle, 0, ""},
		"one reset, IP, 0":   {h{resIP: "0"}, ThrottledIP, MinThrottle, MinThrottle, ""},
		"two resets, org 0":  {h{resOrg: "0", resIP: "7"}, ThrottledUnsaid, 7 * time.Second, 0, ""},
		"two resets, IP 0":   {h{resOrg: "6", resIP: "0"}, ThrottledUnsaid, 6 * time.Second, 0, ""},
		"two resets":         {h{resOrg: "6", resIP: "7"}, ThrottledUnsaid, 7 * time.Second, 0, ""},
		"neither used up":    {h{remOrg: "5", remIP: "5", resOrg: "3"}, ThrottledUnsaid, 3 * time.Second, 0, ""},
		"nothing":            {nil, ThrottledUnsaid, DefaultThrottle, 0, ""},
		"zero resets":        {h{remOrg: "0", resOrg: "0", resIP: "0.0"}, ThrottledOrg, MinThrottle, 0, ""},
		"zero reset of IP":   {h{remIP: "0", resOrg: "9", resIP: "0"}, ThrottledIP, 9 * time.Second, MinThrottle, ""},
		"short":              {h{remIP: "0", resIP: "0.25"}, ThrottledIP, MinThrottle, MinThrottle, ""},
		"a day":              {h{remOrg: "0", resOrg: "86400"}, ThrottledOrg, MinThrottle, 0, "alone"},
		"a day for all":      {h{remIP: "0", resIP: "86400"}, ThrottledIP, MinThrottle, MinThrottle, "alone all"},
		"odd for one only":   {h{remOrg: "0", remIP: "0", resOrg: "1e9", resIP: "3"}, ThrottledIP, 3 * time.Second, 3 * time.Second, "alone"},
		"odd for all only":   {h{remOrg: "0", remIP: "0", resOrg: "30", resIP: "1e9"}, ThrottledIP, 30 * time.Second, MinThrottle, "alone all"},
		"odd, with another":  {h{remIP: "0", resIP: "1e9", "Retry-After": "40"}, ThrottledIP, 40 * time.Second, 40 * time.Second, ""},
		"all odd":            {h{remIP: "0", resIP: "1e9", "Retry-After": "soon"}, ThrottledIP, MinThrottle, MinThrottle, "alone all"},
		"odd, whose":         {h{resIP: "1e9"}, ThrottledUnsaid, MinThrottle, 0, "alone"},
		"odd beside a reset": {h{resIP: "6", resOrg: "1e9"}, ThrottledUnsaid, 6 * time.Second, 0, "alone"},
		"two values":         {h{remOrg: "0", resOrg: "1,5"}, ThrottledOrg, 5 * time.Second, 0, ""},
		"a unit":             {h{remOrg: "0", resOrg: "30s"}, ThrottledOrg, 30 * time.Second, 0, ""},
		"retry after odd":    {h{"Retry-After": "1e9"}, ThrottledUnsaid, MinThrottle, 0, "alone"},
		"negative":           {h{remOrg: "0", resOrg: "-4"}, ThrottledOrg, MinThrottle, 0, "alone"},
		"nonsense":           {h{remOrg: "none", remIP: "NaN", resOrg: "soon", resIP: "Inf"}, ThrottledUnsaid, MinThrottle, 0, "alone"},
		"retry after":        {h{"Retry-After": "11"}, ThrottledUnsaid, 11 * time.Second, 0, ""},
		"retry after 0":      {h{"Retry-After": "0"}, ThrottledUnsaid, MinThrottle, 0, ""},
		"retry after past":   {h{"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}, ThrottledUnsaid, MinThrottle, 0, "alone"},
		"retry after never":  {h{"Retry-After": "Fri, 31 Dec 2999 23:59:59 GMT"}, ThrottledUnsaid, MinThrottle, 0, "alone"},
		"resets come first":  {h{resOrg: "3", resIP: "4", "Retry-After": "60"}, ThrottledUnsaid, 4 * time.Second, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, reply{429, htmlType, page, c.header})
			out := newClient(t, server).Do(t.Context(), call(audience.Add, "1"))
			sameVerdict(t, out, throttled(c.reason))
			if out.Delay != c.delay || out.DelayIP != c.delayIP {
				t.Errorf("delay %v, for all %v; want %v, %v", out.Delay, out.DelayIP, c.delay, c.delayIP)
			}
			if out.Doubtful != strings.Contains(c.doubt, "alone") || out.DoubtfulIP != strings.HasSuffix(c.doubt, " all") {
				t.Errorf("doubt %v, for all %v; want %q", out.Doubtful, out.DoubtfulIP, c.doubt)
			}
		})
	}
}

// A reason that is declared and not listed would have no series and no line in
// the documentation; one that no row gives is a promise nobody keeps.
func TestReasonsAreListedAndReachable(t *testing.T) {
	listed := map[Reason]bool{}
	for _, r := range Reasons() {
		if listed[r] {
			t.Errorf("%s is listed twice", r)
		}
		listed[r] = true
	}
	for _, r := range declaredReasons(t) {
		if !listed[r] {
			t.Errorf("%s is declared, not listed", r)
		}
	}
	reached := map[Reason]bool{}
	for _, r := range table {
		reached[r.outcome.Reason] = true
		if !listed[r.outcome.Reason] {
			t.Errorf("the table gives %s, which is not listed", r.outcome.Reason)
		}
	}
	if len(reached) != len(listed) {
		t.Errorf("the table gives %d reasons of %d", len(reached), len(listed))
	}
}

// The page on metrics, which operators read, has each reason beside the kind that
// the table gives it.
func TestDocumentedKinds(t *testing.T) {
	page, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range table {
		if row := fmt.Sprintf("\n| `%s` | %v | ", r.outcome.Reason, r.outcome.Kind); !strings.Contains(string(page), row) {
			t.Errorf("docs/metrics.md has no row %q", row)
		}
	}
}

func declaredReasons(t *testing.T) (found []Reason) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "reason.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); ok && kind.Name == "Reason" {
			text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, Reason(text))
		}
		return true
	})
	if len(found) == 0 {
		t.Fatal("found no reason at all")
	}
	return found
}
