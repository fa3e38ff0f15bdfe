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
)

// MaxTraffic is how many posts a second Traffic makes at most.
const MaxTraffic = 1000

// Bounds of the traffic, so that a slow machine is not buried.
const (
	trafficAtOnce = 64 // requests under way; what comes due beyond it is left out
	trafficUsers  = 100_000
)

var trafficSegments = []string{"sNew_users", "sBig_spenders", "sLapsed", "sNewsletter", "sBeta_testers"}

// Traffic posts to a relay what the lambda posts: one user and one audience a request,
// three in four to add, each over a connection of its own.
type Traffic struct {
	URL       string // of the relay's /audiences; its certificate is not verified
	Token     string // for Authorization
	PerSecond int    // 1 to MaxTraffic

	accepted atomic.Int64
}

// Accepted is how many posts were answered with 200 so far.
func (t *Traffic) Accepted() int64 { return t.accepted.Load() }

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
	for {
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
		underWay.Go(func() {
			defer func() { <-places }()
			if t.post(ctx, client) == nil {
				t.accepted.Add(1)
			}
		})
	}
}

func (t *Traffic) post(ctx context.Context, client *http.Client) error {
	verb := "add"
	if rand.IntN(4) == 0 {
		verb = "delete"
	}
	body := fmt.Sprintf(`{"apiToken":"demo","workspaceId":"w","environmentId":"e","trafficTypeId":"t","verb":%q,"mpids":["%d"],"segment":%q}`,
		verb, rand.IntN(trafficUsers)-trafficUsers/2, trafficSegments[rand.IntN(len(trafficSegments))])
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
