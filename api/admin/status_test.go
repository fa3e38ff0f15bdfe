package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"audiences/api/admin/access"
	"audiences/status"
)

// someTenants are two tenants with three segments each, one of them parked.
func someTenants() []status.Tenant {
	now := time.Now()
	segment := func(name string, state status.State, pending int) status.Segment {
		return status.Segment{Environment: "env-" + name, Segment: name, Condition: status.Condition{State: state}, Counts: status.Counts{Pending: pending}}
	}
	return []status.Tenant{
		status.NewTenant("aaaa", status.TenantGate{}, []status.Segment{segment("a1", status.Idle, 0), segment("a2", status.Gathering, 5), segment("a3", status.Gathering, 9)}, now),
		status.NewTenant("bbbb", status.TenantGate{}, []status.Segment{segment("b1", status.Parked, 2), segment("b2", status.Gathering, 5), segment("b3", status.Calling, 1)}, now),
	}
}

func get[T any](t *testing.T, address, path string) (value T) {
	t.Helper()
	response, text := ask(t, "GET", address, path, "")
	if response.StatusCode != 200 || response.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("%s: %d %s", path, response.StatusCode, text)
	}
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	return value
}

func TestSummaryAndTenants(t *testing.T) {
	var notReady error
	address := start(t, Options{
		Access: access.Options{Local: true},
		Status: func(context.Context) ([]status.Tenant, error) { return someTenants(), nil },
		Ready:  func() error { return notReady },
	})
	sum := get[Summary](t, address, "/admin/api/v1/summary")
	if sum.Pending != 22 || sum.Ready != "ready" || sum.Tenants[status.Parked] != 1 || sum.Segments[status.Gathering] != 3 || sum.Verdict != status.Verdict(someTenants()) {
		t.Errorf("%+v", sum)
	}
	notReady = errors.New("the disk is full")
	if sum := get[Summary](t, address, "/admin/api/v1/summary"); sum.Ready != "the disk is full" {
		t.Errorf("%+v", sum)
	}
	list := get[TenantList](t, address, "/admin/api/v1/tenants")
	if len(list.Tenants) != 2 || list.Tenants[1].State != status.Parked || list.Tenants[1].Segments != nil || list.Tenants[1].Sentence == "" {
		t.Errorf("%+v", list)
	}
}

// TestSegmentsAreListed: filtered, in the order of urgency, and page by page.
func TestSegmentsAreListed(t *testing.T) {
	address := start(t, Options{Access: access.Options{Local: true}, Status: func(context.Context) ([]status.Tenant, error) { return someTenants(), nil }})
	for query, want := range map[string]string{
		"":                       "b1 b3 a3 a2 b2 a1",
		"?tenant=aa":             "a3 a2 a1",
		"?tenant=c":              "",
		"?state=gathering":       "a3 a2 b2",
		"?search=b2":             "b2",
		"?search=env-a":          "a3 a2 a1",
		"?limit=2":               "b1 b3 (next 2)",
		"?limit=2&cursor=2":      "a3 a2 (next 4)",
		"?limit=2&cursor=4":      "b2 a1",
		"?limit=2&cursor=400":    "",
		"?state=idle&tenant=bbb": "",
	} {
		list := get[SegmentList](t, address, "/admin/api/v1/segments"+query)
		var names []string
		for _, s := range list.Segments {
			names = append(names, s.Segment.Segment)
		}
		if list.Next != "" {
			names = append(names, fmt.Sprintf("(next %s)", list.Next))
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	for _, query := range []string{"?limit=0", "?limit=1001", "?limit=x", "?cursor=-1", "?cursor=x"} {
		if response, text := ask(t, "GET", address, "/admin/api/v1/segments"+query, ""); response.StatusCode != 400 {
			t.Errorf("%s: %d %s", query, response.StatusCode, text)
		}
	}
}

func TestStatusThatFails(t *testing.T) {
	address := start(t, Options{Access: access.Options{Local: true}, Status: func(context.Context) ([]status.Tenant, error) { return nil, errors.New("the relay is stopping") }})
	for _, path := range []string{"summary", "tenants", "segments"} {
		if response, text := ask(t, "GET", address, "/admin/api/v1/"+path, ""); response.StatusCode != 503 || !strings.Contains(text, "stopping") {
			t.Errorf("%s: %d %s", path, response.StatusCode, text)
		}
	}
	strangers := start(t, Options{Status: func(context.Context) ([]status.Tenant, error) { return someTenants(), nil }})
	for _, path := range []string{"summary", "tenants", "segments"} {
		if response, text := ask(t, "GET", strangers, "/admin/api/v1/"+path, ""); response.StatusCode == 200 || strings.Contains(text, "aaaa") {
			t.Errorf("a stranger reads %s: %d %s", path, response.StatusCode, text)
		}
	}
	if response, _ := ask(t, "GET", start(t, Options{Access: access.Options{Local: true}}), "/admin/api/v1/summary", ""); response.StatusCode != 404 {
		t.Errorf("without a status: %d", response.StatusCode)
	}
}
