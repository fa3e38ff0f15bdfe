package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"audiences/api/admin/access"
	"audiences/audience"
	"audiences/status"
)

// fakeRelay answers what a busy relay could, and remembers what it was asked to do.
type fakeRelay struct {
	mu       sync.Mutex
	tenants  []status.Tenant
	asked    int           // times that Status was asked
	budgets  int           // times that Budgets was
	takes    time.Duration // what an answer to it takes
	wishes   []status.Wish
	notes    []status.Event
	in       audience.Segment // of the last question about a segment
	fail     error
	partial  error // of Status, with what there is
	failNote error
	failLook error // of Where
	refuse   func(status.Wish) error
	parked   []status.ParkedKey
	events   []status.Event // nil: seven of one kind
}

// id has a fingerprint that begins with these bytes.
func id(first ...byte) (id audience.TenantID) {
	copy(id[:], first)
	return id
}

func segmentIn(name string, state status.State, pending, parked int) status.Segment {
	return status.Segment{Workspace: "w", Environment: "env-" + name, TrafficType: "user", Segment: name,
		Condition: status.Condition{State: state, Since: time.Now().Add(-time.Duration(pending+1) * time.Minute)}, Counts: status.Counts{Pending: pending, Parked: parked}, Sentence: "It is so."}
}

func tenantOf(id audience.TenantID, segments ...status.Segment) status.Tenant {
	t := status.NewTenant(id.String(), status.TenantGate{}, segments, time.Now())
	t.ID = id
	return t
}

var (
	idA, idB = id(0xaa, 1), id(0xbb, 2)
	printA   = idA.String()
	printB   = idB.String()
)

// busy is a relay with two tenants of three segments each, one of them parked.
func busy() *fakeRelay {
	f := &fakeRelay{tenants: []status.Tenant{
		tenantOf(idA, segmentIn("a1", status.Idle, 0, 0), segmentIn("a2", status.Gathering, 5, 0), segmentIn("a3", status.Gathering, 9, 0)),
		tenantOf(idB, segmentIn("b1", status.Parked, 2, 1), segmentIn("b2", status.Gathering, 5, 7), segmentIn("b3", status.Calling, 1, 0)),
	}}
	for i := range 7 {
		reason := []string{"bad_request", "not_found"}[i%2]
		key := audience.NumericKey(secretKey + int64(i))
		f.parked = append(f.parked, status.ParkedKey{Key: key, Verb: "add", Reason: reason, Message: "key " + key.Text() + ` of "anna@example.com" is bad`, At: time.Now()})
	}
	return f
}

// crowded is a busy relay with so many segments that its state is dear.
func crowded() *fakeRelay {
	f := busy()
	idle := make([]status.Segment, snapshotSmall)
	for i := range idle {
		idle[i] = segmentIn(fmt.Sprint("idle-", i), status.Idle, 0, 0)
	}
	f.tenants, f.takes = append(f.tenants, tenantOf(id(0xcc, 3), idle...)), 200*time.Millisecond
	return f
}

const secretKey = 8512839471928374650

func (f *fakeRelay) answer() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fail
}

func (f *fakeRelay) Status(context.Context) ([]status.Tenant, error) {
	f.mu.Lock()
	f.asked++
	f.mu.Unlock()
	time.Sleep(f.takes)
	f.mu.Lock()
	defer f.mu.Unlock()
	copied := append([]status.Tenant(nil), f.tenants...)
	return copied, cmp.Or(f.fail, f.partial)
}

func (f *fakeRelay) Budgets(context.Context) ([]status.Budget, error) {
	f.mu.Lock()
	f.budgets++
	f.mu.Unlock()
	return []status.Budget{{Limit: status.Limit{Known: true, Remaining: 3, Reset: time.Now()}}, {Tenant: printA, Waiting: 2}}, f.answer()
}

func (f *fakeRelay) Segment(_ context.Context, in audience.Segment) (status.Detail, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.in = in
	if in.Name == "none" {
		return status.Detail{}, fmt.Errorf("look at segment: %w", status.ErrUnknown)
	}
	return status.Detail{Tenant: in.Tenant.String(), Segment: segmentIn(in.Name, status.Calling, 4, 0), Due: time.Now(),
		Calls: []status.Call{{Number: 1 << 60, At: time.Now(), Verb: "add", Keys: 4, Attempt: 1, Status: 429, Reason: "throttled_ip", Organisation: status.Limit{Known: true}}}}, f.fail
}

