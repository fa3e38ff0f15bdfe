package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"audiences/api/admin/access"
	"audiences/status"
)

// TestRemedies: what a body says is what the relay is asked to do, and by whom.
func TestRemedies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().UTC()
		for _, c := range []struct {
			path, body string
			want       status.Wish
		}{
			{"flush", `{"tenant":"acme-prod"}`, status.Wish{Remedy: status.Flush}},
			{"flush", `{"tenant":"aa","environment":"env-a1","segment":"a1"}`, status.Wish{Remedy: status.Flush}},
			{"pause", `{"tenant":"aa"}`, status.Wish{Remedy: status.Pause}},
			{"pause", `{"tenant":"aa","for":"1h30m"}`, status.Wish{Remedy: status.Pause, Until: now.Add(90 * time.Minute)}},
			{"pause", `{"tenant":"aa","until":"` + now.Add(time.Hour).Format(time.RFC3339) + `"}`, status.Wish{Remedy: status.Pause, Until: now.Add(time.Hour)}},
			{"resume", `{"tenant":"aa"}`, status.Wish{Remedy: status.Resume}},
			{"retry", `{"tenant":"aa","dryRun":true}`, status.Wish{Remedy: status.Retry, DryRun: true}},
			{"discard", `{"tenant":"aa"}`, status.Wish{Remedy: status.Discard}},
			{"move", `{"tenant":"aa","to":"bb"}`, status.Wish{Remedy: status.Move, To: idB}},
		} {
			relay := busy()
			effect := posted[RemedyAnswer](t, local(relay), "remedies/"+c.path, c.body)
			c.want.Who, c.want.Segment.Tenant = "loopback", idA
			if strings.Contains(c.body, "a1") {
				c.want.Segment = segmentOf(idA, relay.tenants[0].Segments[0])
			}
			if len(relay.wishes) != 1 || !relay.wishes[0].Until.Equal(c.want.Until) {
				t.Fatalf("%s %s: %+v", c.path, c.body, relay.wishes)
			}
			relay.wishes[0].Until = c.want.Until
			if relay.wishes[0] != c.want {
				t.Errorf("%s %s\ngot  %+v\nwant %+v", c.path, c.body, relay.wishes[0], c.want)
			}
			if effect.Keys != 10 || effect.DryRun != c.want.DryRun || effect.Sentence != "It is done." || !effect.Until.Equal(c.want.Until) {
				t.Errorf("%s: %+v", c.path, effect)
			}
		}
	})
}

