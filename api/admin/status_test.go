package admin

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"audiences/api/admin/access"
	"audiences/audience"
	"audiences/status"
)

func TestSummaryAndTenants(t *testing.T) {
	var notReady error
	relay := busy()
	handler := New(Options{Relay: relay, Access: access.Options{Local: true}, Names: map[string]string{printB: "acme-prod"},
		Checks: []Check{{"journal", func() error { return notReady }}}}).http.Handler
	sum := got[Summary](t, handler, "summary")
	if sum.Pending != 22 || sum.Parked != 8 || sum.Ready != "ready" || sum.Tenants[status.Parked] != 1 || sum.Segments[status.Gathering] != 3 {
		t.Errorf("%+v", sum)
	}
	if want := "Tenant acme-prod (" + printB + "): Split refuses a segment of it, 2 keys are kept. 8 keys are parked."; sum.Verdict != want {
		t.Errorf("got  %s\nwant %s", sum.Verdict, want)
	}
	notReady = errors.New("the disk is full")
	if sum := got[Summary](t, handler, "summary"); sum.Ready != "the disk is full" {
		t.Errorf("%+v", sum)
	}
	list := got[TenantList](t, handler, "tenants")
	if len(list.Tenants) != 2 || list.Matching != 2 || list.Tenants[0].Tenant != printB || list.Tenants[0].Name != "acme-prod" || list.Tenants[0].Segments != nil || list.Tenants[0].Sentence == "" {
		t.Errorf("%+v", list)
	}
	for query, want := range map[string]string{"?search=acme": printB, "?tenant=aa": printA, "?state=parked": printB, "?tenant=acme-prod": printB, "?sort=pending&limit=1": printA} {
		if list := got[TenantList](t, handler, "tenants"+query); len(list.Tenants) != 1 || list.Tenants[0].Tenant != want {
			t.Errorf("%s: %+v", query, list)
		}
	}
}

// TestSegmentsAreListed in each order, and filtered.
func TestSegmentsAreListed(t *testing.T) {
	handler := local(busy())
	for query, want := range map[string]string{
		"":                                "b1 b2 b3 a3 a2 a1",
		"?order=desc":                     "a1 a2 a3 b3 b2 b1",
		"?tenant=aa":                      "a3 a2 a1",
		"?tenant=acme-prod":               "a3 a2 a1",
		"?state=gathering":                "b2 a3 a2",
		"?search=b2":                      "b2",
		"?search=env-a":                   "a3 a2 a1",
		"?state=idle&tenant=bb":           "",
		"?sort=pending":                   "a3 a2 b2 b1 b3 a1",
		"?sort=pending&order=asc":         "a1 b3 b1 a2 b2 a3",
		"?sort=parked&limit=2":            "b2 b1 ...",
		"?sort=oldest":                    "a3 a2 b2 b1 b3 a1",
		"?sort=oldest&order=desc&limit=1": "a1 ...",
		"?sort=name":                      "a1 a2 a3 b1 b2 b3",
		"?limit=6":                        "b1 b2 b3 a3 a2 a1",
	} {
		list := got[SegmentList](t, handler, "segments"+query)
		if names := namesOf(list); names != want {
			t.Errorf("%s: %s, want %s", query, names, want)
		}
	}
	if list := got[SegmentList](t, handler, "segments?tenant=aa&limit=1"); list.Segments[0].Name != "acme-prod" || list.Matching != 3 {
		t.Errorf("%+v", list)
	}
}

func namesOf(list SegmentList) string {
	var names []string
	for _, s := range list.Segments {
		names = append(names, s.Segment.Segment)
	}
	if list.Next != "" {
		names = append(names, "...")
	}
	return strings.Join(names, " ")
}

// TestPagesWhileThingsChange: what comes and goes between two pages neither repeats
// nor hides another segment.
func TestPagesWhileThingsChange(t *testing.T) {
	for _, o := range orders {
		synctest.Test(t, func(t *testing.T) {
			relay := busy()
			handler := local(relay)
			seen := got[SegmentList](t, handler, "segments?limit=2&sort="+o.name)
			first := seen.Segments[0].Segment.Segment
			time.Sleep(snapshotShortest)
			for i := range relay.tenants {
				segments := slices.DeleteFunc(slices.Clone(relay.tenants[i].Segments), func(s status.Segment) bool { return s.Segment == first })
				relay.tenants[i] = tenantOf(relay.tenants[i].ID, segments...)
			}
			for next := seen.Next; next != ""; {
				page := got[SegmentList](t, handler, "segments?limit=2&sort="+o.name+"&cursor="+next)
				seen.Segments, next = append(seen.Segments, page.Segments...), page.Next
			}
			seen.Next = ""
			names := strings.Fields(namesOf(seen))
			if slices.Sort(names); strings.Join(names, " ") != "a1 a2 a3 b1 b2 b3" {
				t.Errorf("by %s: %s", o.name, namesOf(seen))
			}
		})
	}
}

