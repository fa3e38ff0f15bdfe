package api

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"audiences/audience"
)

// TestAnsweredIsTold: each post whose caller has shown the token is told of once it is
// answered, with its trace context and what was understood of it, and no other request is.
func TestAnsweredIsTold(t *testing.T) {
	var told []Post
	s := New(Options{Tokens: fooToken, Answered: func(p Post) { told = append(told, p) },
		Accept: func(reply chan<- error, _ ...audience.Change) { reply <- nil }})
	good := body("mpids", `["1","2","2"]`, "verb", `"delete"`)
	segment := audience.Segment{Tenant: tenantFor(t), Workspace: "ws1", Environment: "env1", TrafficType: "tt1", Name: "s1"}
	for _, c := range []struct {
		method, path, token, body string
		want                      *Post
	}{
		{http.MethodPost, "/audiences", "foo", good, &Post{Status: 200, Segment: segment, Verb: audience.Delete, Keys: 2}},
		{http.MethodPost, "/audiences", "foo", body("segment", `"1bad"`), &Post{Status: 400, Segment: audience.Segment{Tenant: segment.Tenant}}},
		{http.MethodPost, "/audiences", "foo", "{", &Post{Status: 400}},
		{http.MethodPost, "/audiences", "guess", good, nil},
		{http.MethodGet, "/audiences", "foo", "", nil},
		{http.MethodGet, "/ping", "foo", "", nil},
		{http.MethodGet, "/nowhere", "foo", "", nil},
	} {
		told = nil
		r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
		r.Header.Set("Authorization", c.token)
		r.Header.Set("traceparent", "the parent")
		r.Header.Set("tracestate", "the state")
		before := time.Now()
		s.echo.ServeHTTP(httptest.NewRecorder(), r)
		if c.want == nil {
			if len(told) > 0 {
				t.Errorf("%s %s with %s: %+v", c.method, c.path, c.token, told)
			}
			continue
		}
		if len(told) != 1 {
			t.Errorf("%s: told %d times", c.body, len(told))
			continue
		}
		got := told[0]
		if got.Began.Before(before) || got.Ended.Before(got.Began) || got.Ended.After(time.Now()) {
			t.Errorf("%s: from %v to %v", c.body, got.Began, got.Ended)
		}
		c.want.TraceParent, c.want.TraceState, c.want.Began, c.want.Ended = "the parent", "the state", got.Began, got.Ended
		if !reflect.DeepEqual(got, *c.want) {
			t.Errorf("%s: got %+v\nwant %+v", c.body, got, *c.want)
		}
	}
}

// tenantFor is whose the bodies of these tests are.
func tenantFor(t *testing.T) audience.TenantID {
	t.Helper()
	var d decoder
	d.maxKeys = 10
	req, err := d.decode([]byte(body()))
	if err != nil {
		t.Fatal(err)
	}
	return req.change.Segment.Tenant
}

// TestToldOfNothingCostsNothing: while nobody is to be told, a post takes no memory more.
func TestToldOfNothingCostsNothing(t *testing.T) {
	s := New(Options{Tokens: fooToken, Accept: func(reply chan<- error, _ ...audience.Change) { reply <- nil }})
	r := httptest.NewRequest(http.MethodPost, "/audiences", nil)
	r.Header.Set("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	c := s.echo.NewContext(r, httptest.NewRecorder())
	var d decoder
	d.maxKeys = 10
	req, err := d.decode([]byte(body()))
	if err != nil {
		t.Fatal(err)
	}
	post := func() {
		s.noteShown(c)
		s.notePost(c, req)
		s.tell(c, time.Time{})
	}
	if n := testing.AllocsPerRun(100, post); n != 0 {
		t.Errorf("%v allocations a post while nobody is told", n)
	}
	s.options.Answered = func(Post) {}
	if n := testing.AllocsPerRun(100, post); n == 0 {
		t.Error("somebody is told without an allocation: this test looks at the wrong place")
	}
}
