package admin

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"audiences/api/admin/access"
	"audiences/audience"
	"audiences/status"
)

const oneSegment = "tenant=bb&environment=env-b1&segment=b1"

// TestParkedIsListed by reason as the metrics have it, with the segments that are
// parked or have parked keys.
func TestParkedIsListed(t *testing.T) {
	registry := prometheus.NewRegistry()
	keys := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "audiences_keys_parked", Help: "x"}, []string{"reason"})
	segments := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "audiences_segments_parked", Help: "x"}, []string{"reason"})
	registry.MustRegister(keys, segments)
	keys.WithLabelValues("bad_request").Set(8)
	keys.WithLabelValues("other").Set(0)
	segments.WithLabelValues("not_found").Set(1)
	handler := New(Options{Relay: busy(), Gatherer: registry, Access: access.Options{Local: true}}).http.Handler
	list := got[ParkedList](t, handler, "parked")
	if len(list.Reasons) != 2 || list.Reasons[0] != (ParkedReason{"not_found", 1, 0}) || list.Reasons[1] != (ParkedReason{"bad_request", 0, 8}) {
		t.Errorf("%+v", list.Reasons)
	}
	if list.Matching != 2 || list.Segments[0].Segment.Segment != "b2" || list.Segments[1].Segment.Segment != "b1" {
		t.Errorf("%+v", list)
	}
	first := got[ParkedList](t, handler, "parked?tenant=bb&limit=1")
	if second := got[ParkedList](t, handler, "parked?tenant=bb&limit=1&cursor="+first.Next); second.Next != "" || second.Segments[0].Segment.Segment != "b1" {
		t.Errorf("%+v", second)
	}
	if none := got[ParkedList](t, handler, "parked?tenant=aa"); none.Matching != 0 {
		t.Errorf("%+v", none)
	}
}

// TestParkedKeysAreMasked covers I7, in pages and by reason.
func TestParkedKeysAreMasked(t *testing.T) {
	relay := busy()
	handler := local(relay)
	for query, want := range map[string]int{"": 7, "&reason=not_found": 3, "&limit=3": 3, "&reason=not_found&limit=2": 2, "&reason=none": 0, "&cursor=5": 2} {
		page := got[status.ParkedPage](t, handler, "parked?"+oneSegment+query)
		if len(page.Keys) != want || relay.in.Tenant != idB || relay.in.Name != "b1" || relay.in.Workspace != "w" {
			t.Errorf("%s: %d keys of %+v", query, len(page.Keys), relay.in)
		}
		for _, k := range page.Keys {
			if !strings.HasPrefix(k.Shown, "85***") || k.Message != "key "+k.Shown+` of "an***om" is bad` {
				t.Errorf("%s: %+v", query, k)
			}
		}
	}
	seen := 0
	for next := "&reason=not_found&limit=1"; next != ""; {
		page := got[status.ParkedPage](t, handler, "parked?"+oneSegment+next)
		seen += len(page.Keys)
		if next = ""; page.Next != "" {
			next = "&reason=not_found&limit=1&cursor=" + page.Next
		}
	}
	if seen != 3 {
		t.Errorf("%d keys in pages, want 3", seen)
	}
}

// TestParkedKeysOfNoSegment is no empty list.
func TestParkedKeysOfNoSegment(t *testing.T) {
	if code, text := call(t, local(busy()), http.MethodGet, apiPath+"/parked?tenant=bb&environment=env-b1&segment=none", "", ""); code != http.StatusNotFound || !strings.Contains(text, "not known") {
		t.Errorf("%d %s", code, text)
	}
}

// TestLookingForAReasonEnds: it reads so many keys and then gives a cursor.
func TestLookingForAReasonEnds(t *testing.T) {
	relay := busy()
	for i := range 2 * mostLookedAt {
		relay.parked = append(relay.parked, status.ParkedKey{Key: audience.NumericKey(int64(i)), Reason: "bad_request"})
	}
	page := got[status.ParkedPage](t, local(relay), "parked?"+oneSegment+"&reason=none&limit=1000")
	if at, _ := strconv.Atoi(page.Next); at < mostLookedAt || at > mostLookedAt+largePage || len(page.Keys) > 0 {
		t.Errorf("%d keys, next %s", len(page.Keys), page.Next)
	}
}