// TestOrdersTellAllRowsApart, so that a cursor is one place.
func TestOrdersTellAllRowsApart(t *testing.T) {
	base := place{State: status.Idle, Tenant: "t", Environment: "e", Segment: "s", Workspace: "w", TrafficType: "u", Since: time.Now()}
	others := []place{base, base, base, base, base}
	others[0].Tenant, others[1].Environment, others[2].Segment, others[3].Workspace, others[4].TrafficType = "x", "x", "x", "x", "x"
	for _, o := range orders {
		for _, direction := range []string{"asc", "desc"} {
			w := window{Sort: o.name, Order: direction}
			for _, other := range others {
				if there, back := w.comparison()(&base, &other), w.comparison()(&other, &base); there == 0 || there != -back {
					t.Errorf("by %s %s: %+v and %+v compare as %d and %d", o.name, direction, base, other, there, back)
				}
			}
		}
	}
	unknown, known := place{Tenant: "a"}, place{Tenant: "b", Since: time.Now()}
	if w := (window{Sort: "oldest", Order: "asc"}); w.comparison()(&known, &unknown) >= 0 || cmp.Compare(0, w.comparison()(&unknown, &unknown)) != 0 {
		t.Error("what is not known comes first")
	}
}

// TestParametersAreStrict: a misspelt filter would show, or stop, something else.
func TestParametersAreStrict(t *testing.T) {
	handler := local(busy())
	cursor := got[SegmentList](t, handler, "segments?limit=1").Next
	for path, want := range map[string]string{
		"segments?limit=0": "limit is", "segments?limit=1001": "limit is", "segments?limit=x": "limit is", "segments?cursor=x": "cursor is", "segments?cursor=bnVsbA": "cursor is",
		"segments?cursor=" + cursor + "&sort=name": "another order", "segments?cursor=" + cursor + "&order=desc": "another order",
		"segments?sort=size": "sort is one of state, pending", "segments?order=up": "order is", "segments?state=bad": "state is one of token_refused",
		"segments?tenants=a": "takes sort, order", "segments?limit=1&limit=2": "twice", "segments?a;b": "cannot be read",
		"summary?x=1": "no parameters", "budgets?x=1": "no parameters", "openapi.json?x=1": "no parameters", "tenants?x=1": "takes",
		"events?before=x": "number of an event", "events?limit=0": "limit is", "events?after=1": "takes before, limit",
		"segment": "tenant is missing", "segment?tenant=aa": "environment and segment", "segment?tenant=aa&segment=a1": "both", "segment?tenant=aa&environment=a1": "both", "segment?tenant=zz&environment=e&segment=s": "no such tenant",
		"parked?environment=e&segment=s": "tenant is missing", "parked?tenant=bb&environment=e&segment=s&limit=9999": "limit is", "parked?state=parked": "takes", "parked?reason=x": "takes",
	} {
		code, text := call(t, handler, http.MethodGet, apiPath+"/"+path, "", "")
		wantCode := http.StatusBadRequest
		if strings.HasPrefix(want, "no such") {
			wantCode = http.StatusNotFound
		}
		if code != wantCode || !strings.Contains(text, want) {
			t.Errorf("%s: %d %s, want %s", path, code, text, want)
		}
	}
	for path, want := range map[string]int{"none": 404, "summary/": 404, "": 404} {
		if code, text := call(t, handler, http.MethodGet, apiPath+"/"+path, "", ""); code != want {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
	for path, allowed := range map[string]string{"summary": "GET, HEAD", "remedies/flush": "POST", "where": "POST", "parked": "GET, HEAD"} {
		code, text := call(t, handler, http.MethodDelete, apiPath+"/"+path, "", "")
		if code != http.StatusMethodNotAllowed || !strings.Contains(text, allowed) {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
	if code, _ := call(t, handler, http.MethodHead, apiPath+"/summary", "", ""); code != http.StatusOK {
		t.Errorf("HEAD: %d", code)
	}
}

// TestOneSegment is found by as little as tells it apart.
func TestOneSegment(t *testing.T) {
	relay := busy()
	twin := segmentIn("a1", status.Idle, 0, 0)
	twin.Workspace = "other"
	relay.tenants[0] = tenantOf(idA, append(relay.tenants[0].Segments, twin)...)
	relay.tenants = append(relay.tenants, tenantOf(id(0xbb, 3), segmentIn("x", status.Idle, 0, 0)))
	handler := local(relay)
	detail := got[status.Detail](t, handler, "segment?tenant=acme-prod&environment=env-a2&segment=a2")
	if detail.Name != "acme-prod" || detail.Tenant != printA || len(detail.Calls) != 1 || detail.Segment.Segment != "a2" {
		t.Errorf("%+v", detail)
	}
	if relay.in.Workspace != "w" || relay.in.TrafficType != "user" || relay.in.Tenant != idA {
		t.Errorf("asked for %+v", relay.in)
	}
	got[status.Detail](t, handler, "segment?tenant="+printA+"&environment=env-a1&segment=a1&workspace=other")
	if relay.in.Workspace != "other" || relay.in.TrafficType != "user" {
		t.Errorf("asked for %+v", relay.in)
	}
	got[status.Detail](t, handler, "segment?tenant=aa&environment=gone&segment=let-go&workspace=v")
	if relay.in.Workspace != "v" || relay.in.Name != "let-go" {
		t.Errorf("asked for %+v", relay.in)
	}
	for query, want := range map[string]int{
		"?tenant=aa&environment=env-a1&segment=a1": 400, // two of them
		"?tenant=bb&environment=env-x&segment=x":   400, // two tenants
		"?tenant=aa&environment=e&segment=none":    404,
	} {
		if code, text := call(t, handler, http.MethodGet, apiPath+"/segment"+query, "", ""); code != want {
			t.Errorf("%s: %d %s", query, code, text)
		}
	}
}

func TestBudgetsAndEvents(t *testing.T) {
	handler := local(busy())
	budgets := got[BudgetList](t, handler, "budgets").Budgets
	if len(budgets) != 2 || budgets[0].Remaining != 3 || budgets[1].Name != "acme-prod" || budgets[1].Waiting != 2 {
		t.Errorf("%+v", budgets)
	}
	var numbers []uint64
	for next := "events?limit=3"; next != ""; {
		list := got[EventList](t, handler, next)
		for _, e := range list.Events {
			numbers = append(numbers, e.Number)
		}
		if next = ""; list.Next > 0 {
			next = "events?limit=3&before=" + strconv.FormatUint(list.Next, 10)
		}
		if list.Events[0].Name != "acme-prod" {
			t.Errorf("%+v", list.Events[0])
		}
	}
	if !slices.Equal(numbers, []uint64{7, 6, 5, 4, 3, 2, 1}) {
		t.Errorf("%v", numbers)
	}
}

// TestManyLookersAskOnce: after a change the relay is asked at once.
func TestManyLookersAskOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		relay := busy()
		handler := local(relay)
		look := func() {
			for range 20 {
				go call(t, handler, http.MethodGet, apiPath+"/segments?sort=name", "", "")
			}
			synctest.Wait()
		}
		look()
		look()
		time.Sleep(snapshotShortest)
		look()
		if relay.asked != 2 {
			t.Errorf("asked %d times, want 2", relay.asked)
		}
		posted[RemedyAnswer](t, handler, "remedies/flush", `{"tenant":"aa","dryRun":true}`)
		look()
		if relay.asked != 2 {
			t.Errorf("asked %d times after a dry run, want 2", relay.asked)
		}
		posted[RemedyAnswer](t, handler, "remedies/flush", `{"tenant":"aa"}`)
		look()
		if relay.asked != 3 {
			t.Errorf("asked %d times after a remedy, want 3", relay.asked)
		}
		time.Sleep(snapshotShortest)
		relay.fail = errors.New("the relay is stopping")
		for range 2 {
			if code, text := call(t, handler, http.MethodGet, apiPath+"/summary", "", ""); code != http.StatusServiceUnavailable || !strings.Contains(text, "stopping") {
				t.Errorf("%d %s", code, text)
			}
		}
		if relay.asked != 5 {
			t.Errorf("asked %d times, want 5: a failure is not kept", relay.asked)
		}
	})
}

func TestRelayThatFails(t *testing.T) {
	relay := busy()
	relay.fail = errors.New("the relay is stopping")
	handler := local(relay)
	for _, path := range []string{"summary", "tenants", "segments", "parked", "events", "budgets", "segment?tenant=aa&environment=e&segment=s"} {
		if code, text := call(t, handler, http.MethodGet, apiPath+"/"+path, "", ""); code != 503 || !strings.Contains(text, "stopping") {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
	if code, _ := call(t, New(Options{Access: access.Options{Local: true}}).http.Handler, http.MethodGet, "/admin/", "", ""); code != 404 {
		t.Errorf("without a relay: %d", code)
	}
}

// TestDearSnapshots: what costs the relay much is asked for rarely, and nobody waits for it
// but the first.
func TestDearSnapshots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		relay := crowded()
		handler, began := local(relay), time.Now()
		look := func(asked int, age, within time.Duration) {
			t.Helper()
			looked := time.Now()
			list := got[SegmentList](t, handler, "segments")
			if took := time.Since(looked); took > within || looked.Sub(list.At) != age {
				t.Errorf("after %v it took %v and is %v old, want %v and %v", looked.Sub(began), took, looked.Sub(list.At), within, age)
			}
			synctest.Wait()
			if relay.asked != asked {
				t.Errorf("after %v the relay was asked %d times, want %d", looked.Sub(began), relay.asked, asked)
			}
		}
		look(1, 0, relay.takes)
		time.Sleep(4 * time.Second)
		look(1, 4200*time.Millisecond, 0)
		time.Sleep(7 * time.Second)
		look(2, 11200*time.Millisecond, 0)
		look(2, 11200*time.Millisecond, 0)
		time.Sleep(time.Second)
		look(2, time.Second, 0)

		time.Sleep(time.Minute)
		look(3, 0, relay.takes) // too old a one
		relay.fail = errors.New("the relay does not answer")
		time.Sleep(10 * time.Second)
		look(4, 10200*time.Millisecond, 0)
		time.Sleep(time.Second)
		look(5, 11200*time.Millisecond, 0)
		time.Sleep(10 * time.Second)
		if code, text := call(t, handler, http.MethodGet, apiPath+"/segments", "", ""); code != http.StatusServiceUnavailable {
			t.Errorf("%d %s", code, text)
		}
	})
}