// TestWishesThatAreRefused change nothing, and repeat nothing of the body (I7).
func TestWishesThatAreRefused(t *testing.T) {
	relay := busy()
	handler := local(relay)
	for body, want := range map[string]string{
		`flush`: "one JSON object", `flush null,`: "one JSON object", `flush {"tenant":"aa"} x`: "one JSON object", `flush {"tenant":"aa","tenant":"bb"}`: "one JSON object", `flush {"tenant":5}`: "one JSON object",
		`flush {"8512839471928374650":1}`: "no fields but tenant, environment, segment, workspace, trafficType, filter, until, for, to, dryRun",
		`flush {}`:                        "tenant is missing", `flush {"tenant":"zz"}`: "no such tenant", `flush {"tenant":"aa","segment":"a1"}`: "both",
		`flush {"tenant":"aa","for":"2h"}`: "of a pause", `flush {"tenant":"aa","to":"bb"}`: "of a move",
		`pause {"tenant":"aa","for":"2"}`: "length of time", `pause {"tenant":"aa","for":"-2h"}`: "length of time", `pause {"tenant":"aa","for":"2h","until":"2999-01-01T00:00:00Z"}`: "length of time",
		`pause {"tenant":"aa","for":"9000h"}`: "a year at most", `pause {"tenant":"aa","until":"2001-01-01T00:00:00Z"}`: "in the future",
		`pause {"tenant":"aa","until":"0001-01-01T00:00:00Z"}`: "in the future", `pause {"filter":{"tenant":"aa"},"until":"0001-01-01T00:00:00Z"}`: "in the future", `pause {"tenant":"aa","for":"2h","until":"0001-01-01T00:00:00Z"}`: "length of time",
		`move {"tenant":"aa"}`: "whole tenant", `move {"tenant":"aa","environment":"e","segment":"s","to":"bb"}`: "whole tenant", `move {"filter":{"tenant":"aa"},"to":"bb"}`: "whole tenant", `move {"tenant":"aa","to":"aa"}`: "itself", `move {"tenant":"aa","to":"zz"}`: "no such",
		`flush {"filter":{}}`: "lets everything through", `flush {"tenant":"aa","filter":{"tenant":"aa"}}`: "not both", `flush {"filter":{"state":"x"}}`: "state is one of", `flush {"filter":{"size":"x"}}`: "one JSON object",
		`flush {"tenant":"` + strings.Repeat("x", 70<<10) + `"}`: "too large",
	} {
		path, body, _ := strings.Cut(body, " ")
		code, text := call(t, handler, http.MethodPost, apiPath+"/remedies/"+path, body, "")
		wantCode := map[string]int{"no such tenant": 404, "no such": 404, "too large": 413}[want]
		if wantCode == 0 {
			wantCode = 400
		}
		if code != wantCode || !strings.Contains(text, want) || strings.Contains(text, "8512839") {
			t.Errorf("%s %.100s: %d %s, want %s", path, body, code, text, want)
		}
	}
	if len(relay.wishes) != 0 {
		t.Errorf("carried out: %+v", relay.wishes)
	}
}

// TestWhatTheRelayRefuses has the status that programs go by.
func TestWhatTheRelayRefuses(t *testing.T) {
	for err, want := range map[error]int{status.ErrUnknown: 404, status.ErrPausedNow: 409, status.ErrNotNeeded: 409, status.ErrImpossible: 400, errors.New("the relay is stopping"): 503, context.DeadlineExceeded: 504} {
		relay := busy()
		relay.refuse = func(status.Wish) error { return fmt.Errorf("flush: %w", err) }
		code, text := call(t, local(relay), http.MethodPost, apiPath+"/remedies/flush", `{"tenant":"aa"}`, "")
		if code != want || !strings.Contains(text, err.Error()) {
			t.Errorf("%v: %d %s", err, code, text)
		}
	}
}

// TestBulkIsOfTheFilter, not of a page: every segment that matches, the sum, and what
// failed.
func TestBulkIsOfTheFilter(t *testing.T) {
	relay := busy()
	var many []status.Segment
	for i := range 2 * largePage {
		many = append(many, segmentIn(fmt.Sprintf("m%d", i), status.Repeating, 1, 0))
	}
	relay.tenants = append(relay.tenants, tenantOf(id(0xcc), many...))
	relay.refuse = func(w status.Wish) error {
		switch {
		case strings.HasSuffix(w.Segment.Name, "7"):
			return status.ErrPausedNow
		case strings.HasSuffix(w.Segment.Name, "8"):
			return status.ErrNotNeeded
		case strings.HasSuffix(w.Segment.Name, "9"):
			return errDisk
		}
		return nil
	}
	sum := posted[RemedyAnswer](t, local(relay), "remedies/flush", `{"filter":{"tenant":"cc","state":"repeating","search":"m"},"dryRun":true}`)
	if len(relay.wishes) != 2000 || sum.Segments != 1400 || sum.Keys != 14000 || sum.Failures != 200 || sum.Paused != 200 || len(sum.Failed) != 100 || !sum.DryRun {
		t.Errorf("%d wishes, %+v", len(relay.wishes), sum.Effect)
	}
	if want := "Flush of 1,400 segments, with 14,000 keys. 200 segments are paused, and left alone. It failed with 200 segments. This is a dry run: nothing was changed."; sum.Sentence != want {
		t.Errorf("got  %s\nwant %s", sum.Sentence, want)
	}
	if f := sum.Failed[0]; f.Tenant != id(0xcc).String() || !strings.HasSuffix(f.Segment, "9") || f.Environment == "" || f.Error != errDisk.Error() {
		t.Errorf("%+v", f)
	}
	slices.SortFunc(relay.wishes, func(a, b status.Wish) int { return strings.Compare(a.Segment.Name, b.Segment.Name) })
	if again := slices.CompactFunc(slices.Clone(relay.wishes), func(a, b status.Wish) bool { return a.Segment == b.Segment }); len(again) != 2000 {
		t.Errorf("%d different segments", len(again))
	}
}

