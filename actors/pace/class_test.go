package pace

import (
	"testing"

	"audiences/splitclient"
)

func TestRecord(t *testing.T) {
	outcome := func(kind splitclient.Kind, reason splitclient.Reason) splitclient.Outcome {
		return splitclient.Outcome{Kind: kind, Reason: reason}
	}
	delivered, hung := outcome(splitclient.Delivered, splitclient.OK), outcome(splitclient.Transient, splitclient.Timeout)
	down, limited := outcome(splitclient.Transient, splitclient.ServerError), outcome(splitclient.Throttled, splitclient.ThrottledOrg)
	revoked, forbidden := outcome(splitclient.Permanent, splitclient.Unauthorized), outcome(splitclient.Permanent, splitclient.Forbidden)
	address, stopped := outcome(splitclient.Throttled, splitclient.ThrottledIP), outcome(splitclient.Transient, splitclient.Cancelled)
	for name, c := range map[string]struct {
		proven   bool
		outcomes []splitclient.Outcome
		want     Class
	}{
		"new":                         {false, nil, New},
		"nothing was tried":           {false, []splitclient.Outcome{{}, address, stopped}, New},
		"failed":                      {false, []splitclient.Outcome{down}, Failing},
		"refused":                     {false, []splitclient.Outcome{forbidden}, Failing},
		"delivered":                   {false, []splitclient.Outcome{down, delivered}, Proven},
		"proven":                      {true, nil, Proven},
		"failed once":                 {true, []splitclient.Outcome{down}, Proven},
		"failed twice":                {true, []splitclient.Outcome{down, limited}, Faltering},
		"twice, but not in a row":     {true, []splitclient.Outcome{down, delivered, revoked}, Proven},
		"hung once":                   {true, []splitclient.Outcome{hung}, Faltering},
		"hung and came back":          {true, []splitclient.Outcome{hung, delivered}, Proven},
		"revoked":                     {true, []splitclient.Outcome{revoked, revoked}, Faltering},
		"a segment is refused":        {true, []splitclient.Outcome{forbidden, forbidden, forbidden}, Proven},
		"the address or the relay is": {true, []splitclient.Outcome{address, stopped, address, stopped}, Proven},
	} {
		r := Record{Proven: c.proven}
		proves := 0
		for _, o := range c.outcomes {
			if r.Note(o) {
				proves++
			}
		}
		if got := r.Class(); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
		if want := r.Proven && !c.proven; (proves == 1) != want {
			t.Errorf("%s: proven %d times", name, proves)
		}
	}
}
