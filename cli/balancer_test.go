package cli

import (
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"audiences/api/keyfile"
)

// stands is a node in a test: what it answers, and how many posts it was asked to take.
type stands struct {
	target
	asked atomic.Int32
}

func standIn(t *testing.T, entry keyfile.Entry, take http.HandlerFunc) *stands {
	t.Helper()
	s := &stands{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		take(w, r)
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{entry.Certificate}}
	server.StartTLS()
	t.Cleanup(server.Close)
	s.https = server.Listener.Addr().String()
	s.ready.Store(true)
	return s
}

func answering(status int, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Header.Get("Authorization") != sandboxToken || string(body) != "change" || r.URL.Path != "/audiences" {
			status = http.StatusTeapot
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, message)
	}
}

func cutting(w http.ResponseWriter, r *http.Request) {
	_, _ = io.ReadAll(r.Body)
	panic(http.ErrAbortHandler)
}

// TestBalancerRepeats a post at another node where the first one has surely not taken it,
// and only there: what a node may have taken could otherwise be committed after what the
// same caller posts next.
func TestBalancerRepeats(t *testing.T) {
	var file bytes.Buffer
	if err := keyfile.Generate(&file, keyfile.GenerateOptions{}); err != nil {
		t.Fatal(err)
	}
	entry, err := keyfile.Parse(file.Bytes(), keyfile.Options{Password: "password"})
	if err != nil {
		t.Fatal(err)
	}
	gone := func(t *testing.T) *stands {
		s := standIn(t, entry, answering(http.StatusOK, ""))
		s.https = "127.0.0.1:1" // nobody listens there
		return s
	}
	node := func(take http.HandlerFunc) func(*testing.T) *stands {
		return func(t *testing.T) *stands { return standIn(t, entry, take) }
	}
	fine := node(answering(http.StatusOK, "MPIDs add"))
	for name, test := range map[string]struct {
		first, second func(*testing.T) *stands
		status        int
		says          string
		asked         int32 // of the second
	}{
		"taken":               {fine, fine, 200, "MPIDs add", 0},
		"refused":             {node(answering(400, "no")), fine, 400, "no", 0},
		"stopping":            {node(answering(503, "the relay is stopping, send it again")), fine, 200, "MPIDs add", 1},
		"both stop":           {node(answering(503, "stopping")), node(answering(503, "stopping as well")), 503, "stopping as well", 1},
		"nobody listens":      {gone, fine, 200, "MPIDs add", 1},
		"nobody at all":       {gone, gone, 503, "no node is ready", 0},
		"the outcome unknown": {node(answering(503, "outcome unknown, send it again")), fine, 503, "outcome unknown", 0},
		"cut off":             {node(cutting), fine, 503, "outcome unknown", 0},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := newBalancer(0, entry)
			if err != nil {
				t.Fatal(err)
			}
			defer b.close()
			first, second := test.first(t), test.second(t)
			b.use([]*target{&second.target, &first.target}) // the first turn is that of the second place
			client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url(), strings.NewReader("change"))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Authorization", sandboxToken)
			response, err := client.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			said, err := io.ReadAll(response.Body)
			if err != nil || response.StatusCode != test.status || !strings.Contains(string(said), test.says) {
				t.Errorf("%d %s %v", response.StatusCode, said, err)
			}
			if got := second.asked.Load(); got != test.asked {
				t.Errorf("the second node was asked %d times, want %d", got, test.asked)
			}
		})
	}
}