var errDisk = errors.New("the disk is full")

// TestBulkWithNothingToDo is refused as a single remedy is, also when it is only tried.
func TestBulkWithNothingToDo(t *testing.T) {
	for _, c := range []struct {
		filter string
		each   error
		code   int
		says   string
	}{
		{`{"search":"nothing has this"}`, nil, 409, "no segment matches"},
		{`{"tenant":"bb"}`, status.ErrNotNeeded, 409, status.ErrNotNeeded.Error()},
		{`{"tenant":"bb"}`, status.ErrPausedNow, 409, "3 segments are paused: resume them first"},
		{`{"search":"b1"}`, status.ErrPausedNow, 409, "1 segment is paused: resume it first"},
		{`{"tenant":"zz"}`, nil, 404, "no such tenant"},
		{`{"tenant":"bb"}`, errDisk, 200, "It failed with 3 segments"},
	} {
		relay := busy()
		relay.refuse = func(status.Wish) error { return c.each }
		for _, dry := range []string{"true", "false"} {
			code, text := call(t, local(relay), http.MethodPost, apiPath+"/remedies/flush", `{"filter":`+c.filter+`,"dryRun":`+dry+`}`, "")
			if code != c.code || !strings.Contains(text, c.says) {
				t.Errorf("%s, %v, dry run %s: %d %s", c.filter, c.each, dry, code, text)
			}
		}
	}
}

// TestBulkEndsWithItsCaller, so that a command that was interrupted stops.
func TestBulkEndsWithItsCaller(t *testing.T) {
	relay := busy()
	ctx, leave := context.WithCancel(t.Context())
	relay.refuse = func(status.Wish) error { leave(); return ctx.Err() }
	for range 100 {
		relay.tenants[0].Segments = append(relay.tenants[0].Segments, segmentIn("more", status.Idle, 0, 0))
	}
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "http://localhost"+apiPath+"/remedies/flush", strings.NewReader(`{"filter":{"tenant":"aa"}}`))
	local(relay).ServeHTTP(httptest.NewRecorder(), r)
	if len(relay.wishes) > 3*bulkWorkers {
		t.Errorf("%d wishes after the caller has gone", len(relay.wishes))
	}
}

// TestBulkThatTakesTooLong says what was done.
func TestBulkThatTakesTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		relay := busy()
		relay.refuse = func(status.Wish) error { time.Sleep(longestBulk + time.Second); return nil }
		code, text := call(t, local(relay), http.MethodPost, apiPath+"/remedies/flush", `{"filter":{"tenant":"aa"}}`, "")
		if code != http.StatusGatewayTimeout || !strings.Contains(text, "Flush of 3 segments, with 30 keys.") || !strings.Contains(text, "stays done") {
			t.Errorf("%d %s", code, text)
		}
	})
}

// TestRemedyNamesItsUser: who did it is kept with the state and the event.
func TestRemedyNamesItsUser(t *testing.T) {
	relay := busy()
	handler := New(Options{Relay: relay, Access: access.Options{Users: users()}}).http.Handler
	if code, text := call(t, handler, http.MethodPost, apiPath+"/remedies/flush", `{"tenant":"aa"}`, actToken); code != 200 || relay.wishes[0].Who != "actor" {
		t.Errorf("%d %s %+v", code, text, relay.wishes)
	}
}