// Parked has cursors that are numbers.
func (f *fakeRelay) Parked(_ context.Context, in audience.Segment, after string, limit int) (page status.ParkedPage, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.in = in
	if in.Name == "none" {
		return page, fmt.Errorf("list parked keys: %w", status.ErrUnknown)
	}
	from, _ := strconv.Atoi(after)
	until := min(from+limit, len(f.parked))
	if page.Keys = f.parked[from:until]; until < len(f.parked) {
		page.Next = strconv.Itoa(until)
	}
	return page, f.fail
}

func (f *fakeRelay) Where(_ context.Context, in audience.Segment, key audience.Key, _ string) (status.Whereabouts, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.in = in
	return status.Whereabouts{Back: time.Now(), Sentence: "It is parked.", Sightings: []status.Sighting{
		{Tenant: printA, Environment: "env-a1", Segment: "a1", State: status.KeyParked, Verb: "add", At: time.Now(), Reason: "bad_request", Message: "bad: " + key.Text(), Sentence: "Parked."}}}, cmp.Or(f.fail, f.failLook)
}

func (f *fakeRelay) Events(_ context.Context, before uint64, limit int) (events []status.Event, err error) {
	if f.events != nil {
		return f.events, f.answer()
	}
	if before == 0 {
		before = 8
	}
	for n := before - 1; n > 0 && len(events) < limit; n-- {
		events = append(events, status.Event{Number: n, At: time.Now(), Kind: status.EventPaused, Who: "anna", Tenant: printA, Sentence: "Paused."})
	}
	return events, f.answer()
}

func (f *fakeRelay) Note(_ context.Context, event status.Event) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failNote == nil {
		f.notes = append(f.notes, event)
	}
	return f.failNote
}

func (f *fakeRelay) Remedy(_ context.Context, wish status.Wish) (status.Effect, error) {
	f.mu.Lock()
	f.wishes = append(f.wishes, wish)
	f.mu.Unlock()
	if f.refuse != nil {
		if err := f.refuse(wish); err != nil {
			return status.Effect{}, err
		}
	}
	return status.Effect{Segments: 1, Keys: 10, DryRun: wish.DryRun, Until: wish.Until, Sentence: "It is done."}, f.answer()
}

// local serves a relay to everybody on this machine.
func local(f *fakeRelay) http.Handler {
	return New(Options{Relay: f, Reload: reloads, Access: access.Options{Local: true}, Names: map[string]string{printA: "acme-prod"}}).http.Handler
}

// call asks a handler; token "": as nobody.
func call(t *testing.T, handler http.Handler, method, path, body, token string) (code int, text string) {
	t.Helper()
	r := httptest.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, r)
	text = recorder.Body.String()
	if method != http.MethodHead && strings.HasPrefix(path, apiPath) {
		if recorder.Header().Get("Content-Type") != "application/json" || !json.Valid(recorder.Body.Bytes()) {
			t.Errorf("%s %s answers %s: %s", method, path, recorder.Header().Get("Content-Type"), text)
		}
		if recorder.Code >= 400 {
			problem := fromJSON[Problem](t, text)
			if problem.Error == "" {
				t.Errorf("%s %s: %d without words", method, path, recorder.Code)
			}
		}
	}
	return recorder.Code, text
}

func fromJSON[T any](t *testing.T, text string) (value T) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&value); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return value
}

// got is what a GET of the JSON API answers with 200.
func got[T any](t *testing.T, handler http.Handler, path string) T {
	t.Helper()
	code, text := call(t, handler, http.MethodGet, apiPath+"/"+path, "", "")
	if code != http.StatusOK {
		t.Fatalf("%s: %d %s", path, code, text)
	}
	return fromJSON[T](t, text)
}

// posted is what a POST answers with 200.
func posted[T any](t *testing.T, handler http.Handler, path, body string) T {
	t.Helper()
	code, text := call(t, handler, http.MethodPost, apiPath+"/"+path, body, "")
	if code != http.StatusOK {
		t.Fatalf("%s %s: %d %s", path, body, code, text)
	}
	return fromJSON[T](t, text)
}
