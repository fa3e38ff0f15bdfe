//go:build e2e

package cluster

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"audiences/api/admin"
	"audiences/status"
	"audiences/test/harness"
)

// get asks a node's API.
func get[T any](s *site, n *node, path string) (answer T) {
	s.T.Helper()
	got, err := n.process.AdminGet("/admin/api/v1/" + path)
	if err != nil || got.Status != http.StatusOK {
		s.T.Fatalf("%s at %s: %v, %+v", path, n.name, err, got)
	}
	if err := json.Unmarshal([]byte(got.Body), &answer); err != nil {
		s.T.Fatal(err)
	}
	return answer
}

// act has a node carry out a remedy.
func (s *site) act(n *node, remedy, body string) harness.Answer {
	s.T.Helper()
	answer, err := n.process.AdminPost("/admin/api/v1/remedies/"+remedy, body)
	if err != nil {
		s.T.Fatal(err)
	}
	return answer
}

// TestAnyNodeAnswers: status, lists, details, where a key is, events and remedies are the
// same whichever node is asked, for tenants of all nodes.
func TestAnyNodeAnswers(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"segmentsFlushRateInSeconds": 1})
	for range 3 {
		s.begin()
	}
	nodes := s.all()
	s.spread()
	const tenants = 12
	for i := range tenants {
		nodes[i%3].process.MustPost(harness.Change{Token: fmt.Sprint("token-", i), Segment: "s", Keys: []string{"1"}})
	}
	owners := map[string]string{}
	harness.Eventually(t, harness.Patience, "every node tells of all tenants", func() bool {
		for _, n := range nodes {
			list := get[admin.TenantList](s, n, "tenants").Tenants
			if len(list) != tenants {
				return false
			}
			for _, one := range list {
				owners[one.Tenant] = one.Node
			}
		}
		return true
	})
	spread := map[string]int{}
	for _, owner := range owners {
		spread[owner]++
	}
	if len(spread) < 2 {
		t.Fatalf("all tenants are one node's: %v", spread)
	}
	for i := range tenants {
		tenant := harness.Fingerprint(t, fmt.Sprint("token-", i))
		of := fmt.Sprintf(`{"tenant":%q,"environment":%q,"segment":"s"}`, tenant, harness.Environment)
		asked, other := nodes[i%3], nodes[(i+1)%3]
		if got := s.act(asked, "pause", of); got.Status != http.StatusOK {
			t.Fatalf("pause by %s, of a tenant of %s: %+v", asked.name, owners[tenant], got)
		}
		detail := get[status.Detail](s, other, "segment?tenant="+tenant+"&environment="+harness.Environment+"&segment=s")
		if detail.State != status.Paused {
			t.Errorf("%s says %s of what %s paused", other.name, detail.State, asked.name)
		}
		if again := s.act(other, "flush", of); again.Status != http.StatusConflict {
			t.Errorf("a flush of what is paused: %+v", again)
		}
		if got := s.act(other, "resume", of); got.Status != http.StatusOK {
			t.Errorf("resume by %s: %+v", other.name, got)
		}
	}
	harness.Eventually(t, harness.Patience, "every key is delivered", func() bool {
		for i := range tenants {
			if len(s.Split.Members(fmt.Sprint("token-", i), harness.Environment, "s")) != 1 {
				return false
			}
		}
		return true
	})
	for _, n := range nodes {
		if events := get[admin.EventList](s, n, "events?limit=100").Events; len(events) < 2*tenants {
			t.Errorf("%s tells of %d events", n.name, len(events))
		}
		list := get[admin.NodeList](s, n, "nodes").Nodes
		slots, self := 0, ""
		for _, one := range list {
			slots += one.Slots
			if one.Self {
				self = one.Name
			}
			if one.State != status.NodeReady {
				t.Errorf("%s is %s", one.Name, one.State)
			}
		}
		if len(list) != 3 || slots != 256 || self != n.name {
			t.Errorf("%s tells of the nodes %+v", n.name, list)
		}
		code, stdout, stderr := harness.Run(t, nil, "nodes", "--address", n.process.Admin)
		if code != 0 || strings.Count(stdout, "\n") != 4 || !strings.Contains(stdout, n.name+" (this one)") {
			t.Errorf("audiences nodes: %d\n%s%s", code, stdout, stderr)
		}
		where, err := n.process.AdminPost("/admin/api/v1/where", fmt.Sprintf(`{"key":"1","tenant":%q}`, harness.Fingerprint(t, "token-0")))
		if err != nil || !strings.Contains(where.Body, `"state":"delivered"`) {
			t.Errorf("where, at %s: %v, %s", n.name, err, where.Body)
		}
	}
}

