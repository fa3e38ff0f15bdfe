package admin

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"audiences/api/admin/access"
	"audiences/status"
)

// alike is a relay with two tenants whose fingerprints begin with bb, the second of which is
// called b, and one whose name is how another's fingerprint begins and that has not posted.
func alike() (*fakeRelay, http.Handler) {
	relay := busy()
	second := id(0xbb, 3)
	relay.tenants = append(relay.tenants, tenantOf(second, segmentIn("c1", status.Parked, 1, 1), segmentIn("c2", status.Gathering, 1, 0)))
	names := map[string]string{second.String(): "b", id(0xee).String(): "aa"}
	return relay, New(Options{Relay: relay, Access: access.Options{Local: true}, Names: names}).http.Handler
}

// TestFilterIsOfOneTenant: a filter means the tenant that the same text names by itself:
// the one of that name or fingerprint, or the only one whose fingerprint begins so. Another
// text is refused, and nothing is shown or done.
func TestFilterIsOfOneTenant(t *testing.T) {
	for tenant, want := range map[string]struct {
		code int
		says string // of an answer that refuses
		of   string // the segments of one that does not
	}{
		printA:                  {200, "", "a3 a2 a1"},
		"aa0":                   {200, "", "a3 a2 a1"},
		"aa":                    {404, "no such tenant", ""}, // the name of another one
		"b":                     {200, "", "c1 c2"},          // a name, though two fingerprints begin so
		"bb02":                  {200, "", "b1 b2 b3"},
		"bb":                    {400, "2 tenants have fingerprints that begin so", ""},
		"zz":                    {404, "no such tenant", ""},
		strings.ToUpper("bb02"): {404, "no such tenant", ""},
	} {
		relay, handler := alike()
		for path, shown := range map[string]string{"segments": want.of, "parked": "", "tenants": ""} {
			code, text := call(t, handler, http.MethodGet, apiPath+"/"+path+"?tenant="+tenant, "", "")
			if code != want.code || !strings.Contains(text, want.says) {
				t.Errorf("%s of %s: %d %s", path, tenant, code, text)
			}
			if shown != "" && code == http.StatusOK && namesOf(fromJSON[SegmentList](t, text)) != shown {
				t.Errorf("%s of %s: %s", path, tenant, text)
			}
		}
		code, text := call(t, handler, http.MethodPost, apiPath+"/remedies/discard", `{"filter":{"tenant":"`+tenant+`"}}`, "")
		if code != want.code || !strings.Contains(text, want.says) || len(relay.wishes) != len(strings.Fields(want.of)) {
			t.Errorf("discard of %s: %d %s, %d wishes", tenant, code, text, len(relay.wishes))
		}
		for _, wish := range relay.wishes {
			if !strings.Contains(want.of, wish.Segment.Name) {
				t.Errorf("discard of %s concerns %s", tenant, wish.Segment.Name)
			}
		}
		page := opened(t, handler, "GET", "/segments?tenant="+tenant, "")
		if text := shows(t, page); strings.Contains(text, "that match") != (want.code == 200) || !strings.Contains(text, want.says) {
			t.Errorf("the page of %s: %s", tenant, text)
		}
		if text := shows(t, opened(t, handler, "GET", "/remedies/flush?filter=yes&tenant="+tenant, "")); !strings.Contains(text, want.says) {
			t.Errorf("the dialog of %s: %s", tenant, text)
		}
	}
}

// TestFilterFindsANewTenant: one that posted a moment ago is found, also where the snapshot
// is not new.
func TestFilterFindsANewTenant(t *testing.T) {
	relay := crowded()
	handler := local(relay)
	got[SegmentList](t, handler, "segments")
	relay.mu.Lock()
	relay.tenants = append(relay.tenants, tenantOf(id(0xdd), segmentIn("new", status.Gathering, 1, 0)))
	relay.mu.Unlock()
	if list := got[SegmentList](t, handler, "segments?tenant=dd"); list.Matching != 1 {
		t.Errorf("%+v", list)
	}
}

// TestPartial: where a node does not answer, what there is is shown, and nothing is said of the
// rest: who names a tenant that cannot be seen, or all that match, is told to come again.
func TestPartial(t *testing.T) {
	relay := busy()
	relay.partial = fmt.Errorf("%w: node-2 does not answer", status.ErrPartial)
	handler := local(relay)
	for path, want := range map[string]struct {
		code int
		says string
	}{
		"summary":                     {200, "Here not all tenants can be seen: node-2 does not answer. "},
		"tenants":                     {200, printA},
		"tenants?tenant=" + printA:    {200, printA},
		"tenants?tenant=cc":           {503, "node-2 does not answer"},
		"segments?tenant=cc":          {503, "node-2 does not answer"},
		"segment?tenant=cc&segment=a": {503, "node-2 does not answer"},
		"POST remedies/flush {\"tenant\":\"" + printA + "\"}":        {200, "It is done."},
		"POST remedies/flush {\"tenant\":\"cc\"}":                    {503, "node-2 does not answer"},
		"POST remedies/flush {\"filter\":{\"state\":\"gathering\"}}": {503, "node-2 does not answer"},
		"POST where {\"key\":\"1\",\"tenant\":\"cc\"}":               {503, "node-2 does not answer"},
	} {
		method, body := http.MethodGet, ""
		if asked, found := strings.CutPrefix(path, "POST "); found {
			method = http.MethodPost
			path, body, _ = strings.Cut(asked, " ")
		}
		if code, text := call(t, handler, method, apiPath+"/"+path, body, ""); code != want.code || !strings.Contains(text, want.says) {
			t.Errorf("%s %s: %d %s", path, body, code, text)
		}
	}
}
