package sandbox

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func (c caller) control(method, path, body string) got {
	c.t.Helper()
	return c.do(c.t.Context(), method, "/sandbox/"+path, http.Header{}, body)
}

func TestControlState(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, s *Split, c caller) {
		c.title = ""
		c.add("s", "1", "2").want(t, 200, "")
		c.control("POST", "faults", `{"kind":"hang","token":"`+token+`","forSeconds":30,"verb":"delete"}`).want(t, 200, `{"id":1}`)
		c.control("POST", "limits", `{"org":{"calls":10,"windowSeconds":2.5},"headersOnSuccess":true}`).want(t, 200, "done")
		st := c.control("GET", "state", "")
		for _, part := range []string{
			`"counts":{"calls":1,"applied":1,"keys":2,"outcomes":{"ok":1},"statuses":{"200":1}}`,
			`"environment":"env","segment":"s","keys":2`,
			`"limits":{"org":{"calls":10,"windowSeconds":2.5},"headersOnSuccess":true}`,
			`"faults":[{"id":1,"used":0,"kind":"hang","token":"` + tenantOf(token).String() + `","verb":"delete","forSeconds":30}]`,
			`"promise":"title or comment missing"`, `"violationsTotal":1`,
		} {
			st.want(t, 200, part)
		}
		c.control("GET", "calls", "").want(t, 200, `"operation":"uploadKeys","verb":"add","keys":2,"status":200,"outcome":"ok","applied":true`)
		if strings.Contains(st.body, token) {
			t.Errorf("the token shows in %s", st.body)
		}
	})
}

func TestControlFaults(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, _ *Split, c caller) {
		c.control("POST", "faults", `{"kind":"throttle","scope":"ip","resetSeconds":2.5,"count":1}`).want(t, 200, "")
		if h := rateHeaders(c.add("s", "1")); h != [4]string{"", "", "0", "2.5"} {
			t.Errorf("headers %v", h)
		}
		time.Sleep(time.Minute)
		c.add("s", "1").want(t, 200, "")
		c.control("POST", "faults", `{"kind":"conflict"}`).want(t, 200, `{"id":2}`)
		c.control("POST", "faults", `{"kind":"forbidden"}`).want(t, 200, `{"id":3}`)
		c.add("s", "1").want(t, 409, "")
		c.control("DELETE", "faults/2", "").want(t, 200, "")
		c.add("s", "1").want(t, 403, "")
		c.control("DELETE", "faults", "").want(t, 200, "")
		c.add("s", "1").want(t, 200, "")
	})
}

func TestControlRefusals(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, s *Split, c caller) {
		for _, bad := range []struct{ path, body, part string }{
			{"faults", `{"kind":"hung"}`, "no kind"},
			{"faults", `{"kind":"hang","seconds":3}`, "seconds"},
			{"faults", `{"kind":"hang","forSeconds":-3}`, "seconds"},
			{"faults", `{"kind":"hang","forSeconds":"3"}`, "forSeconds"},
			{"faults", ``, "decode body"},
			{"limits", `[]`, "decode body"},
			{"organisations", `{"token":"a"}`, "needed"},
			{"organisations", `{"token":"a","organisation":"o","sameAs":"b"}`, "needed"},
		} {
			c.control("POST", bad.path, bad.body).want(t, 400, bad.part)
		}
		c.control("DELETE", "faults/x", "").want(t, 400, "number")
		c.control("GET", "elsewhere", "").want(t, 404, "")
		if n := s.Counts().Calls; n != 0 {
			t.Errorf("%d calls of the control API were counted as Split's", n)
		}
	})
}

func TestControlSegments(t *testing.T) {
	inBubble(t, Options{Organisations: map[string]string{token: "acme"}}, func(t *testing.T, _ *Split, c caller) {
		c.add("s", "2", "1").want(t, 200, "")
		c.control("GET", "segments/env/s", "").want(t, 200, `"keys":["1","2"]`)
		c.control("GET", "segments/env/none", "").want(t, 200, `"keys":[]`)
		c.control("POST", "organisations", `{"token":"new","sameAs":"`+token+`"}`).want(t, 200, "")
		c.control("POST", "organisations", `{"token":"x","organisation":"other"}`).want(t, 200, "")
		c.as("new").remove("s", "1").want(t, 200, "")
		c.as("x").add("s", "3").want(t, 200, "")
		c.control("GET", "segments/env/s", "").want(t, 400, "several organisations")
		c.control("GET", "segments/env/s?organisation=acme", "").want(t, 200, `"keys":["2"]`)
		c.control("POST", "reset", "").want(t, 200, "")
		c.control("GET", "segments/env/s", "").want(t, 200, `"keys":[]`)
	})
}