// spread waits until all slots have an owner, and each node some.
func (s *site) spread() {
	s.T.Helper()
	nodes := s.all()
	harness.Eventually(s.T, harness.Patience, "every node owns slots, and every slot is owned", func() bool {
		slots := 0
		for _, one := range get[admin.NodeList](s, nodes[0], "nodes").Nodes {
			if slots += one.Slots; one.Slots == 0 {
				return false
			}
		}
		return slots == 256
	})
}

// TestMoveBetweenNodes: a tenant's keys are moved to one that another node owns, and what was
// paused stays so there.
func TestMoveBetweenNodes(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]any{"segmentsFlushRateInSeconds": 1})
	for range 3 {
		s.begin()
	}
	s.spread()
	nodes := s.all()
	var old, heir string // of different nodes
	owner := map[string]string{}
	for i := range 20 {
		token := fmt.Sprint("token-", i)
		nodes[0].process.MustPost(harness.Change{Token: token, Segment: "other", Keys: []string{"9"}})
	}
	harness.Eventually(t, harness.Patience, "two tenants of different nodes", func() bool {
		for _, one := range get[admin.TenantList](s, nodes[0], "tenants").Tenants {
			owner[one.Tenant] = one.Node
		}
		for i := range 20 {
			first, this := harness.Fingerprint(t, "token-0"), harness.Fingerprint(t, fmt.Sprint("token-", i))
			if owner[first] != "" && owner[this] != "" && owner[first] != owner[this] {
				old, heir = "token-0", fmt.Sprint("token-", i)
				return true
			}
		}
		return false
	})
	from, to := harness.Fingerprint(t, old), harness.Fingerprint(t, heir)
	of := func(segment string) string {
		return fmt.Sprintf(`{"tenant":%q,"environment":%q,"segment":%q}`, from, harness.Environment, segment)
	}
	for _, segment := range []string{"held", "sent"} {
		nodes[1].process.MustPost(harness.Change{Token: old, Segment: segment, Keys: []string{"8"}})
		harness.Eventually(t, harness.Patience, "the first key is delivered", func() bool { return len(s.Split.Members(old, harness.Environment, segment)) == 1 })
	}
	nodes[0].process.MustPost(harness.Change{Token: heir, Segment: "held", Keys: []string{"7"}})
	if got := s.act(nodes[2], "pause", of("held")); got.Status != http.StatusOK {
		t.Fatalf("%+v", got)
	}
	if got := s.act(nodes[2], "pause", fmt.Sprintf(`{"tenant":%q}`, from)); got.Status != http.StatusOK {
		t.Fatalf("%+v", got)
	}
	for _, segment := range []string{"held", "sent"} {
		nodes[2].process.MustPost(harness.Change{Token: old, Segment: segment, Keys: []string{"1", "2"}})
	}
	if got := s.act(nodes[1], "move", fmt.Sprintf(`{"tenant":%q,"to":%q}`, from, to)); got.Status != http.StatusOK {
		t.Fatalf("move: %+v", got)
	}
	harness.Eventually(t, harness.Patience, "what was not paused is delivered", func() bool {
		return len(s.Split.Members(heir, harness.Environment, "sent")) >= 2
	})
	time.Sleep(3 * time.Second)
	for _, key := range s.Split.Members(heir, harness.Environment, "held") {
		if key == "1" || key == "2" {
			t.Errorf("the paused key %s was sent", key)
		}
	}
	if got := s.act(nodes[0], "resume", fmt.Sprintf(`{"tenant":%q,"environment":%q,"segment":"held"}`, to, harness.Environment)); got.Status != http.StatusOK {
		t.Fatalf("resume: %+v", got)
	}
	harness.Eventually(t, harness.Patience, "what was paused is delivered", func() bool {
		members := strings.Join(s.Split.Members(heir, harness.Environment, "held"), " ")
		return strings.Contains(members, "1 2")
	})
}