// TestNothingIsNull: a list that is empty is one nevertheless, for those who go through it.
func TestNothingIsNull(t *testing.T) {
	handler := New(Options{Relay: emptyRelay{}, Access: access.Options{Local: true}}).http.Handler
	for _, path := range []string{"summary", "tenants", "segments", "parked", "events", "budgets", "series",
		"segment?tenant=aa&environment=e&segment=s", "parked?tenant=aa&environment=e&segment=s"} {
		if code, text := call(t, handler, http.MethodGet, apiPath+"/"+path, "", ""); code != http.StatusOK || strings.Contains(text, "null") {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
	if code, text := call(t, handler, http.MethodPost, apiPath+"/where", `{"key":"1"}`, ""); code != http.StatusOK || strings.Contains(text, "null") {
		t.Errorf("where: %d %s", code, text)
	}
}

// emptyRelay has a tenant and nothing else to show.
type emptyRelay struct{ *fakeRelay }

func (emptyRelay) Status(context.Context) ([]status.Tenant, error) {
	return []status.Tenant{tenantOf(idA)}, nil
}

func (emptyRelay) Segment(context.Context, audience.Segment) (status.Detail, error) {
	return status.Detail{}, nil
}

func (emptyRelay) Parked(context.Context, audience.Segment, string, int) (status.ParkedPage, error) {
	return status.ParkedPage{}, nil
}

func (emptyRelay) Budgets(context.Context) ([]status.Budget, error) { return nil, nil }
func (emptyRelay) Events(context.Context, uint64, int) ([]status.Event, error) {
	return nil, nil
}

func (emptyRelay) Where(context.Context, audience.Segment, audience.Key, string) (status.Whereabouts, error) {
	return status.Whereabouts{}, nil
}

// TestSmallSnapshotsAreNew, though the machine was slow for a moment.
func TestSmallSnapshotsAreNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		relay := busy()
		relay.takes = 200 * time.Millisecond
		handler := local(relay)
		for looks := range 3 {
			list := got[SegmentList](t, handler, "segments")
			if age := time.Since(list.At); age != relay.takes || relay.asked != looks+1 {
				t.Errorf("%v old, after the relay was asked %d times", age, relay.asked)
			}
			time.Sleep(2 * snapshotShortest)
		}
	})
}

