package sandbox

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"audiences/audience"
)

// MaxTraffic is how many posts a second Traffic makes at most.
const MaxTraffic = 1000

// Bounds of the traffic, so that a slow machine is not buried.
const (
	trafficAtOnce = 64 // requests under way; what comes due beyond it is left out
	trafficUsers  = 100_000
)

// TrafficSegments are the segments that each of the traffic's tenants has.
var TrafficSegments = []string{"sNew_users", "sBig_spenders", "sLapsed", "sNewsletter", "sBeta_testers"}

// TrafficEnvironment is where they are.
const TrafficEnvironment = "e"

// Post is one change of one key.
type Post struct {
	APIToken, Segment, Key string
	Verb                   audience.Verb
}

// place is where the key of a post belongs.
func (p Post) place() Post {
	p.Verb = 0
	return p
}

// Traffic posts to a relay what the lambda posts: one user and one audience a request,
// three in four to add, each over a connection of its own. It remembers what was answered
// with 200, so that Compare can tell whether all of it came through. No two posts are about
// the same key of a segment at the same time: which of them came last would not be known.
type Traffic struct {
	URL       string   // of the relay's /audiences; its certificate is not verified
	Token     string   // for Authorization
	PerSecond int      // 1 to MaxTraffic
	Tenants   []string // their apiTokens; at least one
	First     []Post   // are posted before all others

	accepted, refused atomic.Int64

	mu       sync.Mutex
	underWay map[Post]bool          // by their places
	last     map[Post]audience.Verb // by their places: of the last post that was answered 200; 0: one was not, so nobody knows
}

// Accepted is how many posts were answered with 200 so far.
func (t *Traffic) Accepted() int64 { return t.accepted.Load() }

// Refused is how many posts were not.
func (t *Traffic) Refused() int64 { return t.refused.Load() }

// Run posts until ctx ends, and returns when all of its requests have ended too.
func (t *Traffic) Run(ctx context.Context) {
	var underWay sync.WaitGroup
	defer underWay.Wait()
	places := make(chan struct{}, trafficAtOnce)
	ticker := time.NewTicker(time.Second / time.Duration(t.PerSecond))
	defer ticker.Stop()
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,                                  // as the lambda does
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // #nosec G402 -- as the lambda does; to this process only
	}}
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		select {
		case places <- struct{}{}:
		default:
			continue
		}
		post, free := t.next(n)
		if !free {
			<-places
			continue
		}
		underWay.Go(func() {
			defer func() { <-places }()
			err := t.post(ctx, client, post)
			t.note(post, err, ctx.Err() != nil)
		})
	}
}

// next is the n-th post; free is false when one of the same key is under way.
func (t *Traffic) next(n int) (p Post, free bool) {
	if n < len(t.First) {
		p = t.First[n]
	} else {
		p = Post{APIToken: t.Tenants[rand.IntN(len(t.Tenants))], Segment: TrafficSegments[rand.IntN(len(TrafficSegments))],
			Key: fmt.Sprint(rand.IntN(trafficUsers) - trafficUsers/2), Verb: audience.Add}
		if rand.IntN(4) == 0 {
			p.Verb = audience.Delete
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.underWay == nil {
		t.underWay, t.last = map[Post]bool{}, map[Post]audience.Verb{}
	}
	if t.underWay[p.place()] {
		return p, false
	}
	t.underWay[p.place()] = true
	return p, true
}

// note remembers how a post ended. One that was not answered with 200 may be accepted all
// the same, even after later ones: of its key nothing is known any more. ended: it was
// broken off, and nobody refused it.
func (t *Traffic) note(p Post, err error, ended bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.underWay, p.place())
	if err != nil {
		if !ended {
			t.refused.Add(1)
		}
		t.last[p.place()] = 0
		return
	}
	t.accepted.Add(1)
	if verb, before := t.last[p.place()]; !before || verb != 0 {
		t.last[p.place()] = p.Verb
	}
}

func (t *Traffic) post(ctx context.Context, client *http.Client, p Post) error {
	body := fmt.Sprintf(`{"apiToken":%q,"workspaceId":"w","environmentId":%q,"trafficTypeId":"t","verb":%q,"mpids":[%q],"segment":%q}`,
		p.APIToken, TrafficEnvironment, p.Verb, p.Key, p.Segment)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, t.URL, strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", t.Token)
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err = io.Copy(io.Discard, response.Body); err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", response.StatusCode)
	}
	return err
}

// Compared is how what was accepted and what the look-alike has agree.
type Compared struct {
	Keys  int // of which the last accepted verb is known
	Wrong int // of these, members that should be none, or none that should be members
}

// Compare looks for every key in the look-alike. It is called when Run has returned; keys
// that the relay has not delivered by then are among the wrong ones.
func (t *Traffic) Compare(s *Split) (c Compared) {
	t.mu.Lock()
	defer t.mu.Unlock()
	members := map[Post]map[string]bool{} // by their places without a key
	for p, verb := range t.last {
		if verb == 0 {
			continue
		}
		segment := Post{APIToken: p.APIToken, Segment: p.Segment}
		if members[segment] == nil {
			members[segment] = map[string]bool{}
			for _, key := range s.Members(p.APIToken, TrafficEnvironment, p.Segment) {
				members[segment][key] = true
			}
		}
		c.Keys++
		if members[segment][p.Key] != (verb == audience.Add) {
			c.Wrong++
		}
	}
	return c
}
