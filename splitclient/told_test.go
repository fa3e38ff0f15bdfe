package splitclient

import (
	"net/http"
	"reflect"
	"testing"
	"time"

	"audiences/audience"
)

// TestCalledIsTold: each call that was made or tried is told of, without its keys and its
// token; one that cannot be made is not. Split is sent no trace context.
func TestCalledIsTold(t *testing.T) {
	var told []Made
	status, header := 200, http.Header{}
	good := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header = r.Header.Clone()
		w.WriteHeader(status)
	}))
	c := newClientWith(t, Options{BaseURL: good, Called: func(m Made) { told = append(told, m) }})
	second := call(audience.Delete, "1")
	second.Attempt = 2
	before := time.Now()
	c.Do(t.Context(), call(audience.Add, "1", "2", "3"))
	status = 503
	c.Do(t.Context(), second)
	c.Do(t.Context(), call(audience.Delete))
	c.base = "http://" + refused(t)
	c.Do(t.Context(), call(audience.Add, "1"))
	of := call(audience.Add).Segment
	want := []Made{
		{Segment: of, Verb: audience.Add, Keys: 3, Reason: OK, Status: 200},
		{Segment: of, Verb: audience.Delete, Keys: 1, Attempt: 2, Reason: ServerError, Status: 503},
		{Segment: of, Verb: audience.Add, Keys: 1, Reason: Unreachable},
	}
	for i := range told {
		if told[i].Began.Before(before) || told[i].Ended.Before(told[i].Began) {
			t.Errorf("%+v", told[i])
		}
		told[i].Began, told[i].Ended = time.Time{}, time.Time{}
	}
	if !reflect.DeepEqual(told, want) {
		t.Errorf("got %+v\nwant %+v", told, want)
	}
	if header.Get("Traceparent") != "" || header.Get("Baggage") != "" {
		t.Errorf("Split was sent %v", header)
	}
}