// TestRevealing is an event, and shows nothing where that cannot be kept.
func TestRevealing(t *testing.T) {
	relay := busy()
	const body = `{"tenant":"bb","environment":"env-b1","segment":"b1","limit":2}`
	handler := New(Options{Relay: relay, Access: access.Options{Users: users()}}).http.Handler
	code, text := call(t, handler, http.MethodPost, apiPath+"/parked/reveal", body, actToken)
	page := fromJSON[status.ParkedPage](t, text)
	if code != 200 || len(page.Keys) != 2 || page.Next != "2" || page.Keys[0].Shown != strconv.Itoa(secretKey) || !strings.Contains(page.Keys[0].Message, "anna@example.com") {
		t.Errorf("%d %s", code, text)
	}
	if len(relay.notes) != 1 {
		t.Fatalf("%+v", relay.notes)
	}
	event := relay.notes[0]
	if event.At.IsZero() {
		t.Error("the event has no time")
	}
	if event.At = (status.Event{}).At; !reflect.DeepEqual(event, status.Event{Kind: status.EventRevealed, Who: "actor", Tenant: printB, Environment: "env-b1", Segment: "b1", Keys: 2}) {
		t.Errorf("%+v", event)
	}
	if code, text := call(t, handler, http.MethodPost, apiPath+"/parked/reveal", body, lookToken); code != http.StatusForbidden || strings.Contains(text, "85128") {
		t.Errorf("a viewer reveals: %d %s", code, text)
	}
	relay.failNote = errors.New("the disk is full")
	if code, text := call(t, handler, http.MethodPost, apiPath+"/parked/reveal", body, actToken); code != http.StatusServiceUnavailable || strings.Contains(text, "85128") {
		t.Errorf("revealed without an event: %d %s", code, text)
	}
	relay.failNote, relay.notes = nil, nil
	const unknown = `{"tenant":"bb","environment":"env-b1","segment":"none"}`
	if code, text := call(t, handler, http.MethodPost, apiPath+"/parked/reveal", unknown, actToken); code != http.StatusNotFound || len(relay.notes) > 0 {
		t.Errorf("of a segment that nobody knows: %d %s, %+v", code, text, relay.notes)
	}
	relay.parked = nil
	if code, text := call(t, handler, http.MethodPost, apiPath+"/parked/reveal", body, actToken); code != http.StatusOK || len(relay.notes) > 0 {
		t.Errorf("of a segment without parked keys: %d %s, %+v", code, text, relay.notes)
	}
	for _, wrong := range []string{`{}`, `{"tenant":"bb"}`, `{"tenant":"bb","environment":"e","segment":"s","limit":1001}`, `{"tenant":"bb","environment":"e","segment":"s","limit":-1}`, `[]`} {
		if code, text := call(t, handler, http.MethodPost, apiPath+"/parked/reveal", wrong, actToken); code != 400 {
			t.Errorf("%s: %d %s", wrong, code, text)
		}
	}
}

// TestWhere: the key comes in the body and is in no answer (I7).
func TestWhere(t *testing.T) {
	relay := busy()
	handler := local(relay)
	key := strconv.Itoa(secretKey)
	for scope, want := range map[string]audience.Segment{
		``:                      {},
		`,"tenant":"acme-prod"`: {Tenant: idA},
		`,"tenant":"aa","environment":"env-a1","segment":"a1"`: segmentOf(idA, relay.tenants[0].Segments[0]),
	} {
		found := posted[status.Whereabouts](t, handler, "where", `{"key":"`+key+`"`+scope+`}`)
		if relay.in != want || len(found.Sightings) != 1 || found.Sightings[0].Name != "acme-prod" || found.Sightings[0].Message != "bad: 85***50" {
			t.Errorf("%s: %+v, %+v", scope, relay.in, found)
		}
	}
	for body, want := range map[string]int{
		`{}`: 400, `{"key":""}`: 400, `{"key":" "}`: 400, `{"key":5}`: 400, `{"key":"` + strings.Repeat("x", 251) + `"}`: 400, `{"key":"` + key + `","tenant":"zz"}`: 404,
		`{"key":"` + key + `","environment":"e","segment":"s"}`: 400, `{"` + key + `":"x"}`: 400,
	} {
		if code, text := call(t, handler, http.MethodPost, apiPath+"/where", body, ""); code != want || strings.Contains(text, key) {
			t.Errorf("%s: %d %s", body, code, text)
		}
	}
	for err, want := range map[error]int{status.ErrUnknown: 404, status.ErrImpossible: 400} { // a segment that nobody knows, a cursor of somebody else
		relay.failLook = fmt.Errorf("look for a key: %w", err)
		if code, text := call(t, handler, http.MethodPost, apiPath+"/where", `{"key":"`+key+`","tenant":"aa","environment":"e","segment":"s","cursor":"x"}`, ""); code != want || !strings.Contains(text, err.Error()) {
			t.Errorf("%v: %d %s", err, code, text)
		}
	}
	if relay.in != (audience.Segment{Tenant: idA, Environment: "e", Name: "s"}) {
		t.Errorf("a segment that is not shown was looked for as %+v", relay.in)
	}
	relay.failLook = nil
	if code, _ := call(t, handler, http.MethodGet, apiPath+"/where?key="+key, "", ""); code != http.StatusMethodNotAllowed {
		t.Errorf("a key in a URL: %d", code)
	}
}