// TestWhatIsNewIsFound, although the snapshot at hand is older.
func TestWhatIsNewIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		relay := &fakeRelay{}
		handler := local(relay)
		got[Summary](t, handler, "summary")
		segment := segmentIn("new", status.Gathering, 1, 0)
		segment.Workspace, segment.TrafficType = "workspace", "user"
		relay.tenants = []status.Tenant{tenantOf(idA, segment)}
		time.Sleep(time.Millisecond)
		got[status.Detail](t, handler, "segment?tenant="+printA+"&segment=new&environment="+segment.Environment)
		if relay.in != segmentOf(idA, segment) || relay.asked != 2 {
			t.Errorf("asked %d times; %+v", relay.asked, relay.in)
		}
		time.Sleep(time.Millisecond)
		relay.tenants = append(relay.tenants, tenantOf(idB))
		posted[RemedyAnswer](t, handler, "remedies/flush", `{"tenant":"`+printB+`"}`)
		if relay.asked != 3 {
			t.Errorf("asked %d times", relay.asked)
		}
		relay.tenants[0].Segments = nil
		time.Sleep(time.Millisecond)
		if code, text := call(t, handler, http.MethodPost, apiPath+"/remedies/flush", `{"filter":{"search":"new"}}`, ""); code != http.StatusConflict {
			t.Errorf("%d %s", code, text)
		}
	})
}
