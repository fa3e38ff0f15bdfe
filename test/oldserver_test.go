package test

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"audiences/test/harness"
)

// oldServer stands in for the server before this one. A post that was recorded it answers
// as that did, and any other that is whole it takes. What it has taken is in memory, a set
// of keys to add and one to delete for each segment; a flush sends the adds and then the
// deletes, and forgets them whether Split took them or not.
type oldServer struct {
	*httptest.Server
	t       *testing.T
	split   string // URL; "": there is no Split for it
	answers map[string]recorded

	mu      sync.Mutex
	pending map[string]map[string]bool // by "environment/segment/call"
	calls   int                        // made to Split
}

func newOldServer(t *testing.T, split string) *oldServer {
	t.Helper()
	o := &oldServer{t: t, split: split, answers: map[string]recorded{}, pending: map[string]map[string]bool{}}
	for _, c := range recordedPosts(t) {
		o.answers[c.Body] = c
	}
	o.Server = httptest.NewTLSServer(o)
	t.Cleanup(o.Close)
	return o
}

// recordedPosts are the recorded cases in which the body alone makes the difference: posts
// with the right token.
func recordedPosts(t *testing.T) (posts []recorded) {
	t.Helper()
	for _, c := range loadRecorded(t) {
		usual := slices.ContainsFunc(c.Headers, func(h [2]string) bool { return h == [2]string{"Authorization", harness.AuthToken} })
		if usual && c.Method == http.MethodPost && c.Path == "/audiences" && c.ID != "length-short" && c.ID != "auth-twice-good-first" {
			posts = append(posts, c)
		}
	}
	return posts
}

func (o *oldServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/cache" {
		_, _ = io.WriteString(w, o.cache())
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if c, ok := o.answers[string(body)]; ok {
		w.WriteHeader(c.Status)
		_, _ = io.WriteString(w, c.Response)
		return
	}
	var change struct {
		EnvironmentID, Segment, Verb string
		MPIDs                        []string
	}
	if r.Header.Get("Authorization") != harness.AuthToken || json.Unmarshal(body, &change) != nil {
		o.t.Errorf("the stand-in does not know what the old server answered to %s", body)
		w.WriteHeader(http.StatusTeapot)
		return
	}
	o.take(change.EnvironmentID+"/"+change.Segment+"/"+map[string]string{"add": "uploadKeys?replace=false", "delete": "removeKeys"}[change.Verb], change.MPIDs)
	_, _ = io.WriteString(w, "MPIDs "+change.Verb)
}

func (o *oldServer) take(call string, keys []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.pending[call] == nil {
		o.pending[call] = map[string]bool{}
	}
	for _, key := range keys {
		o.pending[call][key] = true
	}
}

func (o *oldServer) cache() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.pending) == 0 {
		return "cache empty"
	}
	return strings.Join(slices.Sorted(maps.Keys(o.pending)), "\n")
}

// flush brings to Split what is pending.
func (o *oldServer) flush() {
	o.t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, verb := range []string{"/uploadKeys?replace=false", "/removeKeys"} {
		for call, keys := range o.pending {
			if !strings.HasSuffix(call, verb) {
				continue
			}
			text, _ := json.Marshal(map[string]any{"keys": slices.Sorted(maps.Keys(keys)), "title": "old", "comment": "old"}) // texts alone: it cannot fail
			request, err := http.NewRequestWithContext(o.t.Context(), http.MethodPut, o.split+"/internal/api/v2/segments/"+call, bytes.NewReader(text))
			if err != nil {
				o.t.Fatal(err)
			}
			request.Header.Set("Authorization", "Bearer "+harness.APIToken)
			request.Header.Set("Content-Type", "application/json")
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				o.t.Fatal(err)
			}
			_ = response.Body.Close()
			o.calls++
		}
	}
	clear(o.pending)
}

// forget is its end: what is in its memory is lost.
func (o *oldServer) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	clear(o.pending)
}
